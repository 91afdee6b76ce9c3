"""Nothing that names a machine, a task, a file or a module is left in any format."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

import tracereplay
from tests.support import captures
from tests.support import result_examples as example
from tracereplay.capabilities import KERNEL_EVENTS
from tracereplay.cli.main import main
from tracereplay.model.file_words import named_file
from tracereplay.model.info import InfoResult, InputInfo
from tracereplay.model.page import Life, OpenReference, PageEvent, PageLife, PageState
from tracereplay.model.redaction import redacted, redacted_info, redacted_page
from tracereplay.model.result import Allocation, Counter, Culprit, Evidence, File, Process, Result, Stack, Task, Zone
from tracereplay.model.tables import result_tables
from tracereplay.reports import FORMATS
from tracereplay.reports.json import render_json
from tracereplay.reports.shared.style import Style
from tracereplay.reports.text.info import render_info
from tracereplay.reports.text.page import render_page

SECRETS = (
    "acme-codec", "acme-taker", "acme-drain", "acmectl",
    "/srv/acme/traces", "buildhost7", "acme_vcodec", "acme_pin_frame", "quarterly-report.ods",
    "4711815", "0x47e4c7", "acme-carveout", "nextgen_aops", "ab4d1c9e",
    "vault7", "/dev/mapper", "/data/trace", "ledger.db", "payroll-vm", "customer.slice", "--license-key",
)  # fmt: skip


def secret() -> Result:
    """Every secret in every place where a real trace could have put it."""
    culprit = example.culprit(
        holder=Task(tid=7, comm="acme-codec", part_of="VM payroll-vm"),
        allocated_by=Allocation(tid=7, comm="acmectl", part_of="customer.slice"),
        taken_by=Task(tid=8, comm="acme-taker"), released_by=Task(tid=9, comm="acme-drain"),
        mechanism="acme_pin_frame",
        holder_name="nextgen_aops dev 8:1 ino 4711815", file=File(dev=8, ino=4711815, fs="nextgen_aops"),
        capture_next=["ask acmectl on buildhost7"],
        evidence=[
            Evidence(event="dump_page", time_ns=1, tid=7, cpu=0, stack_id="s0",
                     text='aops:nextgen_aops ino:0x47e4c7 dentry name:"quarterly-report.ods" comm acme-codec'),
            Evidence(event="page_ref", time_ns=2, tid=7, cpu=0, text="pfn 0x1e403 flags=lru|dirty, taken by acmectl"),
            Evidence(event="page_ref", time_ns=3, tid=9, cpu=0, text="-1 given back by acme-drain"),
        ],
    )  # fmt: skip
    attempt = example.attempt(
        area="acme-carveout", task=Task(tid=7, comm="acmectl"), culprits=[culprit, *secret_files()],
        capture_next=["see buildhost7"],
    )  # fmt: skip
    result = example.result(
        attempt,
        inputs=[
            example.trace(
                path="/srv/acme/traces/trace.dat", kernel="6.12.117-acme-codec", boot_id="ab4d1c9e", clock="acme-tsc"
            )
        ],
        data_loss=[example.loss(detail="/srv/acme/traces: line 7: buildhost7 kernel: acme_vcodec")],
        stacks=[
            Stack(id="s0", frames=["try_get_folio+0x42", "acme_pin_frame+0x10/0x90 [acme_vcodec]", "acme_pin_frame"])
        ],
        counters=[Counter(scope="acme-carveout", name="free", time_ns=0, pages=1)],
    )
    assert result.layout is not None
    result.layout.cma_areas[0].name = "acme-carveout"
    result.layout.zones = [Zone(node=0, name=name, start_pfn=0, pages=9) for name in ("Normal", "acme-sram")]
    result.processes = [
        Process(pid=7, comm="acme-codec", cmdline="/usr/bin/acme-codec --license-key 99", cgroup="0::/customer.slice",
                part_of="VM payroll-vm")
    ]  # fmt: skip
    result.tool.argv = [
        "blame",
        "/srv/acme/traces/trace.dat",
        "--layout=/srv/acme/traces",
        "--fail-on",
        "holder=acmectl",
    ]
    return result


def secret_files() -> list[Culprit]:
    """A file that is known by its path, one by its mount, and metadata of a device, as culprits name them."""
    mount = "/data/trace"  # words that texts of ours have too
    known = File(dev=254 << 20, ino=13, fs="ext4", device="/dev/mapper/vault7", mount=mount)
    files = [
        msgspec.structs.replace(known, ino=12, path="/data/trace/ledger.db"),
        known,
        File(dev=24, ino=2, fs="fuse", mount=mount),
        msgspec.structs.replace(known, dev=3, ino=254 << 20, block_dev=254 << 20),
    ]
    names = [named_file(file) for file in files]
    assert all(names)
    return [
        example.culprit(id=f"a0/{n}", start_pfn=n, holder=None, cause="writeback", holder_name=name, file=file)
        for n, (file, name) in enumerate(zip(files, names, strict=True))
    ]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("full", [False, True])
def test_no_format_gives_a_secret_away(format_: str, full: bool) -> None:
    said = FORMATS[format_](redacted(secret()), Style(full=full))
    assert [word for word in (*SECRETS, "acme") if word in said] == []
    assert any(word in FORMATS[format_](secret(), Style(full=full)) for word in SECRETS)


def test_no_table_gives_a_secret_away() -> None:
    said = "".join(str(table.to_pylist()) for table in result_tables(redacted(secret())).values())
    assert [word for word in (*SECRETS, "acme") if word in said] == []


def test_the_same_name_is_the_same_token_everywhere() -> None:
    (attempt,) = redacted(secret()).attempts
    culprit = attempt.culprits[0]
    assert attempt.task is not None
    assert culprit.allocated_by is not None
    assert attempt.task.comm == culprit.allocated_by.comm != culprit.holder.comm  # type: ignore[union-attr]
    assert culprit.evidence[1].text == f"pfn 0x1e403 flags=lru|dirty, taken by {attempt.task.comm}"
    assert culprit.released_by is not None
    assert culprit.taken_by is not None
    assert len({culprit.released_by.comm, culprit.taken_by.comm, attempt.task.comm}) == 3
    assert culprit.evidence[2].text == f"-1 given back by {culprit.released_by.comm}"
    assert culprit.file is not None
    assert f"ino {culprit.file.ino}" in (culprit.holder_name or "")


def test_what_explains_is_kept() -> None:
    result = secret()
    (attempt,) = redacted(result).attempts
    culprit = attempt.culprits[0]
    (before,) = result.attempts
    assert (culprit.start_pfn, culprit.cause, culprit.verdict) == (0x1E403, "task_reference", "proved")
    assert attempt.tries == before.tries
    assert redacted(example.pinned()).inputs[0].clock == example.pinned().inputs[0].clock
    assert redacted(result).layout.zones[0].name == "Normal"  # type: ignore[union-attr]
    frames = redacted(result).stacks[0].frames
    assert frames[0] == "try_get_folio+0x42"
    assert re.fullmatch(r"function-\d+\+0x10/0x90 \[module-\d+\]", frames[1])
    assert before.task is not None
    assert before.task.comm == "acmectl"  # the result itself is left as it was


def tasks_of(culprit: Culprit) -> tuple[Task | Allocation | None, ...]:
    return culprit.holder, culprit.taken_by, culprit.released_by, culprit.allocated_by


@pytest.mark.parametrize("name", ["cma_pin_vmsplice_stack", "mixed_nopageref", "cma_pin_shm"])
def test_real_captures_lose_their_names_and_keep_their_words(name: str) -> None:
    folder = captures.capture(name)
    result = tracereplay.open(
        [folder / "trace.dat"], layout=folder / "layout_before", kernel_log=folder / "dmesg.txt"
    ).blame()
    named = [n for a in result.attempts for n in (a.task, *(t for c in a.culprits for t in tasks_of(c)))]
    comms = {one.comm for one in named if one is not None and one.comm}
    assert comms
    quiet = redacted(result)
    quiet.tool.version = ""
    for format_ in FORMATS:
        said = FORMATS[format_](quiet, Style(full=True))
        words = {comm for comm in comms if re.search(rf"(?<![\w-]){re.escape(comm)}(?![\w-])", said)}
        assert words == set()
        assert str(Path(folder).name) not in said
        assert "cmalab" not in said
    texts = {e.text for a in quiet.attempts for c in a.culprits for e in c.evidence}
    assert not [text for text in texts if re.search(r"name-\d", text)], "a word of ours is missing in the allowlist"


def secret_info() -> InfoResult:
    """A trace whose events, path, kernel and damage have names."""
    source = msgspec.to_builtins(secret().inputs[0]) | {
        "by_event": {"acme_pin_frame": 3, "mm_page_alloc": 2, "kernel_stack": 1}
    }
    return InfoResult(
        tool=secret().tool, inputs=[msgspec.convert(source, InputInfo)], data_loss=secret().data_loss,
        can_prove=["writeback"],
    )  # fmt: skip


def secret_page() -> PageLife:
    """A page of a secret file in a secret area, allocated, touched and held by secret tasks."""
    held = OpenReference(tid=9, comm="acmectl", since_ns=1)
    after = PageState(
        state="allocated", flags=["lru", "owner_2"], file=File(dev=8, ino=4711815, fs="nextgen_aops"),
        open_references=[held],
    )  # fmt: skip
    event = PageEvent(
        time_ns=1, cpu=0, tid=7, comm="acme-codec", event="mm_filemap_add_to_page_cache",
        text="dev 8:1 ino 4711815 index=0 order=0", after=after,
    )  # fmt: skip
    made = Allocation(tid=7, comm="acme-codec", gfp="0x140dca", order=0)
    return PageLife(
        tool=secret().tool, pfn=0x1E403, inputs=secret().inputs, data_loss=secret().data_loss,
        where='zone DMA32, memory3, CMA area "acme-carveout"',
        lives=[Life(start_ns=0, end_ns=None, allocated_by=made, events=[event])],
    )  # fmt: skip


def test_info_gives_no_secret_away() -> None:
    hidden = redacted_info(secret_info(), KERNEL_EVENTS)
    for said in (render_json(hidden), render_info(hidden, Style(full=True))):
        assert [word for word in (*SECRETS, "acme") if word in said] == []
    assert hidden.inputs[0].by_event == {"event-1": 3, "mm_page_alloc": 2, "kernel_stack": 1}
    assert "acme_pin_frame" in render_info(secret_info(), Style(full=True))


@pytest.mark.parametrize(
    "where", ["acme", '"acme"', 'CMA area "acme, acme"', "zone acme", 'zone CMA area "acme', "acme\n"]
)
def test_no_name_of_a_place_gets_through(where: str) -> None:
    life = secret_page()
    life.where = where
    assert "acme" not in (redacted_page(life).where or "")


def test_page_gives_no_secret_away_and_keeps_who_is_who() -> None:
    hidden = redacted_page(secret_page())
    for said in (render_json(hidden), render_page(hidden, Style(full=True))):
        assert [word for word in (*SECRETS, "acme") if word in said] == []
    (life,) = hidden.lives
    (event,) = life.events
    assert life.allocated_by is not None
    assert life.allocated_by.comm == event.comm != event.after.open_references[0].comm
    assert event.after.file is not None
    assert f"ino {event.after.file.ino} index=0" in event.text
    assert event.after.flags == ["lru", "owner_2"]
    assert hidden.where == 'zone DMA32, memory3, CMA area "area-1"'


@pytest.mark.parametrize(("name", "pfn"), [("cma_pin_vmsplice", "0x1e403"), ("cma_bufferhead", "0x1e603")])
def test_info_and_page_of_a_real_capture(name: str, pfn: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    folder = captures.capture(name)
    inputs = [str(folder / "trace.dat"), "--layout", str(folder / "layout_before"), "--quiet", "--confidential"]
    for command in (["info", *inputs], ["page", pfn, *inputs]):
        for format_ in ("text", "json"):
            assert main([*command, "--full", "--format", format_]) == 0
            said = capfdbinary.readouterr().out.decode()
            assert name not in said
            assert "cmalab" not in said
            assert "cma-driver" not in said
            assert re.findall(r"\b(?:name|event)-\d+", said) == [], "a word of ours is missing in the allowlist"


@pytest.mark.parametrize(
    ("argument", "shown"),
    [("/lab/run7", "folder-of-trace-1"), ("run7/", "folder-of-trace-1"), ("./run7", "folder-of-trace-1"),
     (".", "folder-of-trace-1"), ("/lab/run7/trace.dat", "trace-1"), ("/lab/run", "VALUE"), ("other", "VALUE"),
     ("/lab/b.zip", "archive-of-trace-2"), ("", "VALUE")],
)  # fmt: skip
def test_commands_name_folders_and_archives_by_what_was_found_in_them(argument: str, shown: str) -> None:
    found = [example.trace(path="/lab/run7/trace.dat"), example.trace(id="i1", path="/lab/b.zip!deep/trace.dat")]
    result = example.result(inputs=found)
    result.tool.argv = ["blame", argument]
    assert redacted(result).tool.argv == ["blame", shown]

"""page_owner dumps of every kernel version, filtered, cut, garbled; stacks by handle."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from tests.support.captures import capture, truth_of
from tests.support.page_owner import owner_rows
from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.snapshots import record_dump
from tracereplay.parsers.snapshots.page_owner import page_owner_dump, parse_record, read_stack_handles
from tracereplay.schema import PAGE_OWNER_COLUMNS, arrow_schema

STACK = " post_alloc_hook+0x1/0x2\n __alloc_pages+0x3/0x4 [mod]\n"
MIGRATED = "Page has been migrated, last migrate reason: contig_range\n"
GFP = "mask 0x1100ca(GFP_HIGHUSER_MOVABLE)"
FLAGS = "Flags 0x17ffffc0080014(uptodate|lru|node=0|zone=2|lastcpupid=0x1fffff)"
# First and second line as each kernel prints them, and what only some of them tell.
VERSIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "4.19": (f"order 3, {GFP}", f"PFN 1082345 type Movable Block 2113 type CMA {FLAGS}", {}),
    "5.11": (
        f"order 3, {GFP}, pid 146, ts 812 ns",
        f"PFN 1082345 type Movable Block 2113 type CMA {FLAGS}",
        {"tid": 146, "time_ns": 812},
    ),
    "5.15": (
        f"order 3, {GFP}, pid 146, ts 812 ns, free_ts 17 ns",
        f"PFN 1082345 type Movable Block 2113 type CMA {FLAGS}",
        {"tid": 146, "time_ns": 812, "free_ts_ns": 17},
    ),
    "6.1": (
        f"order 3, {GFP}, pid 146, tgid 140 (a) b, ts 1), ts 812 ns, free_ts 17 ns",
        f"PFN 1082345 type Movable Block 2113 type CMA {FLAGS}",
        {"tid": 146, "pid": 140, "comm": "a) b, ts 1", "time_ns": 812, "free_ts_ns": 17},
    ),
    "6.12": (
        f"order 3, {GFP}, pid 146, tgid 140 (pin-dead), ts 812 ns",
        f"PFN 0x1083e9 type Movable Block 2113 type CMA {FLAGS}",
        {"tid": 146, "pid": 140, "comm": "pin-dead", "time_ns": 812},
    ),
}
ALWAYS = {
    "pfn": 0x1083E9,
    "order": 3,
    "migratetype": "Movable",
    "pageblock": 2113,
    "pageblock_migratetype": "CMA",
    "gfp_mask": 0x1100CA,
    "gfp_flags": "GFP_HIGHUSER_MOVABLE",
    "page_flags": 0x17FFFFC0080014,
    "page_flag_names": "uptodate|lru|node=0|zone=2|lastcpupid=0x1fffff",
    "stack": ["post_alloc_hook+0x1/0x2", "__alloc_pages+0x3/0x4 [mod]"],
    "last_migrate_reason": "contig_range",
    "slab": False,
}


def record(version: str = "6.12", pfn: int | None = None, order: int = 3, further: str = STACK) -> str:
    first, second, _ = VERSIONS[version]
    first = first.replace("order 3", f"order {order}")
    if pfn is not None:
        second = second.replace("PFN 0x1083e9", f"PFN {pfn:#x}")
    return f"Page allocated via {first}\n{second}\n{further}\n"


@pytest.fixture
def dump(tmp_path: Path) -> Any:
    def write(text: str | bytes, name: str = "page_owner") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_versions(dump: Any, version: str, end: str) -> None:
    dump_ = page_owner_dump(dump(record(version, further=STACK + MIGRATED).replace("\n", end)))
    (table,) = dump_
    assert table.schema.equals(arrow_schema(PAGE_OWNER_COLUMNS))
    (row,) = table.to_pylist()
    assert {name: value for name, value in row.items() if value is not None} == ALWAYS | VERSIONS[version][2]
    assert dump_.counts.losses == []


@pytest.mark.parametrize(
    ("further", "expected"),
    [
        ("Charged to memcg user.slice\n", {"memcg": "user.slice", "memcg_offline": False, "slab": False}),
        (
            "Slab cache page\nCharged (via objcg) to offline memcg a b\n",
            {"memcg": "a b", "memcg_offline": True, "slab": True},
        ),
        ("Charged (via objcg)to memcg x\n", {"memcg": "x", "memcg_offline": False}),
        ("Page has been migrated, last migrate reason: cma\n", {"last_migrate_reason": "cma"}),
        ("handle: 17432583\n", {"handle": 17432583, "stack": None}),
        (STACK + "handle: 5\n", {"handle": 5, "stack": ["post_alloc_hook+0x1/0x2", "__alloc_pages+0x3/0x4 [mod]"]}),
        (" [<(____ptrval____)>] a+0x1/0x2\n", {"stack": ["a+0x1/0x2"]}),
        ("", {"stack": None, "memcg": None, "memcg_offline": None, "last_migrate_reason": None}),
        ("some future line\n b+0x1\n", {"stack": ["b+0x1"]}),
    ],
)
def test_further_lines(dump: Any, further: str, expected: dict[str, Any]) -> None:
    (row,), losses = owner_rows(dump(record(further=further)))
    assert {name: row[name] for name in expected} == expected
    assert losses == []


def test_mask_and_flags_of_zero(dump: Any) -> None:
    text = record().replace(GFP, "mask 0x0()").replace(FLAGS, "Flags 0x0(node=0|zone=0)")
    (row,), _ = owner_rows(dump(text))
    assert (row["gfp_mask"], row["gfp_flags"], row["page_flags"]) == (0, None, 0)


def test_stacks_by_handle(dump: Any) -> None:
    shown = dump(
        " a+0x1/0x2\n b+0x3/0x4\nhandle: 7\n\n c+0x5/0x6\nhandle: 8\nnr_base_pages: 3\n\n", "show_stacks_handles"
    )
    stacks, losses = read_stack_handles(shown)
    assert losses == []
    assert stacks == {7: ("a+0x1/0x2", "b+0x3/0x4"), 8: ("c+0x5/0x6",)}
    path = dump(record(further="handle: 7\n") + record(further="handle: 9\n"))
    assert [row["stack"] for row in owner_rows(path, stacks=stacks)[0]] == [["a+0x1/0x2", "b+0x3/0x4"], None]
    with pytest.raises(InputError, match="no stack with a handle"):
        read_stack_handles(dump("handle: 7\nnr_base_pages: 3\n\n", "show_handles"))


def test_only_what_touches_the_spans_is_kept(dump: Any) -> None:
    path = dump("".join(record(pfn=pfn, order=3) for pfn in range(0, 80, 8)))

    def pfns(*spans: tuple[int, int]) -> list[int]:
        return [row["pfn"] for row in owner_rows(path, spans)[0]]

    assert pfns((8, 9)) == [8]
    assert pfns((15, 16)) == [8]  # the last page of an order-3 allocation
    assert pfns((15, 17)) == [8, 16]
    assert pfns((40, 48), (0, 1), (44, 57)) == [0, 40, 48, 56]
    assert pfns((100, 200)) == pfns() == pfns((5, 5)) == []
    dump_ = page_owner_dump(path, [(8, 9)])
    assert sum(table.num_rows for table in dump_) == dump_.counts.kept == 1
    assert dump_.counts.records == 10


def test_batches_and_blocks(dump: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dump(gzip.compress("".join(record(pfn=pfn, order=0) for pfn in range(100)).encode()), "page_owner.gz")
    for size in (64, 777):
        monkeypatch.setattr("tracereplay.parsers.text.blocks.BLOCK_BYTES", size)
        tables = list(page_owner_dump(path, batch_rows=30))
        assert [table.num_rows for table in tables] == [30, 30, 30, 10]
        assert [pfn for table in tables for pfn in table["pfn"].to_pylist()] == list(range(100))


def test_what_is_not_understood_is_counted(dump: Any) -> None:
    torn = "Page allocated via order 0, mask 0x1 PFN 3\n\n"
    rows, losses = owner_rows(dump("a header\n" + record() + torn + record().replace("0x1083e9", "0x" + "f" * 16)))
    assert len(rows) == 1
    detail = "the first is record 2: 'Page allocated via order 0, mask 0x1 PFN 3'"
    assert losses == [Loss("unparsed_line", 2, detail=detail)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no page_owner record"),
        (b"hello\n", "no page_owner record"),
        (b"x" * 300_000, "no page_owner record"),
        (b"Page allocated via order 99, x\nPFN 1 \n\n", "no page_owner record was understood"),
        (b"Page allocated via order 0, " + b"y" * 300_000, "no page_owner record was understood"),
        (b"\0\0\0", "no text file"),
    ],
)
def test_refusals(dump: Any, content: bytes, message: str) -> None:
    path = dump(content)
    with pytest.raises(InputError, match=message) as caught:
        owner_rows(path)
    assert str(path) in str(caught.value)


def test_cut_anywhere(dump: Any) -> None:
    whole = (record() + record("4.19", further=STACK + MIGRATED)).encode()
    for cut in range(1, len(whole), 3):
        try:
            rows, losses = owner_rows(dump(whole[:cut]))
        except InputError:
            assert cut < len(record())
        else:
            assert len(rows) + sum(loss.count or 0 for loss in losses if loss.code == "unparsed_line") <= 2
            assert {loss.code for loss in losses} <= {"truncated", "unparsed_line"}
            assert losses or whole[:cut].endswith(b"\n\n")


def test_one_record_is_bounded(dump: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_dump, "LONGEST_RECORD_BYTES", 4096)
    (long, short), _ = owner_rows(dump(record(further=" f+0x1/0x2\n" * 50_000) + record()))
    assert 100 < len(long["stack"]) < 500
    assert len(short["stack"]) == 2


def test_real_dump() -> None:
    where = capture("cma_bufferhead")
    path = where / "page_owner.txt.gz"
    dump_ = page_owner_dump(path)
    rows = sum(table.num_rows for table in dump_)
    with gzip.open(path, "rt") as text:
        assert rows == dump_.counts.records == sum(line.startswith("PFN ") for line in text)
    assert dump_.counts.losses == []
    # The pages that stood in the way belong to the block device's buffer cache.
    (culprit,) = truth_of(where)["culprits"]
    found, _ = owner_rows(path, [tuple(span) for span in culprit["pfns"]])
    assert len(found) == culprit["npfns"]
    assert culprit["comm"] in {row["comm"] for row in found}
    assert {row["pageblock_migratetype"] for row in found} == {"CMA"}
    assert all("private" in row["page_flag_names"].split("|") for row in found)


def test_garbage_between_is_no_row() -> None:
    assert parse_record("") is None
    assert parse_record("Page allocated via order 0, mask 0x1\n") is None
    assert parse_record("Page allocated via order 0, mask 0x1\nPFN 0x1f type Movable Block 0\n") is None

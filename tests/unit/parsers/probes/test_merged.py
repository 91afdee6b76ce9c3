"""Several traces of one machine with kprobe events, read as one: judged as the whole trace would be."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

import tracereplay
from tests.support.captures import SHARED
from tests.support.kprobe_text import HEADER, KprobeText, page
from tracereplay.model.result import Attempt, Result
from tracereplay.parsers.merged import DoubledEventsError

SH, HOLDER, PFN = "sh-7", "holder-21", 0x8010
LINE = re.compile(r"^\s*(?P<task>\S.*-\d+)\s+\[(?P<cpu>\d+)\] .*?: (?P<event>\w+): ")


def split(lines: Sequence[str], part_of: dict[int, int] | None, parts: int, folder: Path) -> list[Path]:
    """The lines as several traces; part_of -- part of the line at each place, None = stretches of equal length."""
    size = -(-len(lines) // parts)
    paths = []
    for number in range(parts):
        mine = [line for at, line in enumerate(lines) if (at // size if part_of is None else part_of[at]) == number]
        path = folder / f"part-{number}.txt"
        path.write_text(HEADER + "".join(mine))
        paths.append(path)
    return paths


def real(name: str) -> tuple[list[str], Path]:
    case = SHARED / "kernel" / "kprobes" / name
    if not case.is_dir():
        pytest.skip("../shared/kernel/kprobes is not on this machine")
    text = gzip.decompress((case / "trace.txt.gz").read_bytes()).decode()
    return [line for line in text.splitlines(keepends=True) if not line.startswith("#")], case / "dmesg.txt"


def blamed(paths: Sequence[Path], log: Path | None = None) -> Result:
    return tracereplay.open(list(paths), kernel_log=log, same_machine=True).blame()


def claims(attempts: Sequence[Attempt]) -> list[tuple[object, ...]]:
    return sorted(
        (a.operation, str(a.errno), pfn, c.cause, c.verdict, c.holder.tid if c.holder else None)
        for a in attempts
        for c in a.culprits
        for pfn in range(c.start_pfn or 0, (c.start_pfn or 0) + c.pages)
    )  # fmt: skip


@pytest.mark.parametrize("name", ["debian-6.1", "debian-6.12"])
@pytest.mark.parametrize("cut", ["time", "cpu"])
def test_parts_of_a_real_trace_say_what_the_whole_says(name: str, cut: str, tmp_path: Path) -> None:
    lines, log = real(name)
    whole = tmp_path / "whole.txt"
    whole.write_text(HEADER + "".join(lines))
    found = [LINE.match(line) for line in lines]
    by_cpu = {at: int(one["cpu"]) if one else 0 for at, one in enumerate(found)}
    expected = claims(blamed([whole], log).attempts)
    merged = claims(blamed(split(lines, by_cpu if cut == "cpu" else None, 2, tmp_path), log).attempts)
    assert len([claim for claim in expected if claim[4] == "proved"]) > 16
    if cut == "cpu":
        assert merged == expected
    else:  # between the last event of one part and the first of the next, events may have been lost
        assert [claim[:4] + claim[5:] for claim in merged] == [claim[:4] + claim[5:] for claim in expected]
        assert {claim[4] for claim in merged} <= {"proved", "suggested"}


def history(result: int = -16) -> list[str]:
    text = KprobeText().taken(HOLDER, PFN).add(SH, "sipr_r", "s=0x8000 e=0x10000 ret=0").refused(SH, PFN, 2)
    text.failed_pass(SH, 1).offlined(SH, result)
    text.add(HOLDER, "gput", f"page={page(PFN)} refs=1 flags=0x2")
    return text.lines


def test_a_take_in_one_trace_and_the_refusal_in_another_are_one_account(tmp_path: Path) -> None:
    lines = history()
    (attempt,) = blamed(split(lines, {at: int(at > 0) for at in range(len(lines))}, 2, tmp_path)).attempts
    (culprit,) = attempt.culprits
    assert culprit.holder is not None
    assert (culprit.holder.tid, attempt.operation) == (21, "memory_offline")


def test_either_part_alone_does_not_name_the_holder(tmp_path: Path) -> None:
    lines = history()
    parts = split(lines, {at: int(at > 0) for at in range(len(lines))}, 2, tmp_path)
    (attempt,) = tracereplay.open([parts[1]]).blame().attempts
    assert all(culprit.holder is None for culprit in attempt.culprits)


def test_a_call_and_its_return_in_two_traces_are_one_call(tmp_path: Path) -> None:
    """On 6.1 the return of move_to_new_folio() does not say which folio it is of."""
    lines = [re.sub(r"src=\S+ ret", "ret", line) if ": mig_r:" in line else line for line in history()]
    parts = split(lines, {at: int(": mig_r:" in line) for at, line in enumerate(lines)}, 2, tmp_path)
    (attempt,) = blamed(parts).attempts
    assert [culprit.start_pfn for culprit in attempt.culprits] == [PFN]


def test_a_probe_event_recorded_twice_is_refused(tmp_path: Path) -> None:
    """Another recorder saw the same references, one microsecond off."""
    text = KprobeText().add(SH, "sipr_r", "s=0x8000 e=0x10000 ret=0").taken(HOLDER, PFN).taken(HOLDER, PFN + 1)
    again = KprobeText().taken(HOLDER, PFN).taken(HOLDER, PFN + 1).taken(HOLDER, PFN + 2)
    paths = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for path, lines in zip(paths, (text.lines, again.lines), strict=True):
        path.write_text(HEADER + "".join(lines))
    with pytest.raises(DoubledEventsError, match="getf"):
        blamed(paths)


def test_without_probes_for_a_time_nothing_is_proved_by_absence(tmp_path: Path) -> None:
    """The second trace has the failing offline, but no probe on references: a release may have been missed."""
    lines = history()
    kept = [line for line in lines if ": gput:" not in line]
    parts = split(kept, {at: int(at > 0) for at in range(len(kept))}, 2, tmp_path)
    (attempt,) = blamed(parts).attempts
    assert {culprit.verdict for culprit in attempt.culprits} <= {"suggested"}

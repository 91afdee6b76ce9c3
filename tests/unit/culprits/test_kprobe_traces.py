"""Real kprobe traces, whose workloads wrote down which pages they held: every holder is named, none invented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tracereplay
from tests.support.captures import SHARED
from tracereplay.model.result import Attempt, Culprit, Result

KPROBES = SHARED / "kernel" / "kprobes"
OFFLINES = ("debian-6.1", "debian-6.12")
REFERENCE_CAUSES = ("pin_short", "task_reference")


def folder(name: str) -> Path:
    if not (KPROBES / name).is_dir():
        pytest.skip("../shared/kernel/kprobes is not on this machine")
    return KPROBES / name


def held_pages(case: Path) -> dict[int, int]:
    """pfn -> tid of the holder, as pagemap showed the workload's pages while they were held."""
    held = {}
    for line in (case / "workload.txt").read_text().splitlines():
        found = re.match(r"(?:after|dio) pid (\d+) pfns (.*) t ", line)
        if found:
            held.update({int(pfn, 16): int(found[1]) for pfn in found[2].split()})
    return held


def blamed(case: Path) -> Result:
    return tracereplay.open([case / "trace.txt.gz"], kernel_log=case / "dmesg.txt").blame()


def culprit_at(attempt: Attempt, pfn: int) -> Culprit:
    (one,) = (c for c in attempt.culprits if c.covers(pfn))
    return one


@pytest.mark.parametrize("name", OFFLINES)
def test_every_holder_of_a_failing_offline_is_proved(name: str) -> None:
    case = folder(name)
    (attempt,) = blamed(case).attempts
    assert (attempt.operation, attempt.outcome, attempt.errno) == ("memory_offline", "interrupted", "EINTR")
    assert (attempt.request.start_pfn, attempt.request.pages) == (0x100000, 0x8000)
    assert attempt.outcome_basis == "event"
    held = held_pages(case)
    assert len(held) == 24
    for pfn, tid in held.items():
        culprit = culprit_at(attempt, pfn)
        assert culprit.holder is not None
        assert (culprit.holder.tid, culprit.verdict, culprit.holder_verdict) == (tid, "proved", "proved")
        assert culprit.cause in REFERENCE_CAUSES
    assert {c.holder.tid for c in attempt.culprits if c.holder} == set(held.values())
    assert sum(c.pages for c in attempt.culprits) == 16 + 512


@pytest.mark.parametrize("name", OFFLINES)
def test_evidence_is_of_events_in_the_trace(name: str) -> None:
    case = folder(name)
    session = tracereplay.open([case / "trace.txt.gz"])
    (attempt,) = session.blame().attempts
    rows = [row for culprit in attempt.culprits for row in culprit.evidence]
    assert rows
    for row in rows:
        table = session.reader.tables((row.event,))[row.event]
        times, tids = table.column("time_ns").to_pylist(), table.column("tid").to_pylist()
        assert (row.time_ns, row.tid) in set(zip(times, tids, strict=True)), row


def test_the_mechanism_is_what_released_it() -> None:
    case = folder("debian-6.1")
    (attempt,) = blamed(case).attempts
    found = {c.holder.comm: c.mechanism for c in attempt.culprits if c.holder}
    assert found == {"vmsplicer": "vmsplice", "dioreader": "bio (O_DIRECT)"}


def test_a_page_left_behind_by_cma_has_its_only_holder_on_record() -> None:
    """No count is read there: isolate_migratepages_block() leaves a held anonymous page where it is."""
    case = folder("lab-6.12-cma")
    attempt = next(a for a in blamed(case).attempts if a.operation == "cma_alloc")
    culprit = culprit_at(attempt, 0x2FDEB)
    assert culprit.holder is not None
    assert (culprit.holder.tid, culprit.verdict, culprit.cause in REFERENCE_CAUSES) == (309, "suggested", True)
    assert [c.start_pfn for c in attempt.culprits] == [0x2FDEB]


@pytest.mark.parametrize("name", OFFLINES)
def test_a_trace_read_in_parts_says_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More probe events than are held at once are read by stretches of time."""
    case = folder(name)
    whole = blamed(case).attempts
    monkeypatch.setattr("tracereplay.parsers.probes.reader.EVENTS_AT_ONCE", 3000)
    assert blamed(case).attempts == whole

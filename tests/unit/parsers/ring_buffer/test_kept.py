"""Records that the scan keeps are those that a walk of their own finds, in the same order."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.support.captures import capture
from tests.support.trace_dat_builder import Machine, trace_dat_v6
from tracereplay.parsers.ring_buffer import scan
from tracereplay.parsers.trace_dat import reader as module
from tracereplay.parsers.trace_dat.reader import KEPT_EVENTS, TraceDatReader
from tracereplay.schema import Window

MACHINES = [Machine(big, long_bytes) for big in (False, True) for long_bytes in (8, 4)]


def both_ways(path: Path, monkeypatch: pytest.MonkeyPatch, windows: list[Window | None]) -> None:
    names = module.KEPT_EVENTS
    reader = TraceDatReader(path)
    assert reader._kept.is_whole
    found = [reader.tables(names, window) for window in windows]
    monkeypatch.setattr(scan, "MAX_KEPT_BYTES", -1)
    plain = TraceDatReader(path)
    assert not plain._kept.is_whole
    for tables, window in zip(found, windows, strict=True):
        assert tables == plain.tables(names, window)
    assert sum(map(len, found)) > 0


def random_pages(machine: Machine, rng: random.Random, cpu: int) -> bytes:
    """Pages whose clock steps back now and then, with equal times on several CPUs."""
    pages, at = b"", 1000
    for _ in range(rng.randint(1, 6)):
        records = (
            machine.record(rng.randint(0, 2), machine.free(1000 * cpu + n), long_form=rng.random() < 0.2)
            for n in range(rng.randint(0, 20))
        )
        pages += machine.page(at, b"".join(records))
        at += rng.choice((-15, 10, 30))
    return pages


@pytest.mark.parametrize("machine", MACHINES, ids=str)
@pytest.mark.parametrize("seed", range(20))
def test_kept_records_of_made_up_pages(
    machine: Machine, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    path = tmp_path / "trace.dat"
    cpus = [random_pages(machine, rng, cpu) for cpu in range(rng.randint(1, 5))]
    path.write_bytes(trace_dat_v6([machine.page(0, machine.record(0, machine.free(1))), *cpus], machine))
    monkeypatch.setattr(module, "KEPT_EVENTS", frozenset({"mm_page_free"}))
    both_ways(path, monkeypatch, [None])


@pytest.mark.parametrize("name", ["cma_pin_vmsplice", "compaction_fail", "k72_mixed", "offline_unmovable"])
def test_kept_records_of_captures(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = capture(name) / "trace.dat"
    info = TraceDatReader(path).info
    assert info.start_ns is not None
    assert info.end_ns is not None
    middle = (info.start_ns + info.end_ns) // 2
    both_ways(path, monkeypatch, [None, Window(middle), Window(None, middle), Window(middle, middle + 1_000_000)])


def test_too_many_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    path = capture("cma_pin_vmsplice") / "trace.dat"
    whole = TraceDatReader(path)
    monkeypatch.setattr(scan, "MAX_KEPT_BYTES", whole._kept.n_bytes - 1)
    reader = TraceDatReader(path)
    assert (reader._kept.is_whole, reader._kept.parts) == (False, [])
    assert not reader._kept.is_kept.any()
    tables = reader.tables(KEPT_EVENTS)
    assert tables == whole.tables(KEPT_EVENTS)
    assert all(isinstance(table, pa.Table) for table in tables.values())
    assert np.all(np.diff(tables["cma_alloc_start"]["time_ns"].to_numpy()) >= 0)

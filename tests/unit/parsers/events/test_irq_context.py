"""Interrupt context from every reader to the ledger: which entries of the page stream an interrupt handler caused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.captures import capture
from tests.support.raw_capture import cut_raw_capture
from tests.support.replay_twin import ANON_MAPPING, entry, replayed
from tracereplay.dataset import write_dataset
from tracereplay.opening import open_reader
from tracereplay.parsers.base import TraceReader
from tracereplay.parsers.catalog import stream_events
from tracereplay.parsers.merged import MergedReader
from tracereplay.replay.engine import ActionKind, ReplayAction
from tracereplay.schema import INTERRUPT_FLAGS, IrqContext, Op, integers, irq_context

TASK, INTERRUPT, UNKNOWN = IrqContext
FREE = "mm_page_free: page=000000004b0a4420 pfn=0x1f order=3"


def counted(reader: TraceReader) -> list[int]:
    """Entries of the page stream by IrqContext."""
    streams: list[npt.NDArray[np.uint8]] = [chunk.irq for chunk in reader.stream()]
    return [int(count) for count in np.bincount(np.concatenate(streams), minlength=3)]


def by_tables(reader: TraceReader) -> list[int]:
    """The same by the common_flags of the tables, -1 = null."""
    tables = reader.tables(stream_events())
    flags = np.concatenate([integers(table["common_flags"]) for table in tables.values()])
    told = flags[flags >= 0]
    interrupts = int(np.count_nonzero(told & INTERRUPT_FLAGS))
    return [len(told) - interrupts, interrupts, len(flags) - len(told)]


@pytest.mark.parametrize(
    "name",
    ["cma_pin_aio/trace.dat", "k72_cma_fuse_writeback/trace.dat", "cma_pin_vmsplice_perf/perf.data",
     "mixed_nopageref/trace.txt.gz"],
)  # fmt: skip
def test_captures_hold_events_of_interrupts(name: str) -> None:
    folder, _, file = name.partition("/")
    reader = open_reader(capture(folder) / file)
    found = counted(reader)
    assert found == by_tables(reader)
    assert found[INTERRUPT] > 0
    assert found[UNKNOWN] == 0


def test_other_containers_keep_them(tmp_path: Path) -> None:
    trace = capture("cma_pin_aio") / "trace.dat"
    expected = counted(open_reader(trace))
    write_dataset(open_reader(trace), tmp_path / "dataset")
    assert counted(open_reader(tmp_path / "dataset")) == expected
    raw = cut_raw_capture(trace, tmp_path / "raw")
    assert counted(open_reader(raw)) == expected
    parts = [cut_raw_capture(trace, tmp_path / f"cpu{cpu}") for cpu in (0, 1)]
    for cpu, part in enumerate(parts):
        (part / f"per_cpu/cpu{1 - cpu}/trace_pipe_raw").unlink()
    assert counted(MergedReader([open_reader(part) for part in parts])) == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("..... ", TASK), ("bN.2. ", TASK), ("d.h1. ", INTERRUPT), ("..s.1 ", INTERRUPT), ("d.H2 ", INTERRUPT),
        ("d.z2. ", INTERRUPT), ("d.Z2. ", INTERRUPT), ("", UNKNOWN),
    ],
)  # fmt: skip
def test_ftrace_text_tells_by_the_flags_column(flags: str, expected: IrqContext, tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_text(f"# tracer: nop\n#\n            bash-253     [000] {flags}  966.417446: {FREE}\n")
    (chunk,) = open_reader(path).stream()
    assert chunk.irq.tolist() == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "cpus=1\n            bash-253   [000]   966.417446: mm_page_free:         page=0x1f pfn=0x1f order=3\n",
        "            bash   253 [000]   966.417446: kmem:mm_page_free: page=0x1f pfn=0x1f order=3\n",
    ],
)
def test_text_without_flags_does_not_tell(text: str, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text(text)
    assert counted(open_reader(path)) == [0, 0, 1]


def test_every_flag_of_an_interrupt_counts() -> None:
    flags = np.arange(256, dtype=np.uint8)
    assert irq_context(flags).tolist() == [int(flag & 0x58 != 0) for flag in range(256)]


def test_the_ledger_keeps_the_context_of_take_and_put() -> None:
    app, driver, pfn = 7, 9, 20
    known = {"mapcount": 0, "mapping": ANON_MAPPING, "ret": 1}
    events = [
        entry(0, app, Op.REF_SET, pfn, val=1, count=1, mapcount=-1),
        entry(1, app, Op.REF_MOD_UNLESS, pfn, val=1, count=2, irq=INTERRUPT, **known),
        entry(2, app, Op.REF_MOD_UNLESS, pfn, val=1, count=3, irq=UNKNOWN, **known),
        entry(20, app, Op.REF_MOD_AND_TEST, pfn, val=-1, count=2, irq=TASK, **known),
        entry(30, app, Op.REF_MOD_AND_TEST, pfn, val=-1, count=1, irq=INTERRUPT, **known),
    ]
    asked = [
        ReplayAction(5, ActionKind.WATCH, 0, ((0, 64),), driver),
        ReplayAction(10, ActionKind.PROBE, 0, ((0, 64),), driver, named_pfn=pfn),
    ]
    engine = replayed(events, asked)
    refs = engine.table("refs")[:2]
    assert [(int(ref["irq"]), int(ref["close_irq"])) for ref in refs] == [(INTERRUPT, INTERRUPT), (UNKNOWN, TASK)]
    (suspect,) = engine.table("suspects")
    assert (int(suspect["clear_ns"]), int(suspect["clear_irq"])) == (30, INTERRUPT)
    (still_open,) = replayed(events[:2]).open_refs(pfn)
    assert (int(still_open["irq"]), int(still_open["close_irq"])) == (INTERRUPT, UNKNOWN)

"""Runs the compiled replay and its oracle side by side, and makes streams by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tests.support.oracle_memory import FileId, Page, Ref, Suspect
from tests.support.oracle_reasons import HELD_TYPES, Rules
from tests.support.replay_oracle import ReplayOracle
from tracereplay.replay.engine import Engine, ReplayAction
from tracereplay.replay.state import SECTION_BITS, Mark, RefEnd, State, blank_pages
from tracereplay.schema import ARGS, IrqContext, Op, PageStream

# A page flag order of our own: streams by hand name flags, not bits.
FLAG_BITS = {"locked": 0, "writeback": 1, "uptodate": 3, "lru": 5, "head": 6, "owner_priv_1": 10, "private": 14,
             "swapbacked": 17}  # fmt: skip
ANON_MAPPING = -0x7EF0_0000_0000_0001 & ~0x3 | 1  # a kernel pointer with bit 0
FILE_MAPPING = -0x7EE0_0000_0000_0000

NOTHING: Mapping[int, Mapping[str, int]] = {}

Entry = tuple[int, int, int, int, tuple[int, ...], int]  # time_ns, cpu, tid, op, args, irq


def flags(*names: str) -> int:
    """A page->flags word."""
    return sum(1 << FLAG_BITS[name] for name in names)


def entry(
    ns: int, tid: int, op: Op, pfn: int, *, cpu: int = 0, irq: IrqContext = IrqContext.TASK, **args: int
) -> Entry:
    """One entry; arguments by their names in `schema.ARGS`."""
    values = {"pfn": pfn, **args}
    assert values.keys() <= set(ARGS)
    return ns, cpu, tid, int(op), tuple(values.get(name, 0) for name in ARGS), int(irq)


def stream(entries: Sequence[Entry]) -> PageStream:
    """The entries as one stretch of the page stream."""
    return PageStream(
        np.array([e[0] for e in entries], np.int64),
        np.array([e[1] for e in entries], np.uint16),
        np.array([e[2] for e in entries], np.int32),
        np.array([e[5] for e in entries], np.uint8),
        np.array([e[3] for e in entries], np.uint8),
        np.array([e[4] for e in entries], np.int64).reshape(len(entries), len(ARGS)),
    )


def part(chunk: PageStream, start: int, stop: int) -> PageStream:
    """Entries [start, stop)."""
    return chunk.select(slice(start, stop))


def split(chunk: PageStream, cuts: Iterable[int]) -> list[PageStream]:
    """The stretch in pieces."""
    edges = [0, *sorted(min(max(cut, 0), len(chunk)) for cut in cuts), len(chunk)]
    return [part(chunk, low, high) for low, high in pairwise(edges) if low < high]


def swap_pte(pfn: int) -> int:
    """The x86-64 page table entry of a migration entry: offset inverted, in bits 9 to 58."""
    return ~(pfn << 9)


def present_pte(pfn: int) -> int:
    """The x86-64 page table entry of a mapping."""
    return pfn << 12 | 0x67


def run_both(
    chunks: Sequence[PageStream],
    actions: Sequence[ReplayAction] = (),
    flag_bits: Mapping[str, int] | None = FLAG_BITS,
    background: Sequence[int] = (),
    seeded: Mapping[int, Mapping[str, int]] = NOTHING,
) -> tuple[Engine, ReplayOracle]:
    """The compiled replay and the oracle after the same stream and actions.

    seeded -- what is known of pages before the stream: columns of state.PAGE by pfn.
    """
    engine = Engine(flag_bits, "x86_64", background, actions, blocking_types=HELD_TYPES)
    for pfn, values in seeded.items():
        rows = blank_pages(1)
        for name, value in values.items():
            rows[name] = value
        engine.write_pages(pfn, rows)
    engine.run(chunks)  # decodes page table entries in place: the oracle reads what this one wrote
    return engine, oracle_of(chunks, actions, flag_bits, background, seeded)


def oracle_of(
    chunks: Sequence[PageStream],
    actions: Sequence[ReplayAction],
    flag_bits: Mapping[str, int] | None = FLAG_BITS,
    background: Sequence[int] = (),
    seeded: Mapping[int, Mapping[str, int]] = NOTHING,
    rules: Rules | None = None,
) -> ReplayOracle:
    """The oracle after a stream (page table entries decoded)."""
    oracle = ReplayOracle(flag_bits, background, rules)
    for pfn, values in seeded.items():
        for name, value in values.items():
            setattr(oracle.pages[pfn], name, State(value) if name == "state" else value)
    oracle.run(chunks, actions)
    return oracle


def replayed(entries: Sequence[Entry], actions: Sequence[ReplayAction] = (), background: Sequence[int] = ()) -> Engine:
    """The engine after a stream made by hand; the oracle must agree."""
    engine, oracle = run_both([stream(entries)], actions, background=background)
    assert_same(engine, oracle)
    return engine


def assert_same(engine: Engine, oracle: ReplayOracle) -> None:
    """Every page, open reference, suspect and claim is the same in both."""
    theirs = plain_pages(oracle)
    ours = compiled_pages(engine)
    assert ours.keys() == theirs.keys()
    for pfn, state in ours.items():
        assert (pfn, state) == (pfn, theirs[pfn])
    assert compiled_suspects(engine) == plain_suspects(oracle)
    failed = engine.table("failed_allocs")
    assert [tuple(int(row[name]) for name in ("ns", "tid", "order", "gfp")) for row in failed] == oracle.failed_allocs


def compiled_pages(engine: Engine) -> dict[int, dict[str, Any]]:
    """Every page that is not blank, as plain values."""
    found = {}
    for section in engine.seen_sections():
        first = int(section) << SECTION_BITS
        rows = engine.pages(first, first + (1 << SECTION_BITS))
        for at in np.flatnonzero((rows["state"] != State.UNSEEN) | (rows["marks"] != 0) | (rows["file"] >= 0)):
            pfn = first + int(at)
            row = rows[at]
            found[pfn] = _page(
                {
                    name: int(row[name])
                    for name in ("state", "order", "count", "mapcount", "page_flags", "marks", "index")
                },
                _alloc(int(row["marks"]), *(int(row[name]) for name in ALLOC_NAMES)),
                int(row["min_excess"]),
                _file(engine, int(row["file"])),
                [_compiled_ref(ref) for ref in reversed(engine.open_refs(pfn))],
            )
    return found


def plain_pages(oracle: ReplayOracle) -> dict[int, dict[str, Any]]:
    """The same of the oracle."""
    return {pfn: state for pfn, page in oracle.pages.items() if (state := plain_page(page)) != BLANK}


def plain_page(page: Page) -> dict[str, Any]:
    """The same of a page of the oracle."""
    return _page(
        {
            name: int(getattr(page, name))
            for name in ("state", "order", "count", "mapcount", "page_flags", "marks", "index")
        },
        _alloc(page.marks, page.alloc_ns, page.alloc_tid, page.gfp),
        page.min_excess,
        _plain_file(page.file),
        [_plain_ref(ref) for ref in page.refs],
    )


def _page(values: dict[str, int], alloc: Any, min_excess: int, file: Any, refs: Any) -> dict[str, Any]:
    return {**values, "alloc": alloc, "min_excess": min_excess, "file": file, "refs": refs}


ALLOC_NAMES = ("alloc_ns", "alloc_tid", "gfp")


def _alloc(marks: int, alloc_ns: int, alloc_tid: int, gfp: int) -> tuple[int, int, int] | None:
    """Its allocation, where it was seen: else these are left from an earlier life."""
    return (alloc_ns, alloc_tid, gfp) if marks & Mark.ALLOC_SEEN else None


REF_NAMES = (
    "pfn", "ns", "cpu", "tid", "op", "val", "kind", "confirmed", "before", "met_ns", "on_lru", "shared_ns", "unmap_ns",
    "end", "irq",
)  # fmt: skip
# Of an open reference only close_ns means something.
CLOSE_NAMES = ("close_ns", "close_tid", "close_cpu", "close_op", "close_irq")


def _compiled_ref(ref: np.void) -> tuple[int, ...]:
    names = REF_NAMES if ref["end"] == RefEnd.OPEN else (*REF_NAMES, *CLOSE_NAMES)
    assert (ref["close_ns"] == -1) == (ref["end"] == RefEnd.OPEN)
    return tuple(int(ref[name]) for name in names)


def _plain_ref(ref: Ref) -> tuple[int, ...]:
    names = REF_NAMES if ref.end is RefEnd.OPEN else (*REF_NAMES, *CLOSE_NAMES)
    return tuple(-1 if (value := getattr(ref, name)) is None else int(value) for name in names)


def _file(engine: Engine, number: int) -> tuple[int, int] | None:
    if number < 0:
        return None
    row = engine.table("files")[number]
    return int(row["dev"]), int(row["ino"])


def _plain_file(file: FileId | None) -> tuple[int, int] | None:
    return None if file is None else (file.dev, file.ino)


SUSPECT_NAMES = (
    "pfn", "attempt", "first_ns", "last_ns", "reasons", "no_event_since_probe", "min_excess",
    "confirmed", "isolation_refs",
    "count",
    "mapcount", "page_flags", "marks", "order", "state", "index", "post_ns", "clear_ns", "clear_tid", "clear_irq",
    "unlock_ns", "written_ns", "end_ns", "end_tid",
)  # fmt: skip


def compiled_suspects(engine: Engine) -> list[dict[str, Any]]:
    """Every suspect with the references it claims, in the order they were met."""
    rows: Any
    claims: Any
    refs: Any
    rows, claims, refs = (engine.table(name) for name in ("suspects", "claims", "refs"))
    found = []
    for number, row in enumerate(rows):
        values: dict[str, Any] = {name: int(row[name]) for name in SUSPECT_NAMES}
        values["file"] = _file(engine, int(row["file"]))
        values["alloc"] = _alloc(int(row["marks"]), *(int(row[name]) for name in ALLOC_NAMES))
        values["post_flags"] = int(row["post_flags"]) if row["post_ns"] >= 0 else None
        values["claims"] = sorted(_compiled_ref(refs[c["ref"]]) for c in claims[claims["suspect"] == number])
        found.append(values)
    return found


def plain_suspects(oracle: ReplayOracle) -> list[dict[str, Any]]:
    """The same of the oracle."""
    return [_plain_suspect(suspect) for suspect in oracle.suspects]


def _plain_suspect(suspect: Suspect) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: -1 if (value := getattr(suspect, name)) is None else int(value) for name in SUSPECT_NAMES
    }
    values["file"] = _plain_file(suspect.file)
    values["alloc"] = _alloc(suspect.marks, suspect.alloc_ns, suspect.alloc_tid, suspect.gfp)
    values["post_flags"] = None if suspect.post_ns is None else suspect.post_flags
    values["claims"] = sorted(_plain_ref(ref) for ref in suspect.claims)
    return values


BLANK = plain_page(Page())

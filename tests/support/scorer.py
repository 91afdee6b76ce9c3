"""Scores a result document against what really happened in a capture (`truth.json`).

A page is judged by the mechanism that was planted on it: `MECHANISMS` says which causes are right for it. Pages
outside every labelled set are judged only where the truth is exhaustive: a real kernel has culprits of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

Row = Mapping[str, Any]
Document = Mapping[str, Any]
Truth = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Mechanism:
    """How one way of blocking migration is judged.

    cause -- the right answer; held_by_file -- a file system holds it: naming the file names the holder;
    held_by_allocator -- its holder is the task that allocated it; by_page -- the truth knows which pages are held;
    by_reference -- a reference or a state of the page holds it. Where it does not, `extra_reference` is wrong.
    """

    cause: str
    held_by_file: bool = False
    held_by_allocator: bool = False
    by_page: bool = True
    by_reference: bool = True


REFERENCE = Mechanism("task_reference")
# Which of a file system's metadata pages are held shows only where the kernel tried to move them.
METADATA = Mechanism("buffer_head", held_by_file=True, by_page=False)
WRITEBACK = Mechanism("writeback", held_by_file=True)
MECHANISMS: dict[str, Mechanism] = {
    "vmsplice": REFERENCE,
    "vmsplice_orphan": REFERENCE,
    "vmsplice_shmem": REFERENCE,
    "thp_vmsplice": REFERENCE,
    "odirect_aio_inflight": Mechanism("pin_short"),
    "longterm_pin_gup_test_blocked_by_vmsplice": REFERENCE,
    "longterm_pin_io_uring_blocked_by_vmsplice": REFERENCE,
    "ext4_metadata_buffers": METADATA,
    "fs_metadata_buffers": METADATA,
    "fuse_readahead_locked": Mechanism("locked_folio", held_by_file=True),
    "fuse_writeback": WRITEBACK,
    "writeback_stalled": WRITEBACK,
    "secretmem": Mechanism("secretmem", by_reference=False),
    "unmovable": Mechanism("unmovable_allocation", held_by_allocator=True, by_reference=False),
    "hugetlb": Mechanism("hugetlb", by_reference=False),
}
# Right too where the taking of the reference is not in the trace: no page_ref events, or the trace began later.
UNSEEN_TAKER = frozenset({"extra_reference"})
# Obstacles that a page may have beside its planted one.
ALSO_TRUE = frozenset({"writeback", "locked_folio", "extra_reference"})
# Roles of movable memory that blocked nothing; memory of a hog is that too, whatever its role.
INNOCENT_ROLES = frozenset({"bystander", "not_blocking_on_this_kernel", "attempted_culprit_migrated_fine"})
INNOCENT_MECHANISM = "memory_hog_mlocked"
# Causes that are there only where a task took a page on purpose.
PIN_CAUSES = frozenset({"pin_short", "task_reference", "pin_longterm", "aio_ring"})
# Attempts that are judged, and those of which none may be made up.
JUDGED_OPERATIONS = frozenset({"cma_alloc", "memory_offline"})
# virtio-mem offlines a memory block once all of it is unplugged: such offlines are not made up.
UNPLUG = "virtio_mem_unplug"
# Answers that blame a page without saying anything.
BLANKET_CAUSES = frozenset({"unknown", "preexisting"})


@dataclass(slots=True)
class Score:
    """Counts of one capture; those of several add up.

    ops: attempts made and visible / found with the right outcome; extra: attempts that were not made; causes: deciding
    causes known / named; first: PFNs the kernel itself named / reported; share, counted: sum over culprits of the share
    of their held pages named with a right cause, and number of such culprits; culprits: real ones / found;
    holders: knowable ones / named; false_pages: blamed wrongly; wrong_proved: pages with a wrong `proved`;
    blanket: bystanders called unknown or preexisting; rows: culprits reported.
    """

    ops: int = 0
    ops_right: int = 0
    extra: int = 0
    causes: int = 0
    causes_right: int = 0
    first: int = 0
    first_found: int = 0
    share: float = 0.0
    counted: int = 0
    culprits: int = 0
    culprits_found: int = 0
    holders: int = 0
    holders_found: int = 0
    false_pages: int = 0
    wrong_proved: int = 0
    blanket: int = 0
    rows: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def score(truth: Truth, document: Document, *, has_page_ref: bool) -> Score:
    """Scores one result (JSON document) against the truth of its capture."""
    result = Score()
    attempts = document["attempts"]
    _score_attempts(truth, attempts, result)
    named = rows_by_pfn(attempts)
    result.rows = sum(len(attempt["culprits"]) for attempt in attempts)
    first = truth.get("first_blocking_pfns", [])
    result.first, result.first_found = len(first), sum(pfn in named for pfn in first)
    wrong: set[int] = set()
    for culprit in judged_culprits(truth):
        wrong |= _score_culprit(culprit, named, has_page_ref, result)
    wrong |= _score_innocent(truth, named, result)
    result.wrong_proved = len(wrong)
    return result


def rows_by_pfn(attempts: Iterable[Row]) -> dict[int, list[Row]]:
    """Every culprit row of every attempt under each of its pages."""
    named: dict[int, list[Row]] = defaultdict(list)
    for attempt in attempts:
        for row in attempt["culprits"]:
            for pfn in range(row["start_pfn"], row["start_pfn"] + row["pages"]):
                named[pfn].append(row)
    return dict(named)


def mechanism_of(culprit: Row) -> str:
    """The planted mechanism, without the remark that may follow it."""
    return str(culprit["mechanism"]).split(" ")[0]


def held_pages(culprit: Row) -> set[int]:
    """Pages really held: those that stayed where they were, where the truth looked twice."""
    before, after = _pages(culprit, "pfns"), _pages(culprit, "pfns_after")
    return (before & after) or after or before


def judged_culprits(truth: Truth) -> list[Row]:
    """Culprits, planted or found afterwards, that the truth is sure of and whose cause is defined."""
    return [
        culprit
        for culprit in [*truth["culprits"], *(truth.get("post_hoc_culprits") or [])]
        if culprit.get("judged", True)
        and culprit.get("established", True)
        and mechanism_of(culprit) in MECHANISMS
        and held_pages(culprit)
    ]


def right_causes(culprit: Row, *, has_page_ref: bool) -> set[str]:
    """The causes that are right for its pages."""
    mechanism = MECHANISMS[mechanism_of(culprit)]
    unseen = mechanism.by_reference and _is_taker_unseen(culprit, has_page_ref=has_page_ref)
    return {mechanism.cause} | (UNSEEN_TAKER if unseen else set())


def _is_taker_unseen(culprit: Row, *, has_page_ref: bool) -> bool:
    return not has_page_ref or not culprit.get("taker_seen", True)


def made_attempts(truth: Truth) -> list[Row]:
    """The attempts that were made and are visible in a trace or log; a long-term pin is one too."""
    made = [op for op in truth["ops"] if op["op"] in JUDGED_OPERATIONS and op.get("visible", True)]
    if pins := truth.get("longterm_pins"):
        # A pin that met nothing leaves a trace too.
        return made + [
            {"op": "longterm_pin", "pid": pin["pid"], "errno_name": "ENOMEM" if pin["ret"] else ""} for pin in pins
        ]
    for task in [*truth["culprits"], *truth["others"]]:
        if task["mechanism"].startswith("longterm_pin") and task["established"]:
            errno_name = "ENOMEM" if "blocked" in task["mechanism"] else ""
            made.append({"op": "longterm_pin", "pid": task["pid"], "errno_name": errno_name})
    return made


def names_holder(row: Row, culprit: Row) -> bool:
    """Whether a row names the one who holds the culprit's pages: the task, its dead taker, or the file."""
    mechanism = MECHANISMS[mechanism_of(culprit)]
    holder = row.get("allocated_by" if mechanism.held_by_allocator else "holder")
    if holder:
        tid, comm, detail = holder.get("tid"), holder.get("comm"), culprit.get("detail", "")
        # A taker that has exited, or a server that never answers, is in the truth's own words.
        if tid == culprit["pid"] or comm == culprit["comm"] or f"pid {tid} " in detail or f"comm {comm})" in detail:
            return True
    return mechanism.held_by_file and bool(row.get("holder_name") or (row.get("file") or {}).get("ino"))


def invented_pins(truth: Truth, document: Document) -> list[str]:
    """Proved pins on pages where none was planted: a fault, whose mapcount is not seen yet, looks like a pin.

    Stricter than the score: bystanders apart, that judges no page outside the labelled sets.
    """
    planted = _union(
        _pages(task) | held_pages(task)
        for task in [*truth["culprits"], *truth["others"], *(truth.get("post_hoc_culprits") or [])]
        if task.get("role") not in INNOCENT_ROLES
    ) | _held_for_a_time(truth)
    return [
        f"{attempt['id']}: {pfn:#x} {row['cause']} {row['effect']}"
        for attempt in document["attempts"]
        for row in attempt["culprits"]
        if row["verdict"] == "proved" and row["cause"] in PIN_CAUSES
        for pfn in range(row["start_pfn"], row["start_pfn"] + row["pages"])
        if pfn not in planted
    ]


def _pages(owner: Row, key: str = "pfns") -> set[int]:
    return {pfn for start, end in owner.get(key) or [] for pfn in range(start, end)}


def _score_attempts(truth: Truth, attempts: list[Row], result: Score) -> None:
    tid_of = {id(attempt): (attempt.get("task") or {}).get("tid") for attempt in attempts}
    for op in made_attempts(truth):
        same = [a for a in attempts if a["operation"] == op["op"] and tid_of[id(a)] in (op["pid"], None)]
        result.ops += 1
        result.ops_right += any((a["outcome"] != "succeeded") == bool(op["errno_name"]) for a in same)
        if "expected_cause" in op:
            result.causes += 1
            result.causes_right += any(a["cause"] == op["expected_cause"] for a in same)
    made = {(op["op"], op["pid"]) for op in truth["ops"]}
    unplugged = {"memory_offline"} if any(op["op"] == UNPLUG for op in truth["ops"]) else set[str]()
    result.extra = sum(
        a["operation"] in JUDGED_OPERATIONS - unplugged
        and bool(a.get("task"))
        and (a["operation"], tid_of[id(a)]) not in made
        for a in attempts
    )


def _score_culprit(culprit: Row, named: Mapping[int, list[Row]], has_page_ref: bool, result: Score) -> set[int]:
    """Adds one culprit to the score; returns its pages with a wrong `proved`."""
    mechanism, held = MECHANISMS[mechanism_of(culprit)], held_pages(culprit)
    unseen = _is_taker_unseen(culprit, has_page_ref=has_page_ref)
    right = right_causes(culprit, has_page_ref=has_page_ref)
    rows = {pfn: named.get(pfn, []) for pfn in held}
    hits = {
        pfn: [row for row in of_page if row["cause"] in right or (unseen and _is_honest(row, right))]
        for pfn, of_page in rows.items()
    }
    good = sum(1 for of_page in hits.values() if of_page)
    result.culprits += 1
    result.culprits_found += good > 0
    if has_page_ref and mechanism.by_page:
        result.counted += 1
        result.share += good / len(held)
    if has_page_ref or mechanism.held_by_file or mechanism.held_by_allocator:
        result.holders += 1
        result.holders_found += any(names_holder(row, culprit) for of_page in hits.values() for row in of_page)
    return {pfn for pfn, of_page in rows.items() if any(_is_wrong(row, culprit, right) for row in of_page)}


def _is_honest(row: Row, right: set[str]) -> bool:
    """Whether a row claims nothing surer than it can and does not exclude the truth: right where no event tells."""
    return row["verdict"] != "proved" and not right.isdisjoint(row["candidates"])


def _is_wrong(row: Row, culprit: Row, right: set[str]) -> bool:
    """Whether a row on a culprit's page claims as proved what is not so: another cause, or another holder."""
    if row["verdict"] == "proved" and row["cause"] not in right | ALSO_TRUE:
        return True
    holder_is_proved = row.get("holder_verdict") == "proved" and bool(row.get("holder"))
    return row["cause"] in right and holder_is_proved and not names_holder(row, culprit)


def _score_innocent(truth: Truth, named: Mapping[int, list[Row]], result: Score) -> set[int]:
    """Counts what is said of pages that blocked nothing; returns those with a `proved`."""
    labelled = _labelled(truth)
    tasks = [*truth["others"], *truth["culprits"]]
    hogs = _union(_pages(task) for task in tasks if task["mechanism"] == INNOCENT_MECHANISM)
    innocent = hogs | (_union(_pages(task) for task in tasks if task["role"] in INNOCENT_ROLES) - labelled)
    if truth.get("exhaustive"):
        innocent |= named.keys() - labelled
    false, blanket, wrong = set[int](), set[int](), set[int]()
    for pfn in innocent & named.keys():
        # A page that only delayed the attempt was moved in the end: that is no blame.
        for row in (row for row in named[pfn] if row["effect"] != "delayed"):
            (blanket if row["cause"] in BLANKET_CAUSES else false).add(pfn)
            if row["verdict"] == "proved":
                wrong.add(pfn)
    result.false_pages, result.blanket = len(false), len(blanket)
    return wrong


def _labelled(truth: Truth) -> set[int]:
    """Pages of which the truth says that something held them, always or for a time."""
    planted = _union(_pages(culprit) | held_pages(culprit) for culprit in truth["culprits"])
    later = _union(held_pages(culprit) for culprit in truth.get("post_hoc_culprits") or [])
    return planted | later | _held_for_a_time(truth)


def _held_for_a_time(truth: Truth) -> set[int]:
    """Pages that blocked one long-term pin while it was tried, or that a task took and released again."""
    pinned = {pin["reference_pfn"] for pin in truth.get("longterm_pins") or []}
    return pinned | _union(set(episode.get("pfns") or []) for episode in truth.get("episodes") or [])


def _union(sets: Iterable[set[int]]) -> set[int]:
    return set[int]().union(*sets)

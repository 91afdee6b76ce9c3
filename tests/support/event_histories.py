"""Short histories of a machine's pages, written as ftrace text and read as any trace: what a kernel may well do.

Each call adds one event, 2 us after the one before; counts, mappings and flags of the pages are kept as the kernel
would, so that a history that is written is a history that may happen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import tracereplay
from tracereplay.model.result import Culprit, Result

MS, S = 1_000, 1_000_000
TICK = 100 * MS
PFN = 0x1E010
ELSEWHERE = 0x1000F
AREA, AREA_END = 0x1E000, 0x1E400
BLOCK, BLOCK_END = 0x18000, 0x20000
MOVABLE = "GFP_HIGHUSER_MOVABLE|__GFP_ZERO"
ANON_MAPPING, FILE_MAPPING = 0xFFFF888004A1C201, 0xFFFF888005B00000
LAYOUT = """
page_size = 0x1000
memory_block_size = "128MiB"
pageblock_order = 9
[[zone]]
name = "Normal"
start_pfn = 0x10000
pages = 0x20000
"""


class Who(NamedTuple):
    """A task, the CPU it runs on, and the context: "." its own, "h" a hardirq, "s" a softirq."""

    comm: str
    tid: int
    cpu: int = 0
    context: str = "."


A, B, C = Who("task-a", 101), Who("task-b", 102), Who("task-c", 103)
DRIVER = Who("cma-driver", 500, 1)
PROVED = ["task_reference proved, task-a proved"]  # what `told` says of `held_by()`


@dataclass(slots=True)
class Page:
    """What an event prints of a page."""

    count: int = 0
    mapcount: int = -1
    mapping: int = 0
    flags: set[str] = field(default_factory=set)
    isolated_by: int | None = None

    def __str__(self) -> str:
        flags = "|".join(sorted(self.flags)) or "none"
        return f"flags={flags} count={self.count} mapcount={self.mapcount} mapping={self.mapping:016x} mt=4"


class History:
    """Events in order; `us` is the time of the next."""

    def __init__(self, cpus: int = 2, not_recorded: Iterable[str] = ()) -> None:
        self.cpus = cpus
        self.us = S
        self.pages: dict[int, Page] = {}
        self.lines: list[tuple[int, str]] = []
        self.not_recorded = set(not_recorded)  # kinds of events
        self._another_page()

    def _another_page(self) -> None:
        """Every kind of event occurs, on a page that has nothing to do with the rest."""
        self.chatter((0, 1))
        self.cached(Who("other", 90), ELSEWHERE, ino=5)
        self.get(Who("other", 90), ELSEWHERE)
        self.put(Who("other", 90), ELSEWHERE)
        self.freeze(Who("other", 90), ELSEWHERE)

    def event(self, who: Who, text: str, at_us: int | None = None) -> None:
        """Any event."""
        when = self.us if at_us is None else at_us
        if text.split(":", 1)[0] not in self.not_recorded:
            name = f"{who.comm}-{who.tid}"
            stamp = f"{when // S}.{when % S:06d}"
            self.lines.append((when, f"{name:>22} [{who.cpu:03d}] ..{who.context}.. {stamp}: {text}"))
        self.us += 2

    def chatter(self, cpus: Iterable[int]) -> None:
        """Something that has nothing to do with memory: these CPUs record."""
        for cpu in cpus:
            self.event(Who("other", 90 + cpu, cpu), "sched_waking: comm=init pid=1 prio=120 target_cpu=000")

    def wait(self, us: int, cpus: Iterable[int] = (0, 1)) -> None:
        """Nothing happens to memory for so long; these CPUs record all the time."""
        end = self.us + us
        while end - self.us > TICK:
            self.us += TICK
            self.chatter(cpus)
        self.us = max(self.us, end)

    # -- references ----------------------------------------------------------------------------------------------------

    def _ref(self, who: Who, kind: str, pfn: int, val: int, ret: str, at_us: int | None) -> None:
        page = self.pages[pfn]
        page.count += val
        self.event(who, f"{kind}: pfn={pfn:#x} {page} val={val}{ret}", at_us)

    def get(self, who: Who, pfn: int = PFN, val: int = 1, at_us: int | None = None) -> None:
        """folio_try_get(): GUP, splice, isolation, lookups."""
        self._ref(who, "page_ref_mod_unless", pfn, val, " ret=1", at_us)

    def mod(self, who: Who, pfn: int = PFN, val: int = 1) -> None:
        """folio_get(): page cache, LRU batch, mappings."""
        self._ref(who, "page_ref_mod", pfn, val, "", None)

    def put(self, who: Who, pfn: int = PFN, val: int = 1, at_us: int | None = None) -> None:
        """folio_put()."""
        self._ref(who, "page_ref_mod_and_test", pfn, -val, " ret=0", at_us)

    def freeze(self, who: Who, pfn: int = PFN) -> None:
        """The page was migrated and freed."""
        page = self.pages[pfn]
        val, page.count = page.count, 0
        self.event(who, f"page_ref_freeze: pfn={pfn:#x} {page} val={val} ret=1")
        self.event(who, f"mm_page_free: page=00000000deadbeef pfn={pfn:#x} order=0")

    # -- pages ---------------------------------------------------------------------------------------------------------

    def alloc(self, who: Who, pfn: int = PFN, gfp: str = MOVABLE, migratetype: int = 1) -> None:
        """A page out of the allocator."""
        self.pages[pfn] = Page(count=1)
        self.event(who, f"page_ref_set: pfn={pfn:#x} {self.pages[pfn]} val=1")
        self.event(
            who,
            f"mm_page_alloc: page=00000000deadbeef pfn={pfn:#x} order=0 migratetype={migratetype} gfp_flags={gfp}",
        )

    def anon(self, who: Who, pfn: int = PFN, flags: Iterable[str] = (), mapping: int = ANON_MAPPING) -> None:
        """A fault on anonymous memory: mapped once, on the LRU, no reference too many."""
        self.alloc(who, pfn)
        page = self.pages[pfn]
        page.mapcount, page.mapping, page.flags = 0, mapping, {"dirty", "swapbacked", "uptodate", *flags}
        self.mod(who, pfn)
        page.flags.add("lru")
        self.put(who, pfn)

    def old_anon(self, who: Who, pfn: int = PFN, extra: int = 1) -> None:
        """Anonymous memory of before the trace, with references that were taken then; an unmap of one more shows it."""
        flags = {"dirty", "lru", "swapbacked", "uptodate"}
        self.pages[pfn] = Page(2 + extra, 0, ANON_MAPPING, flags)
        self.put(who, pfn)

    def folio(self, who: Who, order: int, count: int = 1, mapcount: int = -1, pfn: int = PFN) -> None:
        """A large anonymous folio: mapped by a PMD (one reference, _mapcount of the head -1), or by `count` PTEs."""
        self.pages[pfn] = page = Page(count=1)
        self.event(who, f"page_ref_set: pfn={pfn:#x} {page} val=1")
        self.event(
            who, f"mm_page_alloc: page=00000000deadbeef pfn={pfn:#x} order={order} migratetype=1 "
            "gfp_flags=GFP_TRANSHUGE",
        )  # fmt: skip
        page.mapping, page.mapcount = ANON_MAPPING, mapcount
        page.flags = {"dirty", "head", "swapbacked", "uptodate"}
        self.mod(who, pfn, count)  # its PTEs but one, and the LRU batch
        page.flags.add("lru")
        self.put(who, pfn)

    def rmap(self, change: int, pfn: int = PFN) -> None:
        """Mappings come and go without an event of their own."""
        self.pages[pfn].mapcount += change

    def truncate(self, who: Who, pfn: int = PFN) -> None:
        """The page leaves the cache of its file, which drops its reference."""
        self.event(who, f"mm_filemap_delete_from_page_cache: dev 254:0 ino c pfn={pfn:#x} ofs=0 order=0")
        self.pages[pfn].mapping = 0
        self.put(who, pfn)

    def pass_over(self, pfn: int = PFN) -> None:
        """isolate_migratepages_block() gets the page, will not have it, and lets go."""
        self.get(DRIVER, pfn)
        self.put(DRIVER, pfn)

    def cached(
        self, who: Who, pfn: int = PFN, dev: str = "254:0", ino: int = 12, state: Iterable[str] = ("uptodate",),
        index: int = 0, mapping: int = FILE_MAPPING,
    ) -> None:  # fmt: skip
        """A page of a file's cache, not mapped; with PG_private it has buffers and their reference."""
        self.alloc(who, pfn, "GFP_NOFS|__GFP_MOVABLE|__GFP_HARDWALL")
        page = self.pages[pfn]
        page.mapping, page.flags = mapping, {"locked"}
        self.mod(who, pfn)
        self.event(who, f"mm_filemap_add_to_page_cache: dev {dev} ino {ino:x} pfn={pfn:#x} ofs={index << 12} order=0")
        page.flags |= {"lru", *state}
        page.flags -= {"locked"} - set(state)
        if "private" in page.flags:
            self.mod(who, pfn)
        self.put(who, pfn)

    # -- attempts ------------------------------------------------------------------------------------------------------

    def cma_start(self) -> None:
        """cma_alloc() of the area by DRIVER."""
        self.wait(1 * MS)
        self.event(DRIVER, f"cma_alloc_start: name=reserved count={AREA_END - AREA} align=0")

    def isolate(self, pfns: Sequence[int] = (PFN,), who: Who = DRIVER) -> None:
        """isolate_migratepages() finds the pages and takes them off the LRU; what another has isolated it leaves."""
        for pfn in pfns:
            page = self.pages[pfn]
            self.get(who, pfn)
            if "lru" in page.flags:
                page.flags -= {"lru"}
                page.isolated_by = who.tid
            else:
                self.put(who, pfn)

    def scan(self, taken: int) -> None:
        """The end of isolate_migratepages_range()."""
        self.event(
            DRIVER, f"mm_compaction_isolate_migratepages: range=({AREA:#x} ~ {AREA_END:#x}) nr_scanned=1024 "
            f"nr_taken={taken}",
        )  # fmt: skip

    def migrate_start(self, reason: str = "contig_range", who: Who = DRIVER) -> None:
        """migrate_pages() begins."""
        self.event(who, f"mm_migrate_pages_start: mode=MIGRATE_SYNC reason={reason}")

    def migrate_end(self, failed: int, reason: str = "contig_range", who: Who = DRIVER, moved: int = 0) -> None:
        """migrate_pages() ends."""
        self.event(
            who, f"mm_migrate_pages: nr_succeeded={moved} nr_failed={failed} nr_thp_succeeded=0 nr_thp_failed=0 "
            f"nr_thp_split=0 nr_split=0 mode=MIGRATE_SYNC reason={reason}",
        )  # fmt: skip

    def put_back(self, pfns: Sequence[int] = (PFN,), who: Who = DRIVER) -> None:
        """putback_movable_pages()."""
        for pfn in pfns:
            page = self.pages[pfn]
            if page.isolated_by == who.tid:
                self.mod(who, pfn)  # folio_add_lru(), drained at once while lru_cache_disable() holds
                page.flags.add("lru")
                page.isolated_by = None
                self.put(who, pfn)
                self.put(who, pfn)

    def cma_end(self, first: int | None = PFN, passing: Sequence[tuple[Who, int]] = ()) -> None:
        """The test of the range, and the end; first -- the page that is in the way, None: success.

        passing -- references of a few microseconds, held at the test.
        """
        for who, pfn in passing:
            self.get(who, pfn)
        result = f"fin_pfn={AREA_END if first is None else first:#x} ret={'success' if first is None else 'fail'}"
        self.event(DRIVER, f"test_pages_isolated: start_pfn={AREA:#x} end_pfn={AREA_END:#x} {result}")
        for who, pfn in passing:
            self.put(who, pfn)
        what = f"pfn={AREA:#x} page=00000000deadbeef" if first is None else f"pfn={AREA:#x} page=(null)"
        errno = 0 if first is None else -16
        self.event(DRIVER, f"cma_alloc_finish: name=reserved {what} count=1024 align=0 errorno={errno}")
        self.wait(1 * MS)

    def failing_cma(self, pfns: Sequence[int] = (PFN,), passing: Sequence[tuple[Who, int]] = ()) -> None:
        """A whole attempt that cannot move these pages."""
        self.cma_start()
        self.isolate(pfns)
        self.scan(len(pfns))
        self.migrate_start()
        self.migrate_end(len(pfns))
        self.put_back(pfns)
        self.cma_end(pfns[0], passing)

    # -- answers -------------------------------------------------------------------------------------------------------

    def text(self) -> str:
        """The trace, sorted by time as ftrace prints it."""
        lines = [line for _, line in sorted(self.lines, key=lambda one: one[0])]
        number = len(lines)
        return (
            f"# tracer: nop\n#\n# entries-in-buffer/entries-written: {number}/{number}   #P:{self.cpus}\n#\n"
            + "\n".join(lines)
            + "\n"
        )

    def blame(self, folder: Path) -> Result:
        """What the tool makes of it."""
        if self.us < 2 * S:
            self.chatter((0, 1))  # both CPUs record to the end: a short excerpt could not show it otherwise
        (folder / "trace.txt").write_text(self.text())
        (folder / "layout.toml").write_text(LAYOUT)
        return tracereplay.open(folder / "trace.txt", layout=folder / "layout.toml").blame()


def culprits(result: Result, pfn: int = PFN) -> list[Culprit]:
    """Every row on this page."""
    rows = (row for attempt in result.attempts for row in attempt.culprits)
    return [row for row in rows if (row.start_pfn or 0) <= pfn < (row.start_pfn or 0) + row.pages]


def told(result: Result, pfn: int = PFN) -> list[str]:
    """What is claimed of this page, a line per row: `task_reference suggested (whose), task-a suggested`."""
    return [
        f"{row.cause} {row.verdict}"
        + (f" ({', '.join(row.premises_failed)})" if row.premises_failed else "")
        + (f", {row.holder.comm} {row.holder_verdict}" if row.holder else "")
        for row in culprits(result, pfn)
    ]


def held_by(who: Who = A, history: History | None = None, putter: Who | None = None) -> History:
    """B's page, of which another task takes a reference, keeps it over a failing attempt, and gives it back."""
    h = history or History()
    h.anon(B)
    h.get(who)
    h.failing_cma()
    h.put(putter or who)
    return h


def only(result: Result, pfn: int = PFN) -> Culprit:
    """The one row on the page."""
    (row,) = culprits(result, pfn)
    return row

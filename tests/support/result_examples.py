"""Results built by hand, shaped like what real captures give: for tests of reports, tables and rules."""

from __future__ import annotations

from tracereplay.model.result import (
    Allocation,
    Attempt,
    Blame,
    CmaArea,
    Counter,
    Culprit,
    DataLoss,
    Evidence,
    File,
    Input,
    LayoutSummary,
    PageCounts,
    Request,
    Result,
    Stack,
    Task,
    Tool,
    Try,
    Wait,
)
from tracereplay.model.summary import summarise

SECOND = 1_000_000_000
DRIVER = Task(tid=149, pid=149, comm="cma-driver")


def trace(**changes: object) -> Input:
    """A trace of a 6.12 kernel with page_ref events."""
    values = {
        "id": "i0",
        "path": "cma_pin_vmsplice/trace.dat",
        "role": "trace",
        "format": "trace.dat v7",
        "kernel": "6.12.117",
        "clock": "local",
        "events": 280_249,
        "start_ns": 5 * SECOND,
        "end_ns": 7_900_000_000,
        "capture_level": 2,
        "capabilities": ["page_ref"],
    }
    return Input(**(values | changes))  # type: ignore[arg-type]


def loss(**changes: object) -> DataLoss:
    """A ring buffer overrun on CPU 1."""
    values = {
        "id": "l0",
        "input_id": "i0",
        "code": "overrun",
        "severity": "loss",
        "count": 235_100,
        "cpu": 1,
        "start_ns": None,
        "end_ns": 14_800_000_000,
        "advice": "Record with a larger buffer (trace-cmd record -b KB per CPU), or fewer events.",
    }
    return DataLoss(**(values | changes))  # type: ignore[arg-type]


def culprit(**changes: object) -> Culprit:
    """One page held by the reference of a vmsplice, proved."""
    values = {
        "id": "c0",
        "start_pfn": 0x1E403,
        "pages": 1,
        "cause": "task_reference",
        "verdict": "proved",
        "effect": "blocked",
        "blocked_tries": [(0, 16)],
        "holder": Task(tid=145, comm="pin-vmsplice"),
        "holder_verdict": "proved",
        "allocated_by": Allocation(tid=145, comm="pin-vmsplice", gfp="GFP_HIGHUSER_MOVABLE", order=0),
        "held_since_ns": 6_130_493_000,
        "released_ns": 8_600_000_000,
        "release": "seen",
        "evidence": [
            Evidence(
                event="page_ref_mod_unless",
                time_ns=6_130_493_000,
                tid=145,
                cpu=1,
                text="val=1 ret=1 count=3",
                stack_id="s0",
            )
        ],
    }
    return Culprit(**(values | changes))  # type: ignore[arg-type]


def attempt(**changes: object) -> Attempt:
    """A CMA allocation that failed after 17 tries, without culprits."""
    start = 6_437_593_000
    values = {
        "id": f"cma_alloc-149-{start}",
        "input_id": "i0",
        "operation": "cma_alloc",
        "area": "reserved",
        "task": DRIVER,
        "start_ns": start,
        "end_ns": 7_277_852_000,
        "request": Request(pages=65_520, align_order=0),
        "outcome": "failed",
        "outcome_basis": "event",
        "errno": "EBUSY",
        "tries": [
            Try(
                index=n,
                start_pfn=0xFC00 + n,
                end_pfn=0xFC00 + n + 65_520,
                start_ns=start + n * 50_000_000,
                end_ns=start + (n + 1) * 50_000_000,
                result="EBUSY",
                first_blocking_pfn=0x1E403,
            )
            for n in range(17)
        ],
    }
    return Attempt(**(values | changes))  # type: ignore[arg-type]


def result(*attempts: Attempt, **changes: object) -> Result:
    """A document with one trace and these attempts."""
    values = {
        "tool": Tool(version="0.1.0", argv=["blame", "trace.dat"]),
        "inputs": [trace()],
        "attempts": list(attempts),
        "stacks": [Stack(id="s0", frames=["try_get_folio", "gup_fast_fallback", "__do_sys_vmsplice"])],
        "layout": LayoutSummary(
            page_size=4096,
            source="snapshot",
            cma_areas=[CmaArea(name="reserved", start_pfn=0xFC00, pages=65_536)],
        ),
    }
    values["summary"] = summarise(attempts)
    return Result(**(values | changes))  # type: ignore[arg-type]


def pinned() -> Result:
    """Two pinners, one of them gone; two later attempts went well."""
    dead = Task(tid=148, comm="pin-dead")
    failed = attempt(
        cause="task_reference",
        pages=PageCounts(requested=65_520, free=60_300, moved=5_208, held=12, not_seen=0),
        culprits=[
            culprit(primary=True),
            culprit(id="c1", start_pfn=0x1E405, pages=7),
            culprit(id="c2", start_pfn=0x1EDBF, holder=dead, allocated_by=None, held_since_ns=6_350_000_000),
            culprit(id="c3", start_pfn=0x1EDC1, pages=3, holder=dead, allocated_by=None, held_since_ns=6_350_000_000),
        ],
    )
    fine = [
        attempt(id=f"cma_alloc-{tid}", task=Task(tid=tid, comm="cma-driver"), request=Request(pages=pages),
                outcome="succeeded", errno=None, tries=[])
        for tid, pages in ((150, 256), (151, 65_264))
    ]  # fmt: skip
    blame = Blame(
        cause="task_reference", holder="pin-vmsplice", attempts=1, tries=17, pages=8, page_tries=136,
        held_ns_max=2_469_507_000, delay_ns=0, proved=1, suggested=0,
    )  # fmt: skip
    return result(failed, *fine, blame=[blame], counters=counters())


def counters() -> list[Counter]:
    """The area fills up, and a driver takes part of it."""
    told = {"free": [9_000, 6_000, 0], "allocated": [500, 3_800, 700], "cma_alloc": [0, 0, 64_836]}
    told["not_seen"] = [65_536 - sum(pages) for pages in zip(*told.values(), strict=True)]
    return [
        Counter(input_id="i0", scope="reserved", name=name, time_ns=(5 + at) * SECOND, pages=number)
        for name, pages in told.items()
        for at, number in enumerate(pages)
    ]


def delayed() -> Result:
    """An allocation that succeeded after it waited for folios a FUSE server kept locked."""
    waited = culprit(
        start_pfn=0x1EDF1, pages=32, cause="locked_folio", effect="delayed", delay_ns=15_000_000_000,
        verdict="suggested", holder=None, holder_verdict="unknown", holder_name="fuse", blocked_tries=[],
        file=File(dev=24, ino=2, index=0, fs="fuse"), allocated_by=Allocation(tid=147, comm="fuse-reader"),
        held_since_ns=7_922_305_000, released_ns=23_300_000_000,
        capture_next=["While the attempt hangs, read where it sleeps: cat /proc/TID/stack"],
    )  # fmt: skip
    return result(
        attempt(
            outcome="succeeded", errno=None, end_ns=6_437_593_000 + 15_400_000_000, tries=[], culprits=[waited],
            pages=PageCounts(requested=65_520, free=61_105, moved=4_415, held=0, not_seen=0),
            waits=[Wait(kind="folio_lock", start_ns=8 * SECOND, end_ns=23 * SECOND)],
        )
    )  # fmt: skip


def mixed() -> Result:
    """Without page_ref: several kinds of culprits, found twice, and lost events."""
    buffers = [
        culprit(
            id=f"b{n}", start_pfn=0x1E603 + 5 * n, pages=1 + n % 3, cause="buffer_head", verdict="suggested",
            holder=None, holder_verdict="unknown", holder_name="ext4", allocated_by=None, held_since_ns=None,
            released_ns=None, release="held_at_end", file=File(dev=3, ino=0xFE00010, index=n), effect="would_block",
        )
        for n in range(20)
    ]  # fmt: skip
    head = culprit(
        id="h", start_pfn=0x1E000, pages=512, cause="extra_reference", verdict="suggested", primary=True, holder=None,
        holder_verdict="unknown", allocated_by=Allocation(tid=157, comm="pin-thp", order=9), held_since_ns=None,
        released_ns=None, release="unknown", candidates=["task_reference", "pin_short", "pin_longterm", "lru_batch"],
        weakened_by=["l0"],
        capture_next=["Record references of the range (CONFIG_DEBUG_PAGE_REF): trace-cmd record -e page_ref"],
    )  # fmt: skip
    seen = culprit(
        id="p", start_pfn=0x1F000, cause="preexisting", verdict="unknown", holder=None, allocated_by=None,
        holder_verdict="unknown", held_since_ns=None, released_ns=None, release="unknown", effect="would_block",
    )  # fmt: skip
    attempts = [
        attempt(id=f"cma_alloc-{tid}", task=Task(tid=tid, comm="cma-driver"), cause="extra_reference",
                start_ns=start * SECOND, end_ns=start * SECOND + 264_000_000, culprits=[head, *buffers, seen],
                pages=PageCounts(requested=60_404, free=52_000, moved=7_000, held=545, not_seen=859))
        for tid, start in ((158, 9), (161, 10), (166, 22))
    ]  # fmt: skip
    full = attempt(id="cma_alloc-170", cause="bitmap_full", errno="ENOMEM", tries=[], end_ns=6_437_700_000)
    blame = [
        Blame(cause="extra_reference", holder=None, attempts=3, tries=51, pages=512, page_tries=26_112,
              held_ns_max=None, delay_ns=0, proved=0, suggested=3),
        Blame(cause="buffer_head", holder="ext4", attempts=3, tries=0, pages=39, page_tries=0,
              held_ns_max=None, delay_ns=0, proved=0, suggested=3),
    ]  # fmt: skip
    return result(*attempts, full, data_loss=[loss(), loss(id="l1", cpu=0), loss(
        id="l2", code="page_ref_missing", severity="notice", count=None, cpu=None, end_ns=None,
        advice="Use a kernel with CONFIG_DEBUG_PAGE_REF and record -e page_ref to learn who holds pages.",
    )], blame=blame)  # fmt: skip


EXAMPLES = {"pinned": pinned, "delayed": delayed, "mixed": mixed, "nothing": result}

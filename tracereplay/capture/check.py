"""What a kernel and its settings can record, what that proves, and what is missing, with how to get it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tracereplay.capture import wanted
from tracereplay.capture.kernel import Kernel

OPTIONS = {
    "CONFIG_CMA": "CMA allocations", "CONFIG_CMA_DEBUGFS": "where CMA areas lie",
    "CONFIG_MEMORY_HOTREMOVE": "offlining of memory", "CONFIG_DEBUG_PAGE_REF": "every change of every reference count",
    "CONFIG_PAGE_OWNER": "who allocated pages older than the trace", "CONFIG_KPROBE_EVENTS": "who takes references",
}  # fmt: skip
# Of two events one is of older kernels: not missing where the other is there.
SUCCESSORS = {
    "cma/cma_alloc": "cma/cma_alloc_finish",
    "writeback/wait_on_page_writeback": "writeback/folio_wait_writeback",
}
TAKES = frozenset({"getf", "get", "get1"})


@dataclass(frozen=True, slots=True)
class Line:
    """One finding: ok, or what is missing; what it means; what to do."""

    ok: bool
    what: str
    means: str = ""
    todo: str = ""

    def __str__(self) -> str:
        text = f"{'ok      ' if self.ok else 'MISSING '}{self.what}"
        text += f": {self.means}" if self.means else ""
        return text + (f"\n          -> {self.todo}" if self.todo else "")


def findings(kernel: Kernel) -> Iterator[Line]:
    """Everything that matters, in order."""
    yield Line(True, f"kernel {kernel.release}, {kernel.machine}")
    if not kernel.privileged:
        yield Line(False, "root", "nothing can be recorded", "run it as root: sudo tracereplay check")
        return
    if kernel.locked_down:
        yield Line(False, "tracefs", "lockdown=confidentiality closes it", "boot with lockdown=integrity or none")
        return
    if kernel.no_tracefs:
        yield Line(False, "tracefs", kernel.no_tracefs)
    else:
        yield Line(True, "tracefs", kernel.tracefs)
        yield from _tracepoints(kernel)
        yield from _probes(kernel)
        yield from _proofs(kernel)
    yield from _settings(kernel)
    for option, means in OPTIONS.items() if kernel.config else ():
        ok = kernel.config.get(option) in ("y", "m")
        yield Line(ok, option, means, "" if ok else f"a kernel built with {option}=y")


def _tracepoints(kernel: Kernel) -> Iterator[Line]:
    for events, means in (
        (wanted.ATTEMPTS, "failed attempts and the pages in the way"),
        (wanted.PAGES, "who allocated pages, and which may move"),
        (wanted.CONSOLE, "the kernel log inside the trace"),
    ):
        events_due = [event for event in events if SUCCESSORS.get(event) not in kernel.events]
        lacking = [event.partition("/")[2] for event in events_due if event not in kernel.events]
        have = len(events_due) - len(lacking)
        what = f"{have} of {len(events_due)} tracepoints"
        yield Line(have > 0, what, means + (f" (not here: {', '.join(lacking)})" if lacking else ""))
    references = _has_page_ref(kernel)
    yield Line(
        references, "page_ref tracepoints", "every change of a reference count",
        "" if references else "CONFIG_DEBUG_PAGE_REF=y; kprobes do as well for get_user_pages()",
    )  # fmt: skip


def _has_page_ref(kernel: Kernel) -> bool:
    return any(event in kernel.events for event in wanted.REFERENCES)


def _probes(kernel: Kernel) -> Iterator[Line]:
    if not kernel.kprobes:
        yield Line(
            False, "kprobe events", "who holds a page is not known without page_ref",
            "CONFIG_KPROBES=y, CONFIG_KPROBE_EVENTS=y",
        )  # fmt: skip
        return
    tried = "" if kernel.tried else " (not tried: these are copies of files)"
    yield Line(bool(kernel.probes), f"{len(kernel.probes)} probes", ", ".join(kernel.probes) + tried)
    if kernel.refused:
        yield Line(False, "probes refused by the kernel", ", ".join(kernel.refused))
    if kernel.page is not None:
        page, source = kernel.page
        yield Line(True, f"struct page of {page.size} bytes", source)
    result = kernel.self_test
    if result is None:
        return
    yield Line(result.base is not None, "vmemmap_base", "page pointers become page frames")
    for way, seen in result.seen.items():
        means = "could not be tried here" if seen is None else "take and release of a page of our own"
        yield Line(seen is True, f"probes on {way}", means)
    for note in result.notes:
        yield Line(False, "proof of holders", note)


def _proofs(kernel: Kernel) -> Iterator[Line]:
    """Which failures can name a proved holder."""
    probes = frozenset(kernel.probes)
    takes = bool(probes & TAKES) and (kernel.self_test is None or kernel.self_test.base is not None)
    has_cma = any(event.startswith("cma/") for event in kernel.events)
    failures = [("memory offline", {"mig", "ttm"}), *([("CMA allocation", {"imb"})] if has_cma else [])]
    for failure, counting in failures:
        by_probes = takes and bool(probes & counting)
        means = "page_ref tracepoints" if _has_page_ref(kernel) else "the count that refused the page, by probes"
        ok = by_probes or _has_page_ref(kernel)
        yield Line(ok, f"proof of holders of a failing {failure}", means if ok else "nothing reads the count")


def _settings(kernel: Kernel) -> Iterator[Line]:
    yield Line(
        kernel.cma_debugfs, "debugfs cma", "where CMA areas lie",
        "" if kernel.cma_debugfs else "CONFIG_CMA_DEBUGFS=y, if the kernel has CMA",
    )  # fmt: skip
    yield Line(
        kernel.page_owner, "page_owner", "who allocated pages older than the trace",
        "" if kernel.page_owner else "CONFIG_PAGE_OWNER=y, and boot with page_owner=on",
    )  # fmt: skip
    if kernel.hidden_symbols:
        means = "kernel.kptr_restrict=2 hides it: stacks of takes name no call"
        yield Line(False, "where kernel functions are", means, "sysctl kernel.kptr_restrict=1")
    blocks = kernel.memory_blocks
    yield Line(blocks > 0, f"{blocks} memory blocks", "offlining", "" if blocks else "CONFIG_MEMORY_HOTPLUG=y")

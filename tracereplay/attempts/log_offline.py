"""Offlines of memory blocks in a kernel log: who says that they failed, and the pages that they named before.

offline_pages() prints an end (`memory offlining [mem ..] failed due to ..`, `Offlined Pages N`), since 5.11 with
dynamic debug only. Whoever requested it adds a line: ACPI, pseries, virtio-mem, a shell, daxctl, chmem.
"""

from __future__ import annotations

from tracereplay.attempts.log_calls import LOOP_NS, TRIES_NS, Call, Row, call_of, follows
from tracereplay.units import NS_PER_S

# offline_pages() (mm/memory_hotplug.c): reason printed -> (errno, cause that blames no page or None).
# A notifier's errno is whatever it returned; -EBUSY and -ENOMEM both come out of dissolving huge pages.
OFFLINE_REASONS: dict[str, tuple[str | None, str | None]] = {
    "memory holes": ("EINVAL", "not_isolatable"),
    "multizone range": ("EINVAL", "not_isolatable"),
    "failure to isolate range": ("EBUSY", None),
    "notifier failure": (None, "notifier_veto"),
    "signal backoff": ("EINTR", "interrupted"),
    "unmovable page": ("EBUSY", None),
    "failure to dissolve huge pages": (None, "hugetlb"),
}
UNMOVABLE = "unmovable page"
# do_migrate_range() loops: a success of the same call comes soon after the last page that did not move.
SUCCESS_NS = 5 * NS_PER_S
# One request of a hypervisor tries block after block.
REQUEST_NS = 60 * NS_PER_S
# A log that somebody prints after the command that failed begins so many lines later at most.
LINES_TO_LOG = 40
ENDS = frozenset({"offline_failed", "block_failed", "tool_failed", "shell_failed", "virtio_failed", "boot_memory"})
KINDS = ENDS | {"offlined", "offline_begins", "tool_begins", "tool_succeeded", "request_failed", "hot_removed", "veto"}


class OfflineCalls:
    """Takes lines in the order in which they were printed; `calls` holds what they were."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._open: dict[int | None, Call] = {}
        self._ended: dict[int | None, Call] = {}
        self._veto: Row | None = None
        self._request: Row | None = None  # the line that said that a hypervisor's request failed

    def page(self, row: Row) -> Call:
        """A page that an offline could not move: a dump, or a line that names it."""
        unmovable = row.get("reason") == UNMOVABLE
        call = self._open.get(row["tid"]) or self._by_tool(row)
        if call is None or not follows(call.last, row, LOOP_NS) or not _same_search(call, row, unmovable):
            call = self._begin(row)
        else:
            call.take(row)
        call.evidence.append(row)
        if unmovable:  # isolating the range fails with the first such page
            call.outcome, call.errno = "failed", "EBUSY"
        return call

    def _by_tool(self, row: Row) -> Call | None:
        """The call that a shell or tool said to have failed, where the log is shown after it."""
        call = self._ended.get(None)
        by_tool = call is not None and call.last.get("kind") in ("shell_failed", "tool_failed") and not call.evidence
        if call is None or not by_tool or abs(row["line"] - call.last["line"]) > LINES_TO_LOG:
            return None
        call.outcome = "unknown"  # until the page says how
        return call

    def adopt(self, call: Call) -> None:
        """Page dumps of which it turns out that an offline made them."""
        call.operation = "memory_offline"
        self.calls.append(call)
        self._open[call.tid] = call

    def take(self, row: Row) -> Call | None:
        """The call that the message belongs to; None where it is of none."""
        kind = row["kind"]
        if kind == "veto":
            self._veto = row
            return None
        if kind in ("offline_begins", "tool_begins"):
            call = self._begin(row)
            call.area = row["area"]
            _set_range(call, row)
            return call
        if kind == "offlined":
            return self._offlined(row)
        if kind == "tool_succeeded":
            return self._tool_succeeded(row)
        if kind == "hot_removed":
            return self._hot_removed(row)
        if kind == "request_failed":
            return self._request_failed(row)
        return self._failed(row)

    def _begin(self, row: Row) -> Call:
        call = call_of(row, "memory_offline")
        self.calls.append(call)
        self._open[row["tid"]] = call
        return call

    def _failed(self, row: Row) -> Call | None:
        call = self._failing(row)
        if call is None:
            if row["kind"] == "shell_failed":  # alone it says nothing of memory
                return None
            call = self._begin(row)
            call.rows.clear()
        errno, cause = OFFLINE_REASONS.get(row["reason"] or "", (None, None))
        call.fail(row, row["errno"])
        call.errno = errno or call.errno
        call.outcome = "interrupted" if call.errno == "EINTR" else "failed"
        call.cause = cause or call.cause
        call.area = row["area"] or call.area
        _set_range(call, row)
        vetoed = row["kind"] == "boot_memory" or (self._veto is not None and follows(self._veto, row, TRIES_NS))
        if vetoed and not call.evidence:
            call.cause = call.cause or "notifier_veto"
        self._veto = None
        self._open.pop(row["tid"], None)
        self._ended[row["tid"]] = call
        return call

    def _failing(self, row: Row) -> Call | None:
        """The call that this line says to have failed: one that is open, or that just ended and another tells of."""
        call = self._open.get(row["tid"])
        if call is not None and follows(call.last, row, LOOP_NS) and _may_be(call, row):
            return call
        ended = self._ended.get(row["tid"])
        said_twice = ended is not None and row["kind"] != ended.last.get("kind") and follows(ended.last, row, TRIES_NS)
        if ended is not None and said_twice and ended.outcome != "succeeded" and _may_be(ended, row):
            return ended
        return None

    def _offlined(self, row: Row) -> Call:
        call = self._open.get(row["tid"])
        same = call is not None and call.outcome == "unknown" and follows(call.last, row, SUCCESS_NS)
        if call is None or not same:
            call = self._begin(row)
        else:
            call.take(row)
        call.outcome, call.pages = "succeeded", row["pages"]
        self._open.pop(row["tid"], None)
        self._ended[row["tid"]] = call
        return call

    def _tool_succeeded(self, row: Row) -> Call | None:
        """A test script ends the line that it began."""
        call = self._open.get(row["tid"])
        if call is None or call.last.get("kind") != "tool_begins":
            return None
        call.take(row)
        call.outcome = "succeeded"
        self._open.pop(row["tid"])
        return call

    def _hot_removed(self, row: Row) -> Call:
        """pseries removes blocks that went offline before, and says so for each; those may have been logged."""
        waiting = [
            c for c in self.calls if c.outcome == "succeeded" and c.address is None and follows(c.last, row, REQUEST_NS)
        ]
        if waiting:
            call = waiting[0]
            call.take(row)
        else:
            call = self._begin(row)
            self._open.pop(row["tid"], None)
            call.outcome = "succeeded"
        call.address = row["address"]
        return call

    def _request_failed(self, row: Row) -> Call:
        """The request as a whole failed: because of the blocks that did, where those were logged."""
        again = self._request is not None and follows(self._request, row, REQUEST_NS)
        failed = [
            c for c in self.calls[-1:] if c.outcome != "succeeded" and (again or follows(c.last, row, REQUEST_NS))
        ]
        self._request = row
        self._open.pop(row["tid"], None)
        if failed:
            call = failed[0]
            call.fail(row)
        else:
            call = call_of(row, "memory_offline")
            call.outcome = "failed"
            self.calls.append(call)
        call.address = row["address"] if row["address"] is not None else call.address
        return call


def shown(calls: list[Call]) -> list[Call]:
    """Without commands of which nothing more is known: they may be prose."""
    return [
        call
        for call in calls
        if not (call.outcome == "unknown" and len(call.rows) == 1 and call.first.get("kind") == "tool_begins")
    ]


def _same_search(call: Call, row: Row, unmovable: bool) -> bool:
    """Whether a further page is one that the same call met. Isolating stops at one page, and may be tried again."""
    if call.outcome == "unknown":
        return not (unmovable and call.evidence)
    before = call.evidence[-1] if call.evidence else None
    if before is None or not unmovable:
        return False
    return bool(before["pfn"] == row["pfn"] and before.get("address") == row.get("address"))


def _may_be(call: Call, row: Row) -> bool:
    """Whether what both tell of area and range agrees."""
    if call.area is not None and row["area"] is not None and call.area != row["area"]:
        return False
    if row["address"] is not None and call.address is not None and call.size_bytes is not None and row["bytes"]:
        low, high = row["address"], row["address"] + row["bytes"]
        if not (low <= call.address < high or call.address <= low < call.address + call.size_bytes):
            return False
    start, pages = row["start_pfn"], row["pages"]
    if start is None or not pages:
        return True
    named = [one["pfn"] for one in call.evidence if one["pfn"] is not None]
    return all(start <= pfn < start + pages for pfn in named)


def _set_range(call: Call, row: Row) -> None:
    if row["address"] is not None:
        call.address, call.size_bytes = row["address"], row["bytes"]
    if row["start_pfn"] is not None:
        call.start_pfn, call.pages = row["start_pfn"], row["pages"]

"""Probe events -> entries of the page stream."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracereplay.parsers.catalog.probes import FOLL_FROM_6_3, FOLL_UP_TO_6_2, FollFlags, Role, Slot
from tracereplay.parsers.probes.folios import Folios
from tracereplay.parsers.probes.moves import not_isolated, refused_and_moved
from tracereplay.parsers.probes.part import Part, part_of_rows
from tracereplay.parsers.probes.rows import NOT_FETCHED, Ints, ProbeRows, following
from tracereplay.schema import COUNT, ORDER, PFN, RET, VAL, Op, PageStream

GUP_PIN_COUNTING_BIAS = 1024  # include/linux/mm.h, since 5.7: a small folio's count rises by it with each pin
SAME_RELEASE_NS = 1_000_000  # gup_put_folio inside unpin_user_folio comes within microseconds; slow under emulation
PAGE_BYTES = 4096


def foll_flags(rows: Sequence[ProbeRows], kernel: str | None = None) -> FollFlags:
    """Which numbers FOLL_* have: by the kernel's version, for want of anything in the trace that says so; where that is
    not known, those by which (nearly) every recorded event takes a reference."""
    version = re.match(r"(\d+)\.(\d+)", kernel or "")
    if version:
        return FOLL_FROM_6_3 if (int(version[1]), int(version[2])) >= (6, 3) else FOLL_UP_TO_6_2
    flags = [one.get(Slot.FLAGS, 0) for one in rows if one.role is Role.TAKE]
    taken = np.concatenate(flags) if flags else np.empty(0, np.int64)
    new = any(one.name in ("getf", "upf") for one in rows)  # functions of 6.11 and later
    fits = {one: int((taken & one.taking != 0).sum()) for one in (FOLL_UP_TO_6_2, FOLL_FROM_6_3)}
    if new or fits[FOLL_FROM_6_3] > fits[FOLL_UP_TO_6_2]:
        return FOLL_FROM_6_3
    return FOLL_UP_TO_6_2


@dataclass(frozen=True, slots=True)
class Decoder:
    """What is known from the whole trace, by which its events are read."""

    folios: Folios
    foll: FollFlags
    swap_cache: int = 0  # page flags of a folio in the swap cache

    def parts(self, rows: Sequence[ProbeRows]) -> list[Part]:
        """Entries of the page stream for these events, not yet in order."""
        takes = [self._takes(one) for one in rows if one.role is Role.TAKE]
        drops = [self._drops(one) for one in _without_inner(rows, self.folios)]
        drops += [self._bio_drops(one) for one in rows if one.role is Role.BIO_DROP]
        changes = [part for part in (*takes, *drops) if len(part)]
        _note_lost(changes)
        tests = [not_isolated(one, self.folios, self.swap_cache) for one in rows if one.role is Role.ISOLATE_TEST]
        return [*changes, *refused_and_moved(rows, self.folios), *tests]

    def _takes(self, rows: ProbeRows) -> Part:
        """References and pins. What FOLL_REMOTE takes without a pin is released inline at once: ptrace, exec's
        arguments, /proc/PID/cmdline; no probe sees that, and no event keeps it."""
        flags = rows.get(Slot.FLAGS, 0)
        pins = flags & self.foll.pin != 0
        passing = (flags & self.foll.remote != 0) & ~pins
        rows = rows.take((flags & self.foll.taking != 0) & ~passing)
        part = part_of_rows(rows, self.folios.heads(rows), self.folios)
        pins = rows.get(Slot.FLAGS, 0) & self.foll.pin != 0
        part.op[:] = np.where(pins, Op.PROBE_PIN, Op.PROBE_GET)
        part.args[:, VAL] = self._counted(rows.get(Slot.REFS, 1), pins, part.args[:, ORDER])
        is_head = self.folios.pfns(_pointers(rows)) == part.args[:, PFN]
        count = rows.get(Slot.COUNT, -1)
        part.args[:, COUNT] = np.where(is_head & (count != NOT_FETCHED), count, -1)
        return part.kept()

    def _drops(self, rows: ProbeRows) -> Part:
        part = part_of_rows(rows, self.folios.heads(rows), self.folios)
        pins = np.full(len(rows), rows.name != "pcpbr")
        if Slot.FLAGS in rows.values:
            pins = rows.values[Slot.FLAGS] & self.foll.pin != 0
        part.op[:] = np.where(pins, Op.PROBE_UNPIN, Op.PROBE_PUT)
        part.args[:, VAL] = self._counted(rows.get(Slot.REFS, 1), pins, part.args[:, ORDER])
        part.args[:, COUNT] = -1
        return part.kept()

    def _counted(self, refs: Ints, pins: np.ndarray, order: Ints) -> Ints:
        """By how much _refcount changes: a large folio counts its pins apart (_pincount)."""
        refs = np.clip(refs, 0, 1 << 20)
        return np.where(pins & (order == 0), refs * GUP_PIN_COUNTING_BIAS, refs)

    def _bio_drops(self, rows: ProbeRows) -> Part:
        """One entry for each page of each segment that was fetched: bi_vcnt tells how many segments are valid."""
        places, pages = [], []
        for at, (segments, valid) in enumerate(zip(rows.segments, rows.get(Slot.SEGMENT_COUNT, 0), strict=False)):
            for number in range(min(int(valid), len(segments) // 2)):
                first, word = segments[2 * number], segments[2 * number + 1] & (1 << 64) - 1
                length, offset = word & 0xFFFFFFFF, word >> 32
                count = min((offset % PAGE_BYTES + length + PAGE_BYTES - 1) // PAGE_BYTES, 1 << 12)
                start = first + offset // PAGE_BYTES * self.folios.page.size
                pages += [start + page * self.folios.page.size for page in range(count)]
                places += [at] * count
        pfn = self.folios.pfns(np.array(pages, np.int64))
        heads = np.array([self.folios.tails.get(one, one) for one in pfn.tolist()], np.int64)
        part = part_of_rows(rows, heads, self.folios, np.array(places, np.int64))
        part.op[:] = Op.PROBE_PUT
        part.args[:, VAL], part.args[:, COUNT] = 1, -1
        return part.kept()


def _pointers(rows: ProbeRows) -> Ints:
    pointers = rows.pages
    return np.full(len(rows), NOT_FETCHED, np.int64) if pointers is None else pointers


def _without_inner(rows: Sequence[ProbeRows], folios: Folios) -> list[ProbeRows]:
    """Releases, each once: gup_put_folio fires inside unpin_user_folio and unpin_user_page as well."""
    drops = [one for one in rows if one.role is Role.DROP]
    inner = [one for one in drops if one.name == "gput"]
    outer = [one for one in drops if one.name in ("upf", "unpin")]
    if not inner or not outer:
        return drops
    parts = [*outer, *inner]
    is_inner = np.concatenate([np.full(len(one), one.name == "gput") for one in parts])
    pfn = np.concatenate([folios.heads(one) for one in parts])
    tid, seq, time = (np.concatenate([getattr(one, name) for one in parts]) for name in ("tid", "seq", "time_ns"))
    after = following([tid], seq)
    before = np.full(len(seq), -1, np.int64)
    before[after[after >= 0]] = np.flatnonzero(after >= 0)
    same = is_inner & (before >= 0) & ~is_inner[before] & (pfn[before] == pfn) & (time - time[before] < SAME_RELEASE_NS)
    kept, start = [], 0
    for one in parts:
        kept.append(one.take(~same[start : start + len(one)]))
        start += len(one)
    return [one for one in drops if one not in parts] + kept


def _note_lost(parts: Sequence[Part]) -> None:
    """Into RET of each take: by how much the count had fallen since the take before, beyond what releases explain.

    That much was released (or unmapped) unseen: the ledger may hold references that are gone.
    """
    if not parts:
        return
    whole = Part.joined(parts)
    take = (whole.op == Op.PROBE_GET) | (whole.op == Op.PROBE_PIN)
    change = np.where(take, whole.args[:, VAL], -whole.args[:, VAL])
    order = np.lexsort((whole.seq, whole.args[:, PFN]))
    pfn, change, known = whole.args[order, PFN], change[order], (take & (whole.args[:, COUNT] >= 0))[order]
    before = np.cumsum(change) - change  # changes up to each entry, of all pages: differences within a page count
    at = np.flatnonzero(known)
    count = whole.args[order, COUNT][at]
    same = np.concatenate([[False], pfn[at[1:]] == pfn[at[:-1]]]) if len(at) else np.zeros(0, bool)
    expected = np.roll(count, 1) + before[at] - np.roll(before[at], 1)
    lost = np.zeros(len(order), np.int64)
    lost[order[at]] = np.where(same, np.maximum(expected - count, 0), 0)
    start = 0
    for part in parts:
        part.args[:, RET] = lost[start : start + len(part)]
        start += len(part)


def ordered(parts: Sequence[Part]) -> PageStream:
    """One stretch of the page stream, in the order of the events."""
    whole = Part.joined(parts)
    order = np.argsort(whole.seq, kind="stable")
    return PageStream(
        whole.time_ns[order],
        whole.cpu[order].astype(np.uint16),
        whole.tid[order].astype(np.int32),
        whole.irq[order],
        whole.op[order],
        whole.args[order],
    )

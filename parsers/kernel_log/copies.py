"""Lines that a text holds twice: a mail and the reply that quotes it, a title and its body, a line and words about it.

    [  392.132392] cma: cma_alloc: alloc failed, req-size: 200 pages, ret: -16
    > [  392.132392] cma: cma_alloc: alloc failed, req-size: 200 pages, ret: -16        a copy: one failure

A kernel prints no two equal messages within a microsecond. Where stamps are coarser (jiffies, wall clocks of seconds)
or missing, equal lines may be two events; a copy is then known by how often it is quoted, or by its clock, which falls
back to a line that was there before.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from typing import Any

from tracereplay.parsers.kernel_log.prefixes import LogLine

Row = dict[str, Any]

# Stamps that are a whole number of these may come from jiffies (100 to 1000 Hz).
COARSE_NS = 1_000_000
DEEPEST = 16
BOOT = re.compile(r"Linux version \d|Booting Linux on ")
# A heading, or a message in quotation marks.
TITLE = re.compile(r"#|(?:Subject|Title): ", re.IGNORECASE)
MARKS = "`\"'\u201c\u201d"
# Messages that a title or a sentence may repeat; of those that a log repeats by itself, only a title does.
REPEATABLE = frozenset({"cma_failed", "contig_busy", "offline_failed", "block_failed"})
NEVER_BARE = frozenset({"cma_failed", "offline_failed"})
# Of requests of one size and place that differ in area or errno, more than these are not compared one by one.
MOST_ALIKE = 64


class Copies:
    """Takes lines in their order, and says which of them were there before."""

    def __init__(self) -> None:
        self._walls: dict[int, int] = {}  # of lines with a precise stamp: the hash of their wall clock; 0: none
        self._coarse: dict[int, int] = {}  # of lines with a coarse stamp: where they stood first
        self._keys: list[int] = []
        self._next: int | None = None  # the place of the line that a copy goes on with
        self._latest_ns: dict[bool, int] = {}  # by clock: uptime, wall
        self._quoted: dict[int, int] = {}  # how many lines of this text are quoted so often
        self._depths: set[int] = set()
        self._depth = 0
        self._in_copy = False

    def is_copy(self, line: LogLine, *, leads: bool) -> bool:
        """Whether the line is one that was taken before. leads -- whether it is a message, or the first of a dump."""
        if line.time_ns is not None and line.time_ns % COARSE_NS:
            self._in_copy = self._again_at_once(line)
        elif line.time_ns is not None or line.wall_ns is not None:
            key = _key(line)
            self._in_copy = self._again_at_other_depth(line, key) or self._again_later(line, key)
        else:
            again = self._again_at_other_depth(line, _key(line))
            # Lines of a dump look like those of any other: they go with its first, unless a quotation begins with them.
            if leads or line.depth != self._depth:
                self._in_copy = again
        self._depth = line.depth
        return self._in_copy

    def _again_at_other_depth(self, line: LogLine, key: int) -> bool:
        """Of equal lines there are as many as in the part of the text that has most, by how often it is quoted."""
        depth = min(line.depth, DEEPEST)
        self._depths.add(depth)
        here = hash((key, depth))
        number = self._quoted[here] = self._quoted.get(here, 0) + 1
        return any(self._quoted.get(hash((key, other)), 0) >= number for other in self._depths if other != depth)

    def _again_at_once(self, line: LogLine) -> bool:
        key, wall = hash((line.time_ns, line.tid, line.text)), hash(line.wall) if line.wall else 0
        before = self._walls.setdefault(key, -1)
        if before == -1:
            self._walls[key] = wall
            return False
        return before == wall or not before or not wall

    def _again_later(self, line: LogLine, key: int) -> bool:
        uptime = line.time_ns is not None
        stamp = line.time_ns if line.time_ns is not None else line.wall_ns or 0
        if BOOT.match(line.text):  # another boot may repeat what the one before printed
            self._coarse.clear()
            self._keys.clear()
            self._next = None
            self._latest_ns.clear()
        if self._next is not None and self._next < len(self._keys) and self._keys[self._next] == key:
            self._next += 1
            return True
        place = self._coarse.get(key)
        if place is not None and stamp < self._latest_ns.get(uptime, 0):
            self._next = place + 1
            return True
        self._next = None
        self._latest_ns[uptime] = stamp
        self._coarse.setdefault(key, len(self._keys))
        self._keys.append(key)
        return False


def _key(line: LogLine) -> int:
    return hash((line.time_ns, line.wall, line.tid, line.text))


def is_title(text: str, begin: int, end: int) -> bool:
    """Whether the message at [begin, end) of a line is a heading, or stands in quotation marks."""
    before = text[:begin].removesuffix("cma: ")
    return bool(TITLE.match(text)) or (before[-1:] in MARKS and before != "" and text[end : end + 1] in MARKS)


def without_repetitions(rows: Sequence[Row], titles: Container[int]) -> list[Row]:
    """Rows of messages without those that only name another. titles -- places of headings and quotations in `rows`"""
    bare = [row["time_ns"] is None and row["wall"] is None and row["tid"] is None for row in rows]
    if not any(bare):
        return list(rows)
    stamped = _Known(row for row, without in zip(rows, bare, strict=True) if not without)
    lines = _Known(row for place, row in enumerate(rows) if not (bare[place] and place in titles))
    left = []
    for place, row in enumerate(rows):
        known = lines if place in titles else stamped if row["kind"] in NEVER_BARE else None
        if not (bare[place] and known is not None and row["kind"] in REPEATABLE and known.names(row)):
            left.append(row)
    return left


class _Known:
    """What messages say, to be found by another that may say less."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._said: dict[tuple[Any, ...], set[tuple[Any, Any]]] = {}
        for row in rows:
            if row["kind"] in REPEATABLE:
                self._said.setdefault(self._place(row), set()).add((row.get("errno"), row.get("area")))

    @staticmethod
    def _place(row: Row) -> tuple[Any, ...]:
        return (row["kind"], *map(row.get, ("pages", "start_pfn", "address")))

    def names(self, row: Row) -> bool:
        """Whether one of them agrees with the row in all that both say."""
        mine = row.get("errno"), row.get("area")
        said = self._said.get(self._place(row), ())
        if mine in said or len(said) > MOST_ALIKE:
            return mine in said
        return any(all(a is None or b is None or a == b for a, b in zip(mine, one, strict=True)) for one in said)

"""The buddy allocator and both replays in plain Python: lists are lists, states are dictionaries. Slow and obvious."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np

from tracereplay.whatif.guided_kernels import CMA_ALLOWED, STUCK
from tracereplay.whatif.page_rows import Count, Frame, MigrateType, Rule, Step

TOP = 10
UNMOVABLE, MOVABLE, RECLAIMABLE, CMA, ISOLATE = 0, 1, 2, 4, 5
ORDER_OF_FALLBACKS = {UNMOVABLE: (RECLAIMABLE, MOVABLE), MOVABLE: (RECLAIMABLE, UNMOVABLE), RECLAIMABLE: (0, 1)}


class Plain:
    """Free blocks as lists of (zone, order, type); `head` says where a free block begins, `state` what a page is."""

    def __init__(self, zone: list[int], types: list[int], rules: dict[int, int], pageblock: int, hidden: int) -> None:
        self.zone, self.types, self.saved = zone, list(types), list(types)
        self.rules, self.pageblock, self.hidden = rules, pageblock, hidden
        self.lists: dict[tuple[int, int, int], list[int]] = defaultdict(list)
        self.order: dict[int, int] = {}  # first page of a free block -> order
        self.state = [int(Frame.ABSENT) if z < 0 else int(Frame.USED) for z in zone]
        self.kind = [0] * len(zone)  # 1 movable, 2 from a range, 16 stuck
        self.alloc_order = [0] * len(zone)
        self.counts: Counter[int] = Counter()

    def in_one_zone(self, page: int, pages: int) -> bool:
        return {self.zone[at] for at in range(page, page + pages)} in ({0}, {1})

    def type_of(self, page: int) -> int:
        return self.types[page >> self.pageblock]

    def free_pages(self, zone: int, kinds: tuple[int, ...]) -> int:
        """Sum over the lists: there is no counter to go wrong."""
        return sum(len(pages) << o for (z, o, k), pages in self.lists.items() if z == zone and k in kinds)

    def put(self, page: int, order: int, kind: int, tail: bool = False) -> None:
        pages = self.lists[self.zone[page], order, kind]
        pages.insert(len(pages) if tail else 0, page)
        self.order[page] = order

    def cut(self, page: int) -> tuple[int, int]:
        order, kind = self.order.pop(page), self.type_of(page)
        self.lists[self.zone[page], order, kind].remove(page)
        return order, kind

    def is_buddy(self, page: int, order: int, zone: int) -> bool:
        return page < len(self.zone) and self.order.get(page) == order and self.zone[page] == zone

    def free_block(self, page: int, order: int, kind: int) -> None:
        zone = self.zone[page]
        for at in range(page, page + (1 << order)):
            self.state[at] = int(Frame.TAIL)
        while order < TOP and self.is_buddy(page ^ (1 << order), order, zone):
            buddy = page ^ (1 << order)
            other = self.type_of(buddy)
            if order >= self.pageblock and other != kind and (other > RECLAIMABLE or kind > RECLAIMABLE):
                break
            self.cut(buddy)
            if order >= self.pageblock:
                for block in range(buddy >> self.pageblock, (buddy + (1 << order)) >> self.pageblock):
                    self.types[block] = kind
            page, order = min(page, buddy), order + 1
        pair = (page & (page ^ (1 << order))) ^ (1 << (order + 1))
        self.put(page, order, kind, tail=order < TOP - 1 and self.is_buddy(pair, order + 1, zone))

    def free(self, page: int, order: int) -> None:
        step = min(order, self.pageblock)
        for at in range(page, page + (1 << order), 1 << step):
            self.free_block(at, step, self.type_of(at))

    def split(self, page: int, low: int, high: int, kind: int) -> None:
        for order in reversed(range(low, high)):
            self.put(page + (1 << order), order, kind)

    def smallest(self, zone: int, order: int, kind: int) -> int | None:
        for high in range(order, TOP + 1):
            if self.lists[zone, high, kind]:
                page = self.lists[zone, high, kind][0]
                self.cut(page)
                self.split(page, order, high, kind)
                return page
        return None

    def head_of(self, page: int) -> int | None:
        return next((h for h, o in self.order.items() if h <= page < h + (1 << o)), None)

    def take_at(self, page: int, order: int) -> bool:
        head = self.head_of(page)
        if head is None or self.order[head] < order:
            return False
        high, kind = self.cut(head)
        while high > order:
            high -= 1
            middle = head + (1 << high)
            self.put(head if page >= middle else middle, high, kind)
            head = middle if page >= middle else head
        return True

    def take_pages(self, page: int, pages: int) -> int:
        taken, at = 0, page
        while at < page + pages:
            head = self.head_of(at)
            if head is None:
                at += 1
                continue
            order = self.order[head]
            while order and (at % (1 << order) or at + (1 << order) > page + pages):
                order -= 1
            assert self.take_at(at, order)
            for one in range(at, at + (1 << order)):
                self.state[one] = int(Frame.USED)
            taken, at = taken + (1 << order), at + (1 << order)
        return taken

    def move_block(self, block: int, kind: int) -> None:
        first, size = block << self.pageblock, 1 << self.pageblock
        head = self.head_of(first)
        if head is not None and self.order[head] > self.pageblock:
            high, _ = self.cut(head)
            for at in range(head, head + (1 << high), size):
                self.put(at, self.pageblock, self.type_of(at))
        for at in range(first, first + size):
            if at in self.order:
                order, _ = self.cut(at)
                pages = self.lists[self.zone[at], order, kind]
                pages.append(at)
                self.order[at] = order
        self.types[block] = kind

    def blocks(self, page: int, pages: int) -> range:
        return range(page >> self.pageblock, ((page + pages - 1) >> self.pageblock) + 1)

    def isolate(self, page: int, pages: int) -> None:
        for block in self.blocks(page, pages):
            if self.types[block] != ISOLATE:
                self.saved[block] = self.types[block]
                self.move_block(block, ISOLATE)

    def restore(self, page: int, pages: int) -> None:
        for block in self.blocks(page, pages):
            if self.types[block] == ISOLATE:
                self.move_block(block, self.saved[block])
                first = block << self.pageblock
                if self.order.get(first) == self.pageblock:
                    _, kind = self.cut(first)
                    self.free_block(first, self.pageblock, kind)

    def fallback(self, zone: int, order: int, kind: int) -> int | None:
        return next((k for k in ORDER_OF_FALLBACKS[kind] if self.lists[zone, order, k]), None)

    def claim(self, zone: int, order: int, kind: int) -> int | None:
        for high in reversed(range(order, TOP + 1)):
            other = self.fallback(zone, high, kind)
            if other is None:
                continue
            if high < self.pageblock // 2 and kind == MOVABLE:
                return None
            page = self.lists[zone, high, other][0]
            if high >= self.pageblock:
                self.cut(page)
                for block in self.blocks(page, 1 << high):
                    self.types[block] = kind
                self.split(page, order, high, kind)
                self.counts[Count.FALLBACKS + 3 * kind + other] += 1
                return page
            if self.claimable(page >> self.pageblock, kind):
                self.move_block(page >> self.pageblock, kind)
                self.counts[Count.FALLBACKS + 3 * kind + other] += 1
                return self.smallest(zone, order, kind)
        return None

    def claimable(self, block: int, kind: int) -> bool:
        size = 1 << self.pageblock
        pages = range(block * size, block * size + size)
        free = sum(self.state[at] in (Frame.FREE, Frame.TAIL) for at in pages)
        movable = sum(self.state[at] == Frame.USED and self.kind[at] == 1 for at in pages)
        alike = movable if kind == MOVABLE else size - free - movable if self.types[block] == MOVABLE else 0
        return free + alike >= size // 2

    def any(self, zone: int, order: int, kind: int, cma: bool) -> int | None:
        may = cma and self.rules.get(Rule.CMA_MODE, 0) == 0
        page = self.smallest(zone, order, CMA) if may and self.wants_cma(zone) else None
        page = self.smallest(zone, order, kind) if page is None else page
        page = self.smallest(zone, order, CMA) if page is None and may else page
        page = self.claim(zone, order, kind) if page is None else page
        return self.steal(zone, order, kind) if page is None else page

    def wants_cma(self, zone: int) -> bool:
        if self.rules.get(Rule.CMA_MODE, 0):
            return False
        free = self.free_pages(zone, (0, 1, 2, 3, 4)) - self.hidden
        return self.free_pages(zone, (CMA,)) * self.rules[Rule.DEN] > free * self.rules[Rule.NUM]

    def steal(self, zone: int, order: int, kind: int) -> int | None:
        for high in range(order, TOP + 1):
            other = self.fallback(zone, high, kind)
            if other is not None:
                self.counts[Count.FALLBACKS + 3 * kind + other] += 1
                return self.smallest(zone, order, other)
        return None


def on_pcp(order: int) -> bool:
    return order <= 3 or order == 9


class PlainRecorded(Plain):
    """`replay_recorded`."""

    def run(self, events: np.ndarray[Any, Any]) -> None:
        for event in events:
            kind, page, order, pages = int(event["kind"]), int(event["page"]), int(event["order"]), int(event["pages"])
            if kind == Step.ISOLATE:
                self.isolate(page, pages)
            elif kind == Step.RESTORE:
                self.restore(page, pages)
            elif kind == Step.CONTIG:
                self.counts[Count.RANGE] += pages
                self.counts[Count.RANGE_NOT_FREE] += pages - self.take_pages(page, pages)
                self.set(page, pages, int(Frame.USED), 2)
            elif self.in_one_zone(page, pages):
                self.one(event, kind, page, order)

    def set(self, page: int, pages: int, state: int, kind: int) -> None:
        for at in range(page, page + pages):
            if self.zone[at] >= 0:
                self.state[at], self.kind[at] = state, kind

    def learn(self, page: int, kind: int) -> None:
        have = self.type_of(page)
        if kind <= RECLAIMABLE and have <= RECLAIMABLE and have != kind:
            self.move_block(page >> self.pageblock, kind)

    def is_free(self, page: int) -> bool:
        return self.state[page] in (Frame.FREE, Frame.TAIL)

    def one(self, event: Any, kind: int, page: int, order: int) -> None:
        size = 1 << order
        if kind in (Step.ALLOC, Step.FREE):
            self.counts[Count.FREED_FREE] += self.take_pages(page, size)
        if kind == Step.ALLOC:
            self.set(page, size, int(Frame.USED), int(event["type"] == 1))
        elif kind == Step.FREE:
            listed = on_pcp(order) and self.type_of(page) != ISOLATE
            self.counts[Count.DIRECT] += size if listed and event["other"] else 0
            whole = self.rules.get(Rule.WHOLE_FREES) and self.kind[page] == 2
            self.set(page, size, int(Frame.PCP), 0)
            if not listed or event["other"] or whole:
                self.free(page, order)
        elif kind == Step.DRAIN:
            self.counts[Count.DRAINS] += 1
            self.learn(page, int(event["type"]))
            free = sum(self.is_free(at) for at in range(page, page + size))
            self.counts[Count.DRAINED_FREE] += free
            if free:
                self.take_pages(page, size)
            self.free(page, order)
        else:
            self.took(event, kind, page, order)

    def took(self, event: Any, kind: int, page: int, order: int) -> None:
        if kind != Step.TAKE:
            self.counts[Count.FALLBACKS + 3 * int(event["type"]) + int(event["other"])] += 1
        if kind != Step.FALLBACK:
            self.learn(page, int(event["type"]))
        if kind == Step.CLAIM:
            return
        self.counts[Count.TAKES] += 1
        self.counts[Count.TAKEN] += 1 << order
        self.counts[Count.TAKES_CMA] += self.type_of(page) == CMA
        if not self.take_at(page, order):
            self.counts[Count.TAKEN_NOT_FREE] += (1 << order) - self.take_pages(page, 1 << order)
        for at in range(page, page + (1 << order)):
            self.state[at] = int(Frame.PCP)


class PlainGuided(Plain):
    """`replay_guided`; `where` leads from recorded pages to those of the model."""

    where: dict[int, int]
    back: dict[int, int]
    asked: list[int]

    def run(self, events: np.ndarray[Any, Any], want: list[int]) -> list[int]:
        out = [-1] * len(events)
        for number, event in enumerate(events):
            kind, page, order, pages = int(event["kind"]), int(event["page"]), int(event["order"]), int(event["pages"])
            if kind == Step.ISOLATE:
                self.isolate(page, pages)
                out[number] = self.movable_in(page, pages)
            elif kind == Step.RESTORE:
                self.restore(page, pages)
            elif kind == Step.CONTIG:
                out[number] = self.take_range(page, pages)
            elif kind != Step.CLAIM and self.in_one_zone(page, pages):
                found = self.one(kind, page, order, want[number], bool(event["other"]))
                out[number] = found if kind == Step.ALLOC else -1
        return out

    def movable_in(self, page: int, pages: int) -> int:
        return sum(self.state[at] == Frame.USED and self.kind[at] == 1 for at in range(page, page + pages))

    def one(self, kind: int, frame: int, order: int, want: int, direct: bool) -> int:
        size = 1 << order
        if kind == Step.ALLOC:
            return self.given(frame, order, want)
        if kind == Step.DRAIN:
            self.counts[Count.DRAINS] += 1
            self.drop(frame, order)
        elif kind == Step.FREE:
            self.freed(frame, order, direct)
        else:
            self.drop(frame, order)
            if self.rules.get(Rule.OFF_PCP) and on_pcp(order):
                want &= 7
            self.obtain(frame, order, want, int(Frame.PCP))
            for at in range(frame, frame + size):
                self.asked[at] = want & 15
        return -1

    def drop(self, frame: int, order: int) -> None:
        size = 1 << order
        pages = [self.where.pop(at, None) for at in range(frame, frame + size)]
        first = pages[0]
        whole = first is not None and first % size == 0 and pages == list(range(first, first + size))
        for page in pages:
            if page is not None:
                self.back.pop(page, None)
                self.kind[page] = 0
                if not whole:
                    self.free(page, 0)
        if whole and first is not None:
            self.free(first, order)

    def settle(self, frame: int, page: int, order: int, state: int) -> None:
        for at in range(1 << order):
            self.where[frame + at], self.back[page + at] = page + at, frame + at
            self.state[page + at] = state

    def obtain(self, frame: int, order: int, want: int, state: int) -> None:
        page = self.any(self.zone[frame], order, want & 7, bool(want & CMA_ALLOWED))
        if page is None:
            self.counts[Count.NO_PAGE] += 1 << order
            return
        self.counts[Count.TAKES] += 1
        self.counts[Count.TAKES_CMA] += self.type_of(page) == CMA
        self.settle(frame, page, order, state)

    def given(self, frame: int, order: int, want: int) -> int:
        if frame not in self.where:
            self.counts[Count.LATE] += 1 << order
            self.drop(frame, order)
            self.obtain(frame, order, want, int(Frame.USED))
        elif self.rules.get(Rule.OFF_PCP) and on_pcp(order):
            self.choose(frame, order, want)
        elif self.rules.get(Rule.NEW_CLASSES) and self.asked[frame] != want & 15:
            self.drop(frame, order)
            self.obtain(frame, order, want, int(Frame.USED))
        for at in range(frame, frame + (1 << order)):
            self.asked[at] = want & 15
            if at in self.where:
                page = self.where[at]
                self.state[page], self.alloc_order[page] = int(Frame.USED), order
                self.kind[page] = STUCK if want & STUCK else int(want & 7 == MigrateType.MOVABLE)
        return self.where.get(frame, -1)

    def choose(self, frame: int, order: int, want: int) -> None:
        if not want & CMA_ALLOWED or not self.wants_cma(self.zone[frame]):
            return
        page = self.smallest(self.zone[frame], order, CMA)
        if page is not None:
            self.drop(frame, order)
            self.counts[Count.TAKES_CMA] += 1
            self.settle(frame, page, order, int(Frame.USED))

    def freed(self, frame: int, order: int, direct: bool) -> None:
        if frame not in self.where:
            return
        there = self.type_of(self.where[frame])
        direct = direct or not on_pcp(order) or ISOLATE in (self.type_of(frame), there)
        direct = direct or bool(self.rules.get(Rule.OFF_PCP) and there == CMA)
        direct = direct or bool(self.rules.get(Rule.WHOLE_FREES) and self.kind[self.where[frame]] == 2)
        if direct:
            self.drop(frame, order)
            return
        for at in range(frame, frame + (1 << order)):
            if at in self.where:
                self.state[self.where[at]], self.kind[self.where[at]] = int(Frame.PCP), 0

    def move_away(self, page: int, end: int) -> int:
        order = self.alloc_order[page] if self.state[page] == Frame.USED else 0
        size = 1 << order
        if page not in self.back or page % size or page + size > end:
            return -1
        frame = self.back[page]
        if self.state[page] == Frame.USED and self.kind[page] != 1:
            return -size
        for at in range(size):
            if self.back.get(page + at) != frame + at or self.where.get(frame + at) != page + at:
                return -1
        if self.state[page] == Frame.PCP:
            self.drop(frame, 0)
            return 1
        target = self.any(self.zone[page], order, MOVABLE, True)
        if target is None:
            return -size
        kind = self.kind[page]
        self.drop(frame, order)
        self.settle(frame, target, order, int(Frame.USED))
        for at in range(target, target + size):
            self.alloc_order[at], self.kind[at] = order, kind
        return size

    def take_range(self, page: int, pages: int) -> int:
        left, at = 0, page
        while at < page + pages:
            state = self.state[at]
            if state in (Frame.FREE, Frame.TAIL, Frame.ABSENT):
                at += 1
                continue
            done = self.move_away(at, page + pages)
            self.counts[Count.MOVED] += done if done > 0 and state == Frame.USED else 0
            left -= min(done, 0)
            at += abs(done)
        self.counts[Count.LEFT] += left
        self.counts[Count.RANGE] += pages
        for one in range(page, page + pages):
            if self.state[one] in (Frame.FREE, Frame.TAIL) and self.take_pages(one, 1):
                self.kind[one], self.alloc_order[one] = 2, 0
                self.drop(one, 0)
                self.settle(one, one, 0, int(Frame.USED))
                self.asked[one] = MOVABLE | CMA_ALLOWED
        return left

"""The guided replay: per-cpu lists and their refills as recorded, only "which free block" is decided anew.

`place` leads from a recorded frame to the model's, from its take until its drain; `back` leads the other way.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined, inner, merged, njit
from tracereplay.whatif.buddy_kernels import (
    ABSENT,
    CMA,
    FREE,
    ISOLATE,
    MOVABLE,
    NONE,
    TAIL,
    USED,
    free_pages,
    isolate,
    restore,
    take_any,
    take_pages_at,
    take_smallest,
    type_of,
    wants_cma,
    wide,
)
from tracereplay.whatif.page_rows import Buddy, Count, Rule
from tracereplay.whatif.recorded_kernels import (
    C_DRAINS,
    C_RANGE,
    C_TAKES,
    C_TAKES_CMA,
    FROM_RANGE,
    PCP,
    R_WHOLE,
    S_ALLOC,
    S_CONTIG,
    S_COUNT,
    S_DRAIN,
    S_FALLBACK,
    S_FREE,
    S_ISOLATE,
    S_RESTORE,
    S_TAKE,
    in_one_zone,
    write_counts,
)

C_LATE, C_NO_PAGE, C_MOVED, C_LEFT = int(Count.LATE), int(Count.NO_PAGE), int(Count.MOVED), int(Count.LEFT)
R_OFF_PCP, R_CLASSES = int(Rule.OFF_PCP), int(Rule.NEW_CLASSES)
CMA_ALLOWED, STUCK = 8, 16  # bits of `want`, beside the migratetype
REQUESTED = 15  # the part of `want` that decides the place


class Course(NamedTuple):
    """Where the pages of the record are in the model.

    place, back -- int32 each frame, -1 = nowhere; want -- uint8 each event (ALLOC, TAKE, FALLBACK): its migratetype,
    CMA_ALLOWED, STUCK: cannot be migrated; zone -- int8 each event: where to look first, -1 = the recorded zone;
    placed_for -- uint8 each recorded frame: the `want` it has; out -- int32 each event: ALLOC: the model's frame;
    ISOLATE: movable pages in use there; CONTIG: pages that could not be moved away; below -- int32 each event:
    ISOLATE: those of them below the first STUCK page.
    """

    place: npt.NDArray[np.int32]
    back: npt.NDArray[np.int32]
    placed_for: npt.NDArray[np.uint8]
    want: npt.NDArray[np.uint8]
    zone: npt.NDArray[np.int8]
    out: npt.NDArray[np.int32]
    below: npt.NDArray[np.int32]


@inner
def drop(b: Buddy, c: Course, frame: int, order: int) -> None:
    """The model's pages of these recorded frames go to the buddy: as one block where they are one."""
    size = 1 << order
    page = wide(c.place[frame])
    whole = page != NONE and page & (size - 1) == 0
    for at in range(size):
        if c.place[frame + at] != page + at:
            whole = False
    for at in range(size):
        here = wide(c.place[frame + at])
        c.place[frame + at] = NONE
        if here == NONE:
            continue
        c.back[here] = NONE
        b.pages[here].movable = 0
        if not whole:
            free_pages(b, here, 0)
    if whole:
        free_pages(b, page, order)


@inner
def settle(b: Buddy, c: Course, frame: int, page: int, order: int, state: int) -> None:
    """These recorded frames are in that block of the model from here on."""
    for at in range(1 << order):
        c.place[frame + at] = page + at
        c.back[page + at] = frame + at
        b.pages[page + at].state = state


@inner
def obtain(b: Buddy, c: Course, frame: int, order: int, want: int, zone: int, state: int) -> None:
    """A free block of the model for these recorded frames, as `want` asks; nowhere if there is none."""
    recorded = wide(b.pages[frame].zone)
    page = NONE
    if zone >= 0 and zone != recorded:
        page = take_any(b, zone, order, want & 7, (want & CMA_ALLOWED) != 0)
    if page == NONE:
        page = take_any(b, recorded, order, want & 7, (want & CMA_ALLOWED) != 0)
    if page == NONE:
        b.counts[C_NO_PAGE] += 1 << order
        return
    b.counts[C_TAKES] += 1
    if type_of(b, page) == CMA:
        b.counts[C_TAKES_CMA] += 1
    settle(b, c, frame, page, order, state)


@inlined
def on_pcp(order: int) -> bool:
    """pcp_allowed_order: per-cpu lists hold orders 0 to PAGE_ALLOC_COSTLY_ORDER and that of THP."""
    return order <= 3 or order == 9


@merged
def taken(b: Buddy, c: Course, frame: int, order: int, want: int, zone: int) -> None:
    """A refill or a direct take of the record gets a block of the model."""
    drop(b, c, frame, order)
    if b.rules[R_OFF_PCP] and on_pcp(order):
        want &= 7  # CMA pages are not put on per-cpu lists
    obtain(b, c, frame, order, want, zone, PCP)
    for at in range(1 << order):
        c.placed_for[frame + at] = want & REQUESTED


@merged
def given(b: Buddy, c: Course, frame: int, order: int, want: int, number: int) -> None:
    """mm_page_alloc: the page leaves its per-cpu list, or gets another place if this one is not for it."""
    size = 1 << order
    if c.place[frame] == NONE:
        b.counts[C_LATE] += size
        drop(b, c, frame, order)
        obtain(b, c, frame, order, want, wide(c.zone[number]), USED)
    elif b.rules[R_OFF_PCP] and on_pcp(order):
        choose_cma(b, c, frame, order, want)
    elif b.rules[R_CLASSES] and c.placed_for[frame] != (want & REQUESTED):
        drop(b, c, frame, order)
        obtain(b, c, frame, order, want, wide(c.zone[number]), USED)
    for at in range(size):
        page = wide(c.place[frame + at])
        c.placed_for[frame + at] = want & REQUESTED
        if page != NONE:
            b.pages[page].state = USED
            b.pages[page].order = order
            b.pages[page].movable = 1 if want & 7 == MOVABLE else 0
            if want & STUCK:
                b.pages[page].movable = STUCK
    c.out[number] = c.place[frame]


@merged
def choose_cma(b: Buddy, c: Course, frame: int, order: int, want: int) -> None:
    """With CMA pages off the per-cpu lists each movable allocation asks the rule, then the list."""
    if (want & CMA_ALLOWED) == 0 or not wants_cma(b, wide(b.pages[frame].zone)):
        return
    page = take_smallest(b, wide(b.pages[frame].zone), order, CMA)
    if page == NONE:
        return
    drop(b, c, frame, order)
    b.counts[C_TAKES_CMA] += 1
    settle(b, c, frame, page, order, USED)


@merged
def freed(b: Buddy, c: Course, frame: int, order: int, direct: bool) -> None:
    """mm_page_free: to the buddy where the record or the model has a reason for it, else to the per-cpu list."""
    page = wide(c.place[frame])
    if page == NONE:
        return
    here, there = type_of(b, frame), type_of(b, page)
    direct = direct or not on_pcp(order) or here == ISOLATE or there == ISOLATE
    direct = direct or (b.rules[R_OFF_PCP] != 0 and there == CMA)
    direct = direct or (b.rules[R_WHOLE] != 0 and b.pages[page].movable == FROM_RANGE)
    if direct:
        drop(b, c, frame, order)
        return
    for at in range(1 << order):
        page = wide(c.place[frame + at])
        if page != NONE:
            b.pages[page].state = PCP
            b.pages[page].movable = 0


@merged
def count_movable(b: Buddy, c: Course, page: int, pages: int, number: int) -> None:
    """Count the pages in use in a range that alloc_contig_range() would migrate, and those before the first stuck."""
    movable = 0
    below = -1
    for at in range(page, page + pages):
        if b.pages[at].state != USED:
            continue
        if b.pages[at].movable == 1:
            movable += 1
        elif b.pages[at].movable == STUCK and below < 0:
            below = movable
    c.out[number] = movable
    c.below[number] = movable if below < 0 else below


@merged
def move_away(b: Buddy, c: Course, page: int, end: int) -> int:
    """Migrate the model's page (a whole allocation) out of the range; pages dealt with, negative where they stay."""
    frame = wide(c.back[page])
    order = wide(b.pages[page].order) if b.pages[page].state == USED else 0
    size = 1 << order
    if frame == NONE or page & (size - 1) or page + size > end:
        return -1
    if b.pages[page].state == USED and b.pages[page].movable != 1:
        return -size
    for at in range(size):
        if c.back[page + at] != frame + at or c.place[frame + at] != page + at:
            return -1
    if b.pages[page].state == PCP:
        drop(b, c, frame, 0)
        return 1
    target = take_any(b, wide(b.pages[page].zone), order, MOVABLE, True)
    if target == NONE:
        return -size
    movable = b.pages[page].movable
    drop(b, c, frame, order)
    settle(b, c, frame, target, order, USED)
    for at in range(size):
        b.pages[target + at].order = order
        b.pages[target + at].movable = movable
    return size


@merged
def take_range(b: Buddy, c: Course, page: int, pages: int, number: int) -> None:
    """A range the record got: the model empties its own pages from it (alloc_contig_range), then takes it."""
    left = 0
    at = page
    while at < page + pages:
        state = b.pages[at].state
        if state == FREE or state == TAIL or state == ABSENT:
            at += 1
            continue
        done = move_away(b, c, at, page + pages)
        if done > 0 and state == USED:
            b.counts[C_MOVED] += done
        if done < 0:
            left -= done
        at += done if done > 0 else -done
    c.out[number] = left
    b.counts[C_LEFT] += left
    b.counts[C_RANGE] += pages
    for at in range(page, page + pages):
        if (b.pages[at].state == FREE or b.pages[at].state == TAIL) and take_pages_at(b, at, 1):
            b.pages[at].movable = FROM_RANGE
            b.pages[at].order = 0
            drop(b, c, at, 0)
            settle(b, c, at, at, 0, USED)
            c.placed_for[at] = MOVABLE | CMA_ALLOWED


@njit
def replay_guided(b: Buddy, events: npt.NDArray[Any], c: Course, counts: npt.NDArray[np.int64]) -> None:
    """Apply a script; counts -- a row for each COUNT."""
    row = 0
    for number in range(len(events)):
        event = events[number]
        kind, frame, order, pages = wide(event.kind), wide(event.page), wide(event.order), wide(event.pages)
        if kind == S_COUNT:
            write_counts(b, counts[row])
            row += 1
        elif kind == S_ISOLATE:
            isolate(b, frame, pages)
            count_movable(b, c, frame, pages, number)
        elif kind == S_RESTORE:
            restore(b, frame, pages)
        elif kind == S_CONTIG:
            take_range(b, c, frame, pages, number)
        elif not in_one_zone(b, frame, pages):
            continue
        elif kind == S_ALLOC:
            given(b, c, frame, order, wide(c.want[number]), number)
        elif kind == S_FREE:
            freed(b, c, frame, order, event.other == 1)
        elif kind == S_DRAIN:
            b.counts[C_DRAINS] += 1
            drop(b, c, frame, order)
        elif kind == S_TAKE or kind == S_FALLBACK:
            taken(b, c, frame, order, wide(c.want[number]), wide(c.zone[number]))

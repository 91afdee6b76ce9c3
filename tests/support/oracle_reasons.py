"""Why a page stands in the way of an attempt: for each reason the conditions that must all hold.

They are data, so that a test can take away one at a time and see whether the comparison with the kernels notices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from tests.support.oracle_ledger import excess
from tests.support.oracle_memory import FlagBits, Page
from tracereplay.replay.page_kernels import FlagMask
from tracereplay.replay.state import NO_EXCESS, TYPED_MAPCOUNT, Mark, PageType, Reason, State

MOVABLE = 0x08  # ___GFP_MOVABLE
HELD_TYPES = (PageType.HUGETLB, PageType.OFFLINE)


@dataclass(frozen=True, slots=True)
class Probed:
    """A page at a probe."""

    page: Page
    bits: FlagBits
    visited: bool  # it lies below the page that the attempt reached
    named: bool  # the kernel named it

    def flag(self, flag: FlagMask) -> bool:
        """Whether the last event showed this page flag."""
        return self.bits.has(self.page.page_flags, flag)

    @property
    def held_type(self) -> bool:
        """Whether it has a page type that is not migrated as others are."""
        return self.page.mapcount - TYPED_MAPCOUNT in HELD_TYPES


Condition = Callable[[Probed], bool]


def is_(*marks: Mark) -> Condition:
    """The page has any of the marks."""
    return lambda probed: probed.page.is_(*marks)


def is_not(*marks: Mark) -> Condition:
    """The page has none of the marks."""
    return lambda probed: not probed.page.is_(*marks)


BY_REASON: Mapping[Reason, tuple[Condition, ...]] = {
    # What is on the LRU can be migrated, whatever it was allocated for.
    Reason.UNMOVABLE: (
        is_(Mark.ALLOC_SEEN),
        is_not(Mark.ALLOCATED_SINCE_WATCH),
        is_not(Mark.ANON),
        lambda probed: not probed.page.is_(Mark.FILE) and probed.page.file is None,  # nor was it in a page cache before
        lambda probed: not probed.page.gfp & MOVABLE,
    ),
    Reason.RESTORED: (is_(Mark.RESTORED),),
    # In excess all the time since the watch began, as far as it was known, and now.
    Reason.EXCESS: (
        lambda probed: probed.page.min_excess > 0,
        lambda probed: probed.page.min_excess < NO_EXCESS,
        lambda probed: excess(probed.bits, probed.page) > 0,
    ),
    Reason.LEFT: (is_(Mark.COUNT_KNOWN), is_(Mark.ISOLATED), is_not(Mark.FROZEN)),
    Reason.LOCKED: (
        is_(Mark.COUNT_KNOWN),
        lambda probed: probed.page.is_(Mark.FILE) or probed.flag(FlagMask.SWAPCACHE),
        lambda probed: probed.flag(FlagMask.LOCKED),
        lambda probed: not probed.flag(FlagMask.UPTODATE),
    ),
    Reason.WRITEBACK: (is_(Mark.COUNT_KNOWN), lambda probed: probed.flag(FlagMask.WRITEBACK)),
    Reason.VISITED: (
        is_not(Mark.COUNT_KNOWN),
        lambda probed: probed.visited,
        is_(Mark.ALLOC_SEEN),
        is_not(Mark.ALLOCATED_SINCE_WATCH),
    ),
    Reason.TYPED: (
        lambda probed: probed.page.count > 0,
        lambda probed: probed.held_type,
    ),
}


# Free pages are in no one's way; the one that the kernel named is reported whatever it is.
ALLOCATED: tuple[Condition, ...] = (lambda probed: probed.page.state is State.ALLOCATED,)
NAMED: tuple[Condition, ...] = (lambda probed: probed.named,)


@dataclass(frozen=True, slots=True)
class Rules:
    """Conditions by reason; `common` must hold for every reason but NAMED."""

    common: tuple[Condition, ...] = ALLOCATED
    named: tuple[Condition, ...] = NAMED
    by_reason: Mapping[Reason, tuple[Condition, ...]] = field(default_factory=lambda: BY_REASON)

    def reasons(self, probed: Probed) -> int:
        """The reasons whose conditions hold, as bits."""
        found = int(Reason.NAMED) if all(holds(probed) for holds in self.named) else 0
        if all(holds(probed) for holds in self.common):
            found |= sum(reason for reason, all_of in self.by_reason.items() if all(holds(probed) for holds in all_of))
        return found


def mutants(rules: Rules) -> Iterator[tuple[str, Rules]]:
    """The rules with one reason or one condition taken away, and what was taken away."""
    yield "NAMED", replace(rules, named=(never,))
    yield "NAMED/0", replace(rules, named=())
    yield "common/0", replace(rules, common=())
    for reason, conditions in rules.by_reason.items():
        yield reason.name, replace(rules, by_reason={**rules.by_reason, reason: (never,)})
        for at in range(len(conditions)):
            fewer = conditions[:at] + conditions[at + 1 :]
            yield f"{reason.name}/{at}", replace(rules, by_reason={**rules.by_reason, reason: fewer})


def never(_probed: Probed) -> bool:
    """In place of a condition: the reason is never given."""
    return False

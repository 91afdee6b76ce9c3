"""How a policy is declared: its name and keys, what it changes, where it was discussed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tracereplay.model.whatif import Engine, State
from tracereplay.whatif.page_rows import Rule
from tracereplay.whatif.pools import Pool
from tracereplay.whatif.requests import Bools, Bytes, Requests

KeyKind = Literal["count", "pages", "percent", "duration", "text", "flag"]
Values = Mapping[str, Any]
PLACING = ("mm_page_alloc", "mm_page_free", "mm_page_alloc_zone_locked", "mm_page_pcpu_drain")


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a policy. A flag is a word without `=`."""

    name: str
    kind: KeyKind
    sentence: str
    default: Any = None
    choices: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Retry:
    """The operation begins again `times` times, `sleep_ns` after it failed."""

    operations: tuple[str, ...]
    times: int
    sleep_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a policy changes, for the engines.

    rules -- of the modelled allocator; request -- what allocations ask for; gone -- causes of culprits that no longer
    are in the way, wherever they are; migratable -- allocations whose pages can be migrated after all; retry -- of
    attempts; past_blocker -- the next range begins after the page that blocked; guaranteed -- nothing in a CMA area
    can block, and a page in it is dropped in drop_ns (None: as measured in the trace); area_pages, movable_pages --
    size of the CMA area, of ZONE_MOVABLE; split_destinations -- single pages do for a large folio; pool -- of
    secretmem; not_modelled -- a code.
    """

    rules: Mapping[Rule, int] = field(default_factory=dict)
    request: Callable[[Requests], Bytes] | None = None
    gone: frozenset[str] = frozenset()
    migratable: Callable[[Requests], Bools] | None = None
    retry: Retry | None = None
    past_blocker: bool = False
    guaranteed: bool = False
    drop_ns: int | None = None
    area_pages: int | None = None
    movable_pages: int | None = None
    split_destinations: bool = False
    pool: Pool | None = None
    not_modelled: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One policy. engine -- the weakest that answers; needs -- events without which it cannot be answered."""

    name: str
    sentence: str
    discussed: Sequence[str]
    state: State
    engine: Engine
    change: Callable[[Values], Change]
    keys: Sequence[Key] = ()
    needs: Sequence[str] = ()
    says: str = ""  # what may be claimed, and what not

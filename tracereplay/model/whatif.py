"""The document `whatif` produces, in the contract's order and spelling; conventions as in `model.result`.

Attempt and culprit ids are those of `blame` over the same inputs. Unknown is None, never 0.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from tracereplay.model.result import Counter, DataLoss, Input, Tool

SCHEMA = "tracereplay.whatif/1"

Engine = Literal["record", "blockers", "guided"]
Fitness = Literal["good", "usable", "unfit"]
Answer = Literal["succeeds", "still_fails", "newly_fails", "unknown"]
Bound = Literal["estimate", "upper", "lower"]
Basis = Literal["events", "option"]
Measure = Literal["cma_share", "refills_cma", "extfrag", "free_pages", "free_by_order", "ranges", "outcomes"]
SizeScope = Literal["movable", "cma"]
Quantity = Literal["asked", "fits_up_to", "starves_from", "holds_from"]
SizeVerdict = Literal["fits", "starves", "unknown"]
State = Literal["merged", "posted", "vendor", "rejected", "discussed", "none"]


class Rules(Struct, kw_only=True):
    """The rules of the kernel that was traced. cma_percent -- CMA first while it is more than that of what is free."""

    name: str
    basis: Basis
    cma_percent: int | None


class SelfCheck(Struct, kw_only=True):
    """The recorded allocator against the record, in pages.

    taken -- left the free lists; taken_not_free -- ... that the model had not as free (0 where every event is there);
    drained_free -- came back while free; left_unseen -- had left without an event (compaction); freed_directly -- went
    to the buddy although per-cpu lists take that order; ranges -- allocated as ranges; ranges_not_free -- ... not free.
    """

    input_id: str
    taken: int
    taken_not_free: int
    drained_free: int
    left_unseen: int
    freed_directly: int
    ranges: int
    ranges_not_free: int


class SeedPages(Struct, kw_only=True):
    """Free pages at the start, by how they are known."""

    from_events: int
    from_counts: int


class HiddenPages(Struct, kw_only=True):
    """Pages of a zone that had left the free lists before the first event; low, high: as decisions bound it."""

    zone: str
    value: int
    low: int | None
    high: int | None
    decisions: int
    violated: int
    held_out_violated: int | None


class Fit(Struct, kw_only=True):
    """One measure of the trace under its own kernel's rules: as recorded, and as the model has it."""

    measure: Measure
    scope: str
    record: float
    model: float
    error: float
    limit: float
    ok: bool


class Model(Struct, kw_only=True):
    """How well the model reproduces one trace. why -- the code of what makes it unfit, or of what lacks."""

    input_id: str
    engine: Engine
    verdict: Fitness
    why: str | None
    seed: SeedPages | None = None
    hidden_pages: list[HiddenPages] = field(default_factory=list)
    fit: list[Fit] = field(default_factory=list)


class PolicyRun(Struct, kw_only=True):
    """A policy as requested. parameters -- key=value as text; missing -- events it needs that no input has."""

    id: str
    name: str
    parameters: dict[str, str]
    sentence: str
    discussed: list[str]
    state: State
    engine: Engine
    needs: list[str]
    missing: list[str]


class Placement(Struct, kw_only=True):
    """Share (0 to 1) of movable allocations in CMA areas: recorded and under the policy; None = not modelled.

    low, high -- over the runs: over what the start of the trace leaves open, not over what a model gets wrong.
    """

    policy_id: str
    input_id: str
    scope: str
    measure: Literal["cma_share"]
    record: float
    predicted: float | None
    low: float | None
    high: float | None


class Cost(Struct, kw_only=True):
    """What a policy costs; None = not modelled.

    pages_moved -- by an attempt that is saved; wait_ns -- negative: so much less waiting; so direct_map_splits;
    pages_displaced -- most pages at one time that have to find room elsewhere, of those allocated in the trace;
    longest_ns -- what an attempt takes at most.
    """

    pages_moved: int | None = None
    wait_ns: int | None = None
    allocations_failed: int | None = None
    unmovable_pages_added: int | None = None
    pages_kept_out_of_cma: int | None = None
    direct_map_splits: int | None = None
    pages_refused: int | None = None
    blocks_not_free: int | None = None
    pages_displaced: int | None = None
    longest_ns: int | None = None


class Outcome(Struct, kw_only=True):
    """One attempt under one policy.

    recorded -- its outcome in the trace; bound -- upper: what comes after the first blocking page was not recorded;
    at_ns -- when it would have succeeded, where later; blocked_by -- culprits that remain; why -- code of the reason.
    """

    attempt_id: str
    policy_id: str
    recorded: str
    answer: Answer
    bound: Bound
    runs: int
    runs_succeeding: int
    at_ns: int | None = None
    tries: int | None = None
    blocked_by: list[str] = field(default_factory=list)
    why: str | None = None
    cost: Cost = field(default_factory=Cost)


class Summary(Struct, kw_only=True):
    """One policy over all attempts: failed ones, and what became of them; newly_fails of those that succeeded."""

    policy_id: str
    failed: int
    saved: int
    saved_upper: int
    still_fails: int
    unknown: int
    newly_fails: int
    cost: Cost


class Sizing(Struct, kw_only=True):
    """A size of ZONE_MOVABLE or of the CMA areas. time_ns -- of the peak that decides it.

    quantity -- asked: the size that a policy names; fits_up_to: as large as the kernel's own memory surely allows;
    starves_from: as small as surely takes memory that the kernel used; holds_from: as small as held all ranges at once.
    A bound that the record does not give is None: where kernel allocations failed, more was wanted than it shows.
    """

    input_id: str
    scope: SizeScope
    quantity: Quantity
    pages: int | None
    time_ns: int | None
    verdict: SizeVerdict


class BlameOf(Struct, kw_only=True):
    """The result of `blame` that ids refer to: SHA-256 of its document without `tool`, None where it is not to tell."""

    sha256: str | None


class WhatIf(Struct, kw_only=True):
    """The whole document."""

    schema: str = SCHEMA
    tool: Tool
    inputs: list[Input]
    data_loss: list[DataLoss] = field(default_factory=list)
    blame: BlameOf
    rules: list[Rules] = field(default_factory=list)
    self_check: list[SelfCheck] = field(default_factory=list)
    model: list[Model] = field(default_factory=list)
    policies: list[PolicyRun] = field(default_factory=list)
    placement: list[Placement] = field(default_factory=list)
    results: list[Outcome] = field(default_factory=list)
    sizing: list[Sizing] = field(default_factory=list)
    summary: list[Summary] = field(default_factory=list)
    counters: list[Counter] = field(default_factory=list)

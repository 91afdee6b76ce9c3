"""What is said of a corpus: the report, the difference of two sets, what a gate matched.

An attempt counts once, however many paths hold the same trace. Shares are of traces with at least one such attempt,
since the attempts of one trace are not independent. Unknown is None.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from tracereplay.model.result import Tool

REPORT_SCHEMA = "tracereplay.corpus-report/1"
DIFF_SCHEMA = "tracereplay.corpus-diff/1"
GATE_SCHEMA = "tracereplay.corpus-gate/1"
WHATIF_SCHEMA = "tracereplay.corpus-whatif/1"

Subject = Literal["failed", "unexplained", "cause", "cause and holder", "file system"]
Kind = Literal["new", "gone", "more", "less", "same"]

# What becomes of a trace, and how reports say it. All but the first are broken.
STATUSES = {
    "analysed": "analysed",
    "unreadable": "cannot be read",
    "timed_out": "over the time limit",
    "out_of_memory": "over the memory limit",
    "crashed": "analysis failed",
}


class Broken(Struct, kw_only=True):
    """A trace that has no analysis, and why."""

    path: str
    status: str
    reason: str | None


class Outcome(Struct, kw_only=True):
    """What became of the traces; broken -- the first of them, in order of their paths."""

    traces: int
    analysed: int
    by_status: dict[str, int]
    broken: list[Broken]


class Totals(Struct, kw_only=True):
    """The whole set; copies -- paths whose content another path has too; shares are of what stands before them."""

    copies: int
    attempts: int
    failed: int
    unexplained: int
    events: int
    cpu_seconds: float


class Example(Struct, kw_only=True):
    """An attempt to look at: `tracereplay blame PATH` tells all of it."""

    path: str
    attempt_id: str


class Rank(Struct, kw_only=True):
    """One value of a ranking; proved and suggested count attempts, failed those that failed."""

    value: str | None
    traces: int
    attempts: int
    failed: int
    pages: int
    held_ns_max: int | None
    delay_ns: int
    proved: int
    suggested: int
    examples: list[Example] = field(default_factory=list)


class Ranking(Struct, kw_only=True):
    """What blocked migration, by one property, most attempts first; values -- how many there are in all."""

    by: str
    values: int
    rows: list[Rank]


class Top(Struct, kw_only=True):
    """The cause and holder met most in a group."""

    cause: str
    holder: str | None
    attempts: int


class Group(Struct, kw_only=True):
    """The traces that share a value of a metadata column, or follow each other in a trend."""

    value: str | None
    traces: int
    broken: int
    attempts: int
    failed: int
    unexplained: int
    top: Top | None = None


class Series(Struct, kw_only=True):
    """How often one thing was met along a trend.

    traces -- with it, by group; association -- Somers' D of having it and the order of groups, -1 to 1; q_value -- its
    p_value corrected for the number of series (Benjamini, Hochberg); since -- the group from which on its share differs
    most from before, for what has q_value < 0.05.
    """

    subject: Subject
    cause: str | None
    holder: str | None
    traces: list[int]
    share_before: float | None = None
    share_since: float | None = None
    association: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    since: str | None = None


class Trend(Struct, kw_only=True):
    """Groups in order of a column, and what changed along them, most certain first."""

    over: str
    groups: list[Group]
    series: list[Series]


class CorpusReport(Struct, kw_only=True):
    """`corpus report`: the whole document."""

    schema: str = REPORT_SCHEMA
    tool: Tool
    store: str
    where: list[str]
    outcome: Outcome
    totals: Totals
    rankings: list[Ranking]
    by: str | None = None
    groups: list[Group] = field(default_factory=list)
    trend: Trend | None = None


class Side(Struct, kw_only=True):
    """One of two sets: analysed traces of different content, and their attempts."""

    store: str
    where: list[str]
    traces: int
    attempts: int
    failed: int


class Change(Struct, kw_only=True):
    """One thing in both sets: traces with it, shares with their 95 % intervals (Wilson), and the test.

    odds_ratio -- B to A, with its 95 % interval; None: without bound. p_value -- Fisher's exact test, q_value -- the
    same corrected for the number of rows (Benjamini, Hochberg); significant -- q_value < 0.05.
    """

    kind: Kind
    significant: bool
    subject: Subject
    cause: str | None
    holder: str | None
    a_traces: int
    b_traces: int
    a_share: tuple[float, float, float]
    b_share: tuple[float, float, float]
    odds_ratio: float | None
    odds_low: float | None
    odds_high: float | None
    p_value: float
    q_value: float
    examples: list[Example] = field(default_factory=list)


class CorpusDiff(Struct, kw_only=True):
    """`corpus diff`: the whole document, most certain changes first."""

    schema: str = DIFF_SCHEMA
    tool: Tool
    a: Side
    b: Side
    changes: list[Change]


class RuleResult(Struct, kw_only=True):
    """One rule of a gate; matched -- it should not have; says -- what was counted."""

    rule: str
    matched: bool
    says: str
    examples: list[str] = field(default_factory=list)


class CorpusGate(Struct, kw_only=True):
    """`corpus gate`: the whole document."""

    schema: str = GATE_SCHEMA
    tool: Tool
    store: str
    where: list[str]
    rules: list[RuleResult]


class Saved(Struct, kw_only=True):
    """One policy over the failed attempts of some traces.

    value -- of the column grouped by, None without one (or where a trace has no value); traces -- that have a failed
    attempt; failed = saved + still_fails + unknown; newly_fails -- of attempts that had succeeded. share -- saved of
    failed; low, high -- 95 % interval (Wilson's, of as many independent observations as traces: attempts of one machine
    are not independent), low with every `unknown` as failing, high with every `unknown` as saved; None without a trace.
    """

    policy: str
    value: str | None = None
    traces: int
    failed: int
    saved: int
    saved_upper: int
    still_fails: int
    unknown: int
    newly_fails: int
    share: float | None
    low: float | None
    high: float | None


class CorpusWhatIf(Struct, kw_only=True):
    """Which one change would have saved how many failures; most saved, then fewest newly failing, stand first."""

    schema: str = WHATIF_SCHEMA
    tool: Tool
    store: str
    where: list[str] = field(default_factory=list)
    outcome: Outcome
    by: str | None = None
    policies: list[Saved] = field(default_factory=list)
    groups: list[Saved] = field(default_factory=list)

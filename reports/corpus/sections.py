"""What is said of a corpus, as sections: the words that text, Markdown and HTML share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from tracereplay.model.corpus import (
    STATUSES,
    Change,
    CorpusDiff,
    CorpusGate,
    CorpusReport,
    Example,
    Group,
    Outcome,
    Ranking,
    Series,
    Side,
    Trend,
)
from tracereplay.reports.shared.sections import Cell, Column, Section, Share, Spark, Traces, numeric
from tracereplay.reports.shared.style import Style
from tracereplay.reports.shared.wording import count
from tracereplay.units import format_duration

MAX_RANKS = 10
MAX_FIRST = 3
MAX_GROUPS = 20
MAX_SERIES = 10
MAX_CHANGES = 20
MAX_BROKEN = 20
MAX_VALUE = 120  # characters


def report_sections(report: CorpusReport, style: Style) -> list[Section]:
    """The first screen first: how many, how many failed and why, since when; then the rest."""
    root = common_folder(e.path for ranking in report.rankings for rank in ranking.rows for e in rank.examples)
    sections = [_summary(report, root)]
    if report.trend is not None:
        sections += _trend(report.trend, style)
    sections += [_ranking(ranking, root, style) for ranking in report.rankings if ranking.rows]
    if report.by is not None:
        sections.append(_groups(f"By {report.by}", report.by, report.groups, style))
    sections += broken_sections(report.outcome, style)
    return sections


def _summary(report: CorpusReport, root: str) -> Section:
    totals, outcome = report.totals, report.outcome
    broken = outcome.traces - outcome.analysed
    copies = f"; {count(totals.copies, 'copy', 'copies')} of another, counted once" if totals.copies else ""
    lines = [f"{count(outcome.traces, 'trace')}, {outcome.analysed:,} analysed, {broken:,} broken{copies}"]
    lines += [
        f"{count(totals.attempts, 'attempt')}, {totals.failed:,} failed ({share(totals.failed, totals.attempts)})",
        f"unexplained: {totals.unexplained:,} of the failed ones ({share(totals.unexplained, totals.failed)})",
        f"{count(totals.events, 'event')}, analysed in {totals.cpu_seconds:,.0f} s of processor time",
    ]
    if report.where:
        lines.insert(0, f"only where {' and '.join(report.where)}")
    lines += [f"examples are in {root}"] if root else []
    lines[:0] = _most(report)
    return Section(f"Corpus {report.store}", lines)


def _most(report: CorpusReport) -> Iterator[str]:
    """`most often: buffer_head: file system metadata of 254:16 (4 of 8 failed attempts), ...`; nothing without any."""
    ranks = next((ranking.rows for ranking in report.rankings if ranking.by == "cause and holder"), [])
    met = sorted((rank for rank in ranks if rank.failed), key=lambda rank: -rank.failed)[:MAX_FIRST]
    of = f" of {report.totals.failed:,}"
    said = [f"{_value(rank.value, Style())} ({rank.failed:,}{of}{'' if place else ' failed attempts'})"
            for place, rank in enumerate(met)]  # fmt: skip
    if said:
        yield f"most often: {', '.join(said)}"


def _ranking(ranking: Ranking, root: str, style: Style) -> Section:
    shown = ranking.rows if style.full else ranking.rows[:MAX_RANKS]
    columns: tuple[str | Column, ...] = (
        ranking.by,
        numeric("attempts"),
        numeric("failed"),
        numeric("traces"),
        numeric("proved"),
        numeric("pages"),
        numeric("held up to"),
        "example",
    )
    rows: list[tuple[Cell, ...]] = [
        (
            _value(rank.value, style),
            f"{rank.attempts:,}",
            f"{rank.failed:,}",
            f"{rank.traces:,}",
            f"{rank.proved:,}",
            f"{rank.pages:,}",
            "" if rank.held_ns_max is None else format_duration(rank.held_ns_max),
            traces(rank.examples[: 3 if style.full else 1], root),
        )
        for rank in shown
    ]
    if style.full:
        top = max(rank.attempts for rank in shown)
        columns = (columns[0], "", *columns[1:])
        rows = [(row[0], Share(rank.attempts / max(top, 1)), *row[1:]) for row, rank in zip(rows, shown, strict=True)]
    return Section(f"Blamed, by {ranking.by}", (), columns, rows, ranking.values - len(shown))


def _value(text: str | None, style: Style) -> str:
    """A stack may be long."""
    if text is None:
        return "not seen"
    return text if style.full or len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]} ..."


def _groups(title: str, by: str, groups: Sequence[Group], style: Style) -> Section:
    shown = groups if style.full else groups[:MAX_GROUPS]
    columns = (
        by,
        numeric("traces"),
        numeric("broken"),
        numeric("attempts"),
        numeric("failed"),
        numeric("share"),
        numeric("unexplained"),
        "met most",
    )
    rows = [
        (
            group.value or "not known",
            f"{group.traces:,}",
            f"{group.broken:,}",
            f"{group.attempts:,}",
            f"{group.failed:,}",
            share(group.failed, group.attempts),
            f"{group.unexplained:,}",
            "" if group.top is None else f"{thing('cause and holder', group.top.cause, group.top.holder)}",
        )
        for group in shown
    ]
    return Section(title, (), columns, rows, len(groups) - len(shown))


def _trend(trend: Trend, style: Style) -> list[Section]:
    if not trend.groups:
        return []
    sure = [one for one in trend.series if one.since is not None]
    first, last = trend.groups[0].value, trend.groups[-1].value
    shown = sure if style.full else sure[:MAX_SERIES]
    columns = ("what", "since", numeric("before"), numeric("since then"), "share of traces", numeric("p, corrected"))
    rows = [
        (
            thing(one.subject, one.cause, one.holder),
            one.since or "",
            percent(one.share_before),
            percent(one.share_since),
            _spark(one, trend),
            p_words(one.q_value),
        )
        for one in shown
    ]
    said = f"{count(len(trend.groups), 'value')} of {trend.over}, from {first} to {last}"
    found = (
        f"{count(len(sure), 'thing')} changed along them" if sure else "nothing changed that chance does not explain"
    )
    sections = [Section(f"Trend over {trend.over}", [f"{said}: {found}"], columns, rows, len(sure) - len(shown))]
    if style.full:
        sections.append(_groups(f"Along {trend.over}", trend.over, trend.groups, style))
    return sections


def _spark(one: Series, trend: Trend) -> Spark:
    return Spark([k / g.traces if g.traces else None for k, g in zip(one.traces, trend.groups, strict=True)])


def broken_sections(outcome: Outcome, style: Style) -> list[Section]:
    """The traces without an analysis, each with its reason; nothing where there is none."""
    broken = outcome.traces - outcome.analysed
    if not broken:
        return []
    shown = outcome.broken if style.full else outcome.broken[:MAX_BROKEN]
    kinds = [f"{number:,} {STATUSES.get(s, s)}" for s, number in outcome.by_status.items() if s != "analysed"]
    rows = [(one.path, STATUSES.get(one.status, one.status), one.reason or "") for one in shown]
    title = f"{count(broken, 'broken trace')}: {', '.join(kinds)}"
    return [Section(title, (), ("trace", "what", "why"), rows, broken - len(shown), ok=False)]


def diff_sections(diff: CorpusDiff, style: Style) -> list[Section]:
    """What differs for sure, then what differs by chance as well as not."""
    root = common_folder(example.path for change in diff.changes for example in change.examples)
    sure = [change for change in diff.changes if change.significant]
    unsure = [change for change in diff.changes if not change.significant]
    sections = [
        Section("Compared", [f"A: {_side(diff.a)}", f"B: {_side(diff.b)}", *_units(root)]),
        _changes("Different", sure, root, style)
        if sure
        else Section("Different", ["nothing that chance does not explain"], ok=True),
    ]
    if style.full and unsure:
        sections.append(_changes("Not distinguishable from chance", unsure, root, style))
    elif unsure:
        sections.append(Section(f"{count(len(unsure), 'more thing')} not distinguishable from chance: --full"))
    return sections


def _units(root: str) -> list[str]:
    return ["shares are of traces, with 95 % intervals", *([f"examples are in {root}"] if root else [])]


def _side(side: Side) -> str:
    where = f" where {' and '.join(side.where)}" if side.where else ""
    return (
        f"{side.store}{where}: {count(side.traces, 'trace')}, {count(side.attempts, 'attempt')}, {side.failed:,} failed"
    )


def _changes(title: str, changes: Sequence[Change], root: str, style: Style) -> Section:
    shown = changes if style.full else changes[:MAX_CHANGES]
    columns = ("", "what", numeric("A"), numeric("B"), numeric("odds ratio"), numeric("p, corrected"), "example")
    rows = [
        (
            change.kind,
            thing(change.subject, change.cause, change.holder),
            _interval(change.a_traces, change.a_share),
            _interval(change.b_traces, change.b_share),
            _odds(change),
            p_words(change.q_value),
            examples(change.examples[:1], root),
        )
        for change in shown
    ]
    return Section(title, (), columns, rows, len(changes) - len(shown))


def _interval(traces: int, of: tuple[float, float, float]) -> str:
    """`4: 20 % (8-42)`: traces, share, interval of the share."""
    share_of, low, high = (f"{100 * value:.3g}" if value < 0.01 else f"{100 * value:.0f}" for value in of)
    return f"{traces:,}: {share_of} % ({low}-{high})"


def _odds(change: Change) -> str:
    if change.odds_ratio is None and change.odds_low is None and change.odds_high is None:
        return ""
    middle, low, high = (
        "∞" if bound is None else f"{bound:.3g}" if bound < 1000 else f"{bound:,.0f}"
        for bound in (change.odds_ratio, change.odds_low, change.odds_high)
    )
    return f"{middle} ({low}-{high})"


def gate_sections(gate: CorpusGate, style: Style) -> list[Section]:  # noqa: ARG001
    """A row for each rule; then the traces that matched."""
    matched = [rule for rule in gate.rules if rule.matched]
    title = f"{count(len(matched), 'rule')} of {len(gate.rules)} matched" if matched else "no rule matched"
    rows = [("FAILED" if rule.matched else "ok", rule.rule, rule.says) for rule in gate.rules]
    sections = [Section(f"{gate.store}: {title}", (), ("", "rule", "counted"), rows, ok=not matched)]
    sections += [Section(f"Look at, for {rule.rule}", rule.examples) for rule in matched if rule.examples]
    return sections


def thing(subject: str, cause: str | None, holder: str | None) -> str:
    """What a row is about: `task_reference by pin-vmsplice`."""
    if subject in ("failed", "unexplained"):
        return {"failed": "a failed attempt", "unexplained": "a failure without a known cause"}[subject]
    if subject == "file system":
        return f"file system {holder}"
    return f"{cause} by {holder}" if holder is not None else str(cause)


def share(part: int, whole: int) -> str:
    """`12.3 %`, nothing of nothing."""
    return percent(part / whole) if whole else "-"


def percent(value: float | None) -> str:
    """`12.3 %`."""
    return "" if value is None else f"{100 * value:.1f} %"


def p_words(value: float | None) -> str:
    """A probability as people write it."""
    return "" if value is None else "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def traces(found: Sequence[Example], root: str = "") -> Traces:
    """Traces to open, named from the folder `root`."""
    return Traces([(path, path.removeprefix(root)) for path in dict.fromkeys(example.path for example in found)])


def examples(found: Sequence[Example], root: str = "") -> str:
    """Traces to open, named from the folder `root`."""
    return ", ".join(dict.fromkeys(example.path.removeprefix(root) for example in found))


def common_folder(paths: Iterable[str]) -> str:
    """The longest folder that holds all paths, with its slash; nothing where there is none."""
    parts = [path.split("/")[:-1] for path in paths]
    same = takewhile(lambda names: len(set(names)) == 1, zip(*parts, strict=False))
    return "".join(f"{names[0]}/" for names in same)

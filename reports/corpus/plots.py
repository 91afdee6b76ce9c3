"""A corpus as a picture: who is to blame how often, and what changed along builds or days. Drawn with matplotlib."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from tracereplay.errors import UsageError
from tracereplay.model.corpus import CorpusReport, Ranking, Trend
from tracereplay.reports.corpus.sections import thing
from tracereplay.reports.plots import MAX_SOURCE, drawn, short
from tracereplay.reports.shared.palette import HUES
from tracereplay.reports.shared.style import escape_control_chars
from tracereplay.reports.shared.wording import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_BARS = 12
MAX_LINES = 6
MAX_TICKS = 12
MAX_NAME = 48


def render_corpus_plot(report: CorpusReport, suffix: str) -> bytes:
    """PNG, SVG or PDF; the same report gives the same SVG. Raises UsageError where nothing can be drawn."""
    report = escape_control_chars(report)
    ranking = next((one for one in report.rankings if one.by == "cause and holder" and one.rows), None)
    if ranking is None:
        raise UsageError("nothing is blamed in this corpus: there is nothing to draw")
    trend = report.trend if report.trend is not None and len(report.trend.groups) > 1 else None

    def draw(figure: Figure) -> None:
        figure.set_size_inches(11, 4 if trend is None else 8)
        figure.suptitle(_source(report), fontsize=8, color="#5b6470", x=0.005, ha="left")
        places = figure.subplots(1 if trend is None else 2, squeeze=False)[:, 0]
        _bars(places[0], ranking)
        if trend is not None:
            _lines(places[1], trend)

    return drawn(draw, suffix)


def _source(report: CorpusReport) -> str:
    """The store and how much is in it, for whoever finds the picture later."""
    where = f" where {' and '.join(report.where)}" if report.where else ""
    said = f"corpus {PurePath(report.store).name}{where}, {count(report.outcome.analysed, 'trace')}"
    return short(f"{said}, {report.totals.failed:,} of {count(report.totals.attempts, 'attempt')} failed", MAX_SOURCE)


def _bars(axes: Axes, ranking: Ranking) -> None:
    """Attempts by cause and holder; the part that failed is full."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    rows = ranking.rows[:MAX_BARS]
    places = range(len(rows))
    axes.barh(places, [row.attempts for row in rows], height=0.7, color=HUES[0], alpha=0.35, label="all attempts")
    axes.barh(places, [row.failed for row in rows], height=0.7, color=HUES[0], label="failed")
    for place, row in zip(places, rows, strict=True):
        axes.annotate(
            f"{row.failed:,} failed of {row.attempts:,}, {count(row.traces, 'trace')}", (row.attempts, place),
            xytext=(4, 0), textcoords="offset points", va="center",
        )  # fmt: skip
    axes.set(yticks=places, ylim=(len(rows) - 0.4, -0.6), xlabel="attempts", xlim=(0, 1.35 * rows[0].attempts))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_yticklabels([short(row.value or "not seen", MAX_NAME) for row in rows])
    axes.set_title("What blocked migration, and who holds it")


def _lines(axes: Axes, trend: Trend) -> None:
    """The share of traces with each thing that changed, along the trend."""
    shown = [one for one in trend.series if one.since is not None][:MAX_LINES]
    shown = shown or [one for one in trend.series if one.subject == "failed"]
    places = range(len(trend.groups))
    for hue, one in enumerate(shown):
        shares = [
            100 * k / group.traces if group.traces else None for k, group in zip(one.traces, trend.groups, strict=True)
        ]
        known = [(place, value) for place, value in zip(places, shares, strict=True) if value is not None]
        since = f", since {one.since}" if one.since is not None else ""
        label = short(f"{thing(one.subject, one.cause, one.holder)}{since}", 60)
        axes.plot(*zip(*known, strict=True), color=HUES[hue % len(HUES)], marker="o", markersize=3, label=label)
    step = -(-len(trend.groups) // MAX_TICKS)
    axes.set(xticks=list(places)[::step], ylabel="% of traces", xlabel=trend.over, ylim=(0, None))
    names = [short(group.value or "", 16) for group in trend.groups[::step]]
    axes.set_xticklabels(names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_title(f"What changed along {trend.over}")
    if shown:
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=2)

"""The result as pictures (PNG, SVG, PDF): the area, the time line, who is to blame, how long pages
are held, how full areas were.

Drawn with matplotlib, which is loaded only here. The same result gives the same SVG, byte for byte. Colours and
patterns are those of the HTML report: hues that people with any colour vision tell apart, and a hatch for paper.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import msgspec

from tracereplay.errors import UsageError
from tracereplay.model.blame import holder_label
from tracereplay.model.derived.area import (
    area_span,
    culprit_runs,
    main_state,
    mapped_tries,
    shown_map,
    spread,
    state_runs,
)
from tracereplay.model.derived.hold_timeline import hold_times, lanes
from tracereplay.model.derived.inputs import main_inputs
from tracereplay.model.derived.occupancy import Occupancy, occupancies
from tracereplay.model.derived.ranking import cause_order
from tracereplay.model.derived.selection import notable_attempts
from tracereplay.model.result import Attempt, Blame, Culprit, Result
from tracereplay.reports.shared.attempt_wording import headline, headline_word
from tracereplay.reports.shared.holder_wording import lane_label
from tracereplay.reports.shared.palette import HUES
from tracereplay.reports.shared.state_wording import OCCUPANCY_WORDS, STATE_WORDS
from tracereplay.reports.shared.style import escape_control_chars
from tracereplay.reports.shared.wording import clock_unit, count, page_size_bytes, size_words
from tracereplay.units import NS_PER_S, format_pfn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from matplotlib.ticker import Locator

SUFFIXES = ("png", "svg", "pdf")
HATCHES = ("", "//", "..", "\\\\")
STATE_COLORS = {"free": "#d9efe1", "moved": "#9db8ea", "held": "#c9d4e6", "mixed": "#cfc4a0", "not_seen": "#eceef1"}
OCCUPANCY_COLORS = {"cma_alloc": "#0072b2", "allocated": "#e0b878", "free": "#b5dcc0", "not_seen": "#eceef1"}
OUTCOME_COLORS = {
    "succeeded": "#1b6e3c", "failed": "#b3261e", "interrupted": "#b3261e", "unfinished": "#5b6470",
    "unknown": "#5b6470",
}  # fmt: skip
EMPTY: dict[str, Any] = {"facecolor": "none", "edgecolor": "#d0d5dc"}
FADED = 0.5  # the alpha of a bar of which one end was not seen
COLUMNS = 64
MAX_ROWS = 32
MAX_LANES = 24
MAX_BARS = 20
MAX_AREAS = 8
MAX_NAME = 64
MAX_SOURCE = 150
TOLERANCE = 1e-9  # of a time: an axis that spans less is none
PLOT_STYLE: dict[str, Any] = {
    "svg.hashsalt": "tracereplay", "svg.fonttype": "path", "pdf.fonttype": 42, "font.family": "DejaVu Sans",
    "font.size": 9, "axes.titlesize": 10, "axes.titlelocation": "left", "axes.spines.top": False,
    "axes.spines.right": False, "text.usetex": False, "text.parse_math": False, "hatch.linewidth": 0.6,
}  # fmt: skip


def render_plot(
    result: Result, kind: str, suffix: str, try_index: int | None = None, *, attempt: str | None = None
) -> bytes:
    """One picture of KINDS, as one of SUFFIXES. Of the attempts, the map shows the first that reports describe.

    try_index -- the map at this try, with what blocked it; None: at the last, with all culprits. attempt -- the only
    one to draw, by its id or its place, from 0.
    Raises UsageError where matplotlib is not installed, where the result has nothing of that kind or no such attempt.
    """
    if attempt is not None:
        result = msgspec.structs.replace(result, attempts=[_chosen(result, attempt)])
    result = escape_control_chars(result)
    draw = partial(_area, try_index=try_index) if kind == "map" else KINDS[kind]

    def draw_with_source(figure: Figure) -> None:
        draw(figure, result)
        figure.suptitle(_source(result), fontsize=8, color="#5b6470", x=0.005, ha="left")

    return drawn(draw_with_source, suffix)


def _chosen(result: Result, name: str) -> Attempt:
    """The attempt of this id or place."""
    found = [a for place, a in enumerate(result.attempts) if name in (a.id, str(place))]
    if not found:
        known = f"0 to {len(result.attempts) - 1}" if result.attempts else "none"
        raise UsageError(f"--attempt {name}: no such attempt; there are {known} (or their ids)")
    return found[0]


def _source(result: Result) -> str:
    """The trace and the kernel, for whoever finds the picture later."""
    parts = [PurePath(i.path).name + (f", Linux {i.kernel}" if i.kernel else "") for i in main_inputs(result.inputs)]
    return short("; ".join(parts), MAX_SOURCE)


def drawn(draw: Callable[[Figure], None], suffix: str) -> bytes:
    """What is drawn on an empty figure, as one of SUFFIXES. Raises UsageError where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415  (without pyplot: no display, no global state)
    except ImportError:
        raise UsageError("matplotlib is not installed: pip install 'tracereplay[plots]'") from None
    with matplotlib.rc_context(PLOT_STYLE), warnings.catch_warnings():  # type: ignore[arg-type]  # keys are Literals
        # It draws a box with the number.
        warnings.filterwarnings("ignore", "Glyph .* missing from (current )?font")
        figure = Figure(layout="constrained")
        draw(figure)
        out = io.BytesIO()
        unchanging: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix, {})
        figure.savefig(out, format=suffix, dpi=150, metadata=unchanging)
    return out.getvalue()


def _area(figure: Figure, result: Result, try_index: int | None = None) -> None:
    """Cells in rows from low to high PFNs, in the colour of what most of their pages are; culprits win."""
    shown = [a for a in (*notable_attempts(result), *result.attempts) if area_span(a) and (a.map or a.culprits)]
    if not shown:
        raise UsageError("no attempt of this result has a map or a culprit to draw")
    attempt = shown[0]
    map_try = None if try_index is None else _map_try(attempt, try_index)
    low, high = area_span(attempt) or (0, 1)
    cell_pages = 1
    while cell_pages * COLUMNS * MAX_ROWS < high - low:
        cell_pages *= 2
    low -= low % cell_pages
    cells = -(-(high - low) // cell_pages)
    rows = -(-cells // COLUMNS)
    figure.set_size_inches(11, 1.6 + rows * 0.16)
    axes = figure.subplots()
    causes = _causes(result)
    drawn = _cells(axes, attempt, map_try, low, cell_pages, cells, causes)
    axes.set(xlim=(0, COLUMNS), ylim=(rows, 0), xticks=[], yticks=[row + 0.5 for row in range(rows)])
    axes.set_yticklabels(
        [format_pfn(low + row * COLUMNS * cell_pages) for row in range(rows)], family="DejaVu Sans Mono"
    )
    axes.tick_params(length=0)
    axes.set_title(_title(attempt, result))
    mapped = mapped_tries(attempt)[-1:] if map_try is None else [map_try]
    when = [f"pages as they were at try {at}" for at in mapped if attempt.tries]
    axes.set_xlabel("; ".join([f"a square is {count(cell_pages, 'page')}", *when]))
    axes.spines[:].set_visible(False)
    _legend(figure, drawn, causes, [_patch("no state of its pages is known", **EMPTY)] if None in drawn else [])


def _map_try(attempt: Attempt, try_index: int) -> int:
    """The try whose map stands for this one. Raises UsageError where there is no such try, or no map of it."""
    found = next((one for one in attempt.tries if one.index == try_index), None)
    if found is None:
        known = f"tries 0 to {attempt.tries[-1].index}" if attempt.tries else "no tries"
        raise UsageError(f"--try {try_index}: {attempt.id} has {known}")
    if found.map_try is None:
        near = shown_map(found, mapped_tries(attempt))
        other = "it has none at all" if near is None else f"the nearest is that of --try {near}"
        raise UsageError(f"--try {try_index}: {attempt.id} has no map of this try; {other}")
    return found.map_try


def _cells(
    axes: Axes, attempt: Attempt, map_try: int | None, low: int, cell_pages: int, cells: int, causes: dict[str, int]
) -> set[str | None]:
    """Draws them, those that look alike at once; the causes and states that occur, None where nothing is known."""
    from matplotlib.collections import PatchCollection  # noqa: PLC0415
    from matplotlib.patches import Rectangle  # noqa: PLC0415

    alike: dict[str | None, list[Rectangle]] = {}
    states = spread(state_runs(attempt, map_try), low, cell_pages, cells)
    culprits = spread(culprit_runs(attempt, map_try), low, cell_pages, cells)
    for place, (state, culprit) in enumerate(zip(states, culprits, strict=True)):
        name = culprit.most_common(1)[0][0] if culprit else main_state(state)
        corner = (place % COLUMNS + 0.06, place // COLUMNS + 0.06)
        alike.setdefault(name, []).append(Rectangle(corner, 0.88, 0.88))
    for name, squares in alike.items():
        look: dict[str, Any] = EMPTY if name is None else _look(name, causes) | {"edgecolor": "white"}
        axes.add_collection(PatchCollection(squares, linewidth=0.4, **look))
    return set(alike)


def _timeline(figure: Figure, result: Result) -> None:
    """Attempts on top, below them how long each holder kept its pages; unseen ends fade out at the edge."""
    placed = [(a, a.start_ns) for a in result.attempts if a.start_ns is not None]
    attempts = [attempt for attempt, _ in placed]
    if not attempts:
        what = "tells no time of its attempts" if result.attempts else "holds no attempt to draw"
        raise UsageError(f"this result {what}")
    found = lanes(attempts)
    shown = found[:MAX_LANES]
    causes = _causes(result)
    unit = clock_unit(result, attempts[0])
    scale = NS_PER_S if unit == "ns" else 1
    ends = [start if a.end_ns is None else a.end_ns for a, start in placed]
    times = [t for lane in shown for bar in lane.bars for t in (bar.start_ns, bar.end_ns) if t is not None]
    low, high = min([start for _, start in placed] + times), max(ends + times)
    margin = max((high - low) * 0.03, abs(low) * TOLERANCE, 1)
    low, high = int(low - margin), int(high + margin)
    figure.set_size_inches(11, 1.6 + 0.3 * (1 + len(shown)))
    axes = figure.subplots()
    for (attempt, begin), end in zip(placed, ends, strict=True):
        span = (begin / scale, max(end - begin, (high - low) / 1000) / scale)
        axes.broken_barh([span], (-0.35, 0.7), facecolor=OUTCOME_COLORS[attempt.outcome])
        axes.axvspan(span[0], span[0] + span[1], color="#0a58a8", alpha=0.07, linewidth=0)
    some_faded = False
    for row, lane in enumerate(shown, 1):
        for bar in lane.bars:
            start, end = (low if bar.start_ns is None else bar.start_ns), (high if bar.end_ns is None else bar.end_ns)
            faded = bar.start_ns is None or (bar.end_ns is None and not bar.still_held)
            look = _look(lane.first.cause, causes)
            look["alpha"] = FADED if faded else 1.0
            some_faded |= faded
            # A white edge would be all that is seen of a narrow bar.
            look["edgecolor"] = "white" if end - start > (high - low) / 200 else "none"
            width = max(end - start, (high - low) / 1000)
            axes.broken_barh([(start / scale, width / scale)], (row - 0.32, 0.64), **look)
    axes.set(xlim=(low / scale, high / scale), ylim=(len(shown) + 0.6, -0.6), yticks=range(len(shown) + 1))
    axes.set_yticklabels(["attempts", *(short(lane_label(lane, page_size_bytes(result))) for lane in shown)])
    axes.set_xlabel("seconds on the trace's clock" if unit == "ns" else "ticks of the trace's clock")
    most = f", the {len(shown)} of {len(found):,} holders with the most pages" if len(found) > len(shown) else ""
    axes.set_title(f"When pages were held: {count(len(attempts), 'attempt')}{most}")
    others = _outcomes(attempts)
    others += [_patch("faded: taking or letting go not seen", facecolor="#5b6470", alpha=FADED)] if some_faded else []
    _legend(figure, {lane.first.cause for lane in shown}, causes, others)


def _blame(figure: Figure, result: Result) -> None:
    """A bar for each cause and holder: how many attempts it blocked, pale how many it was found in."""
    rows = result.blame[:MAX_BARS]
    if not rows:
        raise UsageError("nothing is blamed in this result")
    causes = _causes(result)
    failed = sum(summary.failed for summary in result.summary)
    met: dict[tuple[str, str | None], list[Culprit]] = {}
    for culprit in (c for a in result.attempts for c in a.culprits):
        met.setdefault((culprit.cause, holder_label(culprit)), []).append(culprit)
    figure.set_size_inches(11, 1.5 + 0.32 * len(rows))
    axes = figure.subplots()
    for place, row in enumerate(rows):
        look = _look(row.cause, causes)
        pale: dict[str, Any] = look | {"alpha": FADED}
        axes.barh(place, row.attempts, height=0.7, edgecolor="white", **pale)
        axes.barh(place, row.blocked, height=0.7, edgecolor="white", **look)
        says = (
            f"blocked {row.blocked:,} of {failed:,} failed" if row.blocked else f"in {count(row.attempts, 'attempt')}"
        )
        if culprits := met.get((row.cause, row.holder)):
            sure = f"{row.proved} proved" if row.proved else "suggested" if row.suggested else "unknown"
            says = f"{says}, {size_words(culprits, page_size_bytes(result), brief=True)}, {sure}"
        axes.annotate(f" {says}", (row.attempts, place), va="center")
    most = max(row.attempts for row in rows)
    axes.set(yticks=range(len(rows)), ylim=(len(rows) - 0.4, -0.6), xlim=(0, most * 1.7 + 0.1))
    axes.set_yticklabels([short(f"{row.cause}: {_blamed(row)}") for row in rows])
    axes.set_xlabel("attempts; pale: found there, but it did not make them fail")
    axes.xaxis.set_major_locator(_whole_numbers())
    axes.set_title("Causes and holders, by attempts blocked")


def _whole_numbers() -> Locator:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    return MaxNLocator(integer=True)


def _blamed(row: Blame) -> str:
    return row.holder or ("holder not seen" if row.pages else "no page blamed")


def _hold_times(figure: Figure, result: Result) -> None:
    """How many pages were held for how long, by cause; only pages whose taking and release were both seen."""
    held: dict[str, list[tuple[int, int]]] = {}
    for culprit, took_ns in hold_times(result.attempts):
        held.setdefault(culprit.cause, []).append((took_ns, culprit.pages))
    if not held:
        raise UsageError("no page of this result was seen being taken and released")
    import numpy as np  # noqa: PLC0415

    causes = _causes(result)
    times = np.array([took for runs in held.values() for took, _ in runs]) / NS_PER_S
    wide = times.max() > 20 * times.min()
    edges = np.geomspace(times.min() * 0.8, times.max() * 1.25, 25) if wide else np.linspace(0, times.max() * 1.05, 25)
    figure.set_size_inches(11, 4)
    axes = figure.subplots()
    bottom = np.zeros(len(edges) - 1)
    for cause in sorted(held, key=lambda c: causes[c]):
        runs = np.array(held[cause])
        heights, _ = np.histogram(runs[:, 0] / NS_PER_S, edges, weights=runs[:, 1])
        look = _look(cause, causes)
        axes.bar(edges[:-1], heights, np.diff(edges), bottom, align="edge", edgecolor="white", **look)
        bottom += heights
    axes.set(xscale="log" if wide else "linear", xlabel="held for, seconds", ylabel="pages")
    axes.xaxis.set_major_formatter(lambda seconds, _: f"{seconds:g}")  # the usual one writes powers as formulas
    axes.xaxis.set_minor_formatter(lambda _, __: "")
    axes.yaxis.set_major_formatter(lambda pages, _: f"{pages:,g}")
    axes.set_title("How long pages were held")
    _legend(figure, set(held), causes)


def _occupancy(figure: Figure, result: Result) -> None:
    """Pages by state over time, an area or zone below the other; attempts on it are marked."""
    found = occupancies(result)
    if not found:
        raise UsageError(
            "this result counts no pages: its trace has no attempt, or no CMA area or Movable zone is known"
        )
    shown = found[:MAX_AREAS]
    units = {source.id: source.clock_unit for source in result.inputs}
    figure.set_size_inches(11, 0.9 + 2.4 * len(shown))
    for area, axes in zip(shown, figure.subplots(len(shown), squeeze=False)[:, 0], strict=True):
        _draw_occupancy(axes, area, units.get(area.input_id or "", "ns"))
    more = f"; {count(len(found) - len(shown), 'more area')} left out" if len(found) > len(shown) else ""
    figure.suptitle(f"Pages over time{more}", x=0.01, ha="left", fontsize=10)
    names = [name for name in OCCUPANCY_WORDS if any(name in area.pages for area in shown)]
    handles = [_patch(OCCUPANCY_WORDS[name], facecolor=OCCUPANCY_COLORS[name]) for name in names]
    handles += _outcomes([a for area in shown for a in area.attempts], alpha=0.5)
    figure.legend(handles=handles, loc="outside lower left", ncols=6, frameon=False)


def _draw_occupancy(axes: Axes, area: Occupancy, unit: str) -> None:
    scale = NS_PER_S if unit == "ns" else 1
    times = [time_ns / scale for time_ns in area.times]
    bottom = [0] * len(times)
    for name, pages in area.pages.items():
        top = [low + more for low, more in zip(bottom, pages, strict=True)]
        axes.fill_between(times, bottom, top, step="post", facecolor=OCCUPANCY_COLORS[name], linewidth=0)
        bottom = top
    last = max(times[-1], times[0] + max(abs(times[0]) * TOLERANCE, TOLERANCE))
    axes.set(xlim=(times[0], last), ylim=(0, max(area.top, 1)), ylabel="pages")
    axes.yaxis.set_major_formatter(lambda pages, _: f"{pages:,.0f}")
    for attempt in area.attempts:
        color = OUTCOME_COLORS[attempt.outcome]
        start, end = (attempt.start_ns or 0) / scale, (times[-1] if attempt.end_ns is None else attempt.end_ns / scale)
        axes.axvspan(start, end, color=color, alpha=0.18, linewidth=0)
        axes.vlines([start, end], 0, area.total, color=color, linewidth=0.8, linestyle=(0, (4, 2)))
    unseen = f" ({area.never_seen:,} with no event in the trace)" if area.never_seen else ""
    axes.set_title(f"{short(area.scope)}: {count(area.total, 'page')}{unseen}, {count(len(area.attempts), 'attempt')}")
    axes.set_xlabel("seconds on the trace's clock" if unit == "ns" else "ticks of the trace's clock")


KINDS: dict[str, Callable[[Figure, Result], None]] = {
    "map": _area,
    "timeline": _timeline,
    "blame": _blame,
    "hold-times": _hold_times,
    "occupancy": _occupancy,
}


def _causes(result: Result) -> dict[str, int]:
    """The place of each cause in the palette, as in the HTML report."""
    ordered = [*cause_order(result), *(row.cause for row in result.blame)]
    return {cause: place for place, cause in enumerate(dict.fromkeys(ordered))}


def _look(name: str, causes: dict[str, int]) -> dict[str, Any]:
    if name not in causes:
        return {"facecolor": STATE_COLORS[name]}
    place = causes[name]
    hatch = place // 2 + place // len(HUES)  # no two of the first 32 causes look the same
    return {"facecolor": HUES[place % len(HUES)], "hatch": HATCHES[hatch % len(HATCHES)]}


def _patch(label: str, **look: Any) -> Patch:
    from matplotlib.patches import Patch  # noqa: PLC0415

    return Patch(label=label, **look)


def _outcomes(attempts: Iterable[Attempt], **look: Any) -> list[Patch]:
    """What the colours of attempts say, of outcomes that occur."""
    colors = {
        "inventory" if attempt.inventory else f"attempt {attempt.outcome}": OUTCOME_COLORS[attempt.outcome]
        for attempt in attempts
    }
    return [_patch(label, facecolor=color, **look) for label, color in colors.items()]


def _legend(
    figure: Figure, names: Collection[str | None], causes: dict[str, int], others: Sequence[Patch] = ()
) -> None:
    ordered = [n for n in causes if n in names] + [n for n in STATE_WORDS if n in names and n not in causes]
    handles = [*(_patch(STATE_WORDS.get(n, n), edgecolor="white", **_look(n, causes)) for n in ordered), *others]
    if handles:
        figure.legend(handles=handles, loc="outside lower left", ncols=4, frameon=False)


def _title(attempt: Attempt, result: Result) -> str:
    return f"{headline_word(attempt)}  {headline(attempt, page_size_bytes(result))}"


def short(text: str, limit: int = MAX_NAME) -> str:
    """The text, cut where it is longer than that."""
    return text if len(text) <= limit else f"{text[: limit - 1]}\u2026"

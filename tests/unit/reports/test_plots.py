"""Pictures: every kind as every format, the same every time, and a plain word where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra `plots`)")

from matplotlib.figure import Figure

from tests.support import result_examples as example
from tracereplay.cli import plot
from tracereplay.errors import UsageError
from tracereplay.model.derived.hold_timeline import lanes
from tracereplay.model.derived.occupancy import occupancies
from tracereplay.model.explain import EXPLANATIONS
from tracereplay.model.result import Counter, MapRun, Result, Task
from tracereplay.reports.html import report as html_report
from tracereplay.reports.plots import KINDS, SUFFIXES, _look, render_plot
from tracereplay.reports.shared.palette import HUES

MAGIC = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_as_every_format(kind: str, suffix: str) -> None:
    assert render_plot(example.pinned(), kind, suffix).startswith(MAGIC[suffix])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_the_same_result_gives_the_same_bytes(kind: str, suffix: str) -> None:
    assert render_plot(example.pinned(), kind, suffix) == render_plot(example.pinned(), kind, suffix)


def test_legends_tell_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outcomes, ends nobody saw, squares nobody knows anything of; and a cause that blames no page names no holder."""
    labels: dict[str, set[str]] = {}

    def drawn_on(draw: Callable[[Figure], None], suffix: str) -> bytes:
        figure = Figure()
        draw(figure)
        ticks = [tick.get_text() for axes in figure.axes for tick in axes.get_yticklabels()]
        labels[suffix] = {text.get_text() for legend in figure.legends for text in legend.get_texts()} | set(ticks)
        return b""

    monkeypatch.setattr("tracereplay.reports.plots.drawn", drawn_on)
    result = example.pinned()
    result.attempts[0].culprits[0].held_since_ns = None
    result.blame[0].pages, result.blame[0].cause, result.blame[0].holder = 0, "bitmap_full", None
    for kind in KINDS:
        render_plot(result, kind, kind)
    assert labels["timeline"] >= {"attempt failed", "attempt succeeded", "faded: taking or letting go not seen"}
    assert labels["occupancy"] >= {"attempt failed", "attempt succeeded"}
    assert "no state of its pages is known" in labels["map"]
    assert "bitmap_full: no page blamed" in labels["blame"]


def test_a_culprit_moved_is_another_picture() -> None:
    moved = example.pinned()
    moved.attempts[0].culprits[0].start_pfn = 0x10000
    assert render_plot(moved, "map", "svg") != render_plot(example.pinned(), "map", "svg")


def test_the_map_at_a_try_shows_what_was_in_its_way_then() -> None:
    result = example.pinned()
    attempt = result.attempts[0]
    attempt.map = [
        MapRun(try_index=0, start_pfn=0xFC00, pages=65_536, state="held"),
        MapRun(try_index=16, start_pfn=0xFC00, pages=65_536, state="moved"),
        MapRun(try_index=16, start_pfn=0x1E403, pages=1, state="culprit", culprit_id="c0"),
    ]
    attempt.tries[0].map_try, attempt.tries[16].map_try = 0, 16
    first, last = (render_plot(result, "map", "svg", at) for at in (0, 16))
    assert first != last
    for at, says in ((3, "--try 3: .* the nearest is that of --try 16"), (17, "has tries 0 to 16")):
        with pytest.raises(UsageError, match=says):
            render_plot(result, "map", "svg", at)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_draw_is_said(kind: str) -> None:
    with pytest.raises(UsageError):
        render_plot(example.result(), kind, "svg")


def test_occupancy_tells_every_state_and_attempt() -> None:
    (area,) = occupancies(example.pinned())
    assert area.times == [n * 1_000_000_000 for n in (5, 6, 7)] + [example.trace().end_ns]
    assert list(area.pages) == ["cma_alloc", "allocated", "free", "not_seen"]
    assert [sum(at) for at in zip(*area.pages.values(), strict=True)] == [65_536] * 4
    assert area.pages["allocated"] == [500, 3_800, 700, 700]
    assert len(area.attempts) == 3


def test_occupancy_of_several_machines_is_kept_apart() -> None:
    both = example.pinned()
    both.counters += [Counter(input_id="i1", scope="reserved", name="free", time_ns=1, pages=7)]
    one, other = occupancies(both)
    assert (other.input_id, other.times, other.pages, other.attempts) == ("i1", [1], {"free": [7]}, [])
    assert one.total == 65_536
    assert render_plot(both, "occupancy", "png").startswith(MAGIC["png"])


def test_no_two_causes_look_the_same() -> None:
    causes = {code: place for place, code in enumerate(EXPLANATIONS)}
    assert len({str(_look(code, causes)) for code in causes}) == len(causes) > 20


def test_short_holds_of_a_long_trace_are_seen() -> None:
    """A bar of a millisecond within hours is drawn wide enough, and not in the white of its edge."""
    held = example.culprit(held_since_ns=5 * 10**9, released_ns=5 * 10**9 + 10**6, cause="writeback")
    late = example.attempt(id="a1", start_ns=10**13, end_ns=10**13 + 10**9, tries=[])
    drawn = render_plot(example.result(example.attempt(culprits=[held]), late), "timeline", "svg").decode()
    bars = [part for part in drawn.split("<path")[1:] if HUES[0] in part.split("/>")[0]]
    assert bars
    assert not any("stroke: #ffffff" in bar.split("/>")[0] for bar in bars[:1])


def test_names_with_formulas_stay_names() -> None:
    result = example.pinned()
    for row in (*result.blame,):
        row.holder = "$\\frac{1}{0}$ & <b>"
    assert b"<b>" not in render_plot(result, "blame", "svg")


def test_the_command_line_offers_what_there_is() -> None:
    assert tuple(KINDS) == plot.KINDS
    assert plot.SUFFIXES == SUFFIXES


def test_many_holders_are_cut() -> None:
    culprits = [
        example.culprit(id=f"c{n}", start_pfn=0x10000 + n, holder=None, holder_name=f"driver {n}") for n in range(100)
    ]
    crowded: Result = example.result(example.attempt(culprits=culprits))
    assert len(render_plot(crowded, "timeline", "png")) < 400_000


def test_one_attempt_is_chosen_by_place_or_id() -> None:
    result = example.mixed()
    third = result.attempts[2]
    by_place, by_id = (render_plot(result, "map", "svg", attempt=name) for name in ("2", third.id))
    assert by_place == by_id != render_plot(result, "map", "svg", attempt="0")
    with pytest.raises(UsageError, match="--attempt 9: no such attempt; there are 0 to 3"):
        render_plot(result, "map", "svg", attempt="9")


def test_a_picture_names_its_trace_and_kernel() -> None:
    renamed = example.pinned()
    renamed.inputs[0].kernel = "7.2.13"
    assert render_plot(renamed, "map", "svg") != render_plot(example.pinned(), "map", "svg")


def test_colours_are_those_of_the_page() -> None:
    templates = Path(html_report.__file__).parent / "templates"
    palette = (templates / "palette.js").read_text(encoding="utf-8")
    style = (templates / "report.css").read_text(encoding="utf-8")
    assert f"const HUES = {len(HUES)};" in palette
    light = style.split("@media", 1)[0]
    assert all(f"--hue-{place}: {hue};" in light for place, hue in enumerate(HUES))
    assert all(f".hue-{place} {{ fill: var(--hue-{place}); }}" in style for place in range(len(HUES)))


def test_holders_are_drawn_in_the_order_of_the_ranking() -> None:
    """The one that blocked most attempts first, however few its pages are."""
    often = example.culprit(holder=Task(tid=1, comm="often"))
    large = example.culprit(holder=Task(tid=2, comm="large"), pages=512, start_pfn=0x1E000)
    attempts = [example.attempt(id="a", culprits=[often, large]), example.attempt(id="b", culprits=[often])]
    assert [(lane.first.holder and lane.first.holder.comm, lane.blocked) for lane in lanes(attempts)] == [
        ("often", 2), ("large", 1),
    ]  # fmt: skip

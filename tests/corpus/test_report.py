"""Rankings, groups and trends: numbers that can be counted by hand, and a planted trend among things that stay."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.corpus.made import Trace, blames, fine, made, unexplained
from tests.corpus.runs import rows
from tests.support import result_examples as example
from tracereplay.corpus.aggregate import in_order, report
from tracereplay.corpus.query import conditions
from tracereplay.corpus.trend import series_of
from tracereplay.errors import UsageError
from tracereplay.model.blame import sum_up
from tracereplay.model.corpus import CorpusReport, Group, Rank
from tracereplay.model.result import Task
from tracereplay.reports.corpus.plots import render_corpus_plot

BUILDS, TURN, EACH = 30, 18, 12


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> CorpusReport:
    """Seven paths: two of one content, one broken."""
    traces = [
        Trace("/farm/1/a.dat", example.pinned(), {"build": "1", "device": "x"}),
        Trace("/farm/1/copy.dat", example.pinned(), {"build": "1", "device": "y"}, key="/farm/1/a.dat"),
        Trace("/farm/2/b.dat", blames("pin-vmsplice"), {"build": "2", "device": "x"}),
        Trace("/farm/2/c.dat", example.mixed(), {"build": "2", "device": "x"}),
        Trace("/farm/10/d.dat", unexplained(), {"build": "10", "device": "x"}),
        Trace("/farm/10/e.dat", fine(), {"build": "10"}),
        Trace("/farm/10/f.dat", ("unreadable", "is empty"), {"build": "10", "device": "z"}),
    ]
    return report(made(tmp_path_factory.mktemp("small") / "store", traces), by="device", over="build")


def rank(said: CorpusReport, by: str, value: str | None) -> Rank:
    (ranking,) = [one for one in said.rankings if one.by == by]
    (found,) = [one for one in ranking.rows if one.value == value]
    return found


def test_totals(small: CorpusReport) -> None:
    outcome, totals = small.outcome, small.totals
    assert (outcome.traces, outcome.analysed, outcome.by_status) == (7, 6, {"analysed": 6, "unreadable": 1})
    assert [(one.path, one.reason) for one in outcome.broken] == [("/farm/10/f.dat", "is empty")]
    # pinned: 3 attempts, 1 failed; blames: 1, 1; mixed: 4, 4; unexplained: 1, 1; fine: 1, 0
    assert (totals.copies, totals.attempts, totals.failed, totals.unexplained) == (1, 10, 7, 1)
    assert totals.events == 6000  # the broken one's row says 1000 too; the copy counts once


def test_rankings_count_what_blame_counts(small: CorpusReport) -> None:
    """By cause and holder as in a result's own `blame`, but for what only would have stood in the way."""
    (said,) = sum_up([blames("pin-vmsplice").attempts[0]])
    (pinned, dead) = sorted(sum_up(example.pinned().attempts), key=lambda row: -row.pages)
    both = rank(small, "cause and holder", "task_reference: pin-vmsplice")
    assert both.attempts == said.attempts + pinned.attempts == 2
    assert both.pages == said.pages + pinned.pages == 9
    assert both.proved == said.proved + pinned.proved == 2
    assert both.held_ns_max == pinned.held_ns_max
    assert rank(small, "holder", "pin-dead").pages == dead.pages
    extra = rank(small, "cause", "extra_reference")
    assert (extra.attempts, extra.failed, extra.traces, extra.suggested, extra.pages) == (3, 3, 1, 3, 3 * 512)
    assert "buffer_head" not in [one.value for one in small.rankings[0].rows]  # would_block
    full = rank(small, "cause", "bitmap_full")  # of an attempt that blames no page
    assert (full.attempts, full.pages, full.proved) == (1, 0, 0)


def test_what_nobody_holds_is_said(small: CorpusReport) -> None:
    assert rank(small, "holder", None).attempts == 4  # extra_reference three times, bitmap_full
    assert rank(small, "stack", "try_get_folio < gup_fast_fallback < __do_sys_vmsplice").attempts == 5


def test_examples_are_of_different_traces(small: CorpusReport) -> None:
    both = rank(small, "cause", "task_reference")
    assert [one.path for one in both.examples] == ["/farm/1/a.dat", "/farm/2/b.dat"]


def test_groups(small: CorpusReport) -> None:
    groups = {group.value: group for group in small.groups}
    assert set(groups) == {"x", "y", "z", None}
    x = groups["x"]
    assert (x.traces, x.broken, x.attempts, x.failed, x.unexplained) == (4, 0, 9, 7, 1)
    assert x.top is not None
    assert (x.top.cause, x.top.holder, x.top.attempts) == ("extra_reference", None, 3)
    assert (groups["y"].attempts, groups["z"].broken, groups["z"].traces) == (3, 1, 0)


def test_builds_stand_in_the_order_people_give_them(small: CorpusReport) -> None:
    assert small.trend is not None
    assert [group.value for group in small.trend.groups] == ["1", "2", "10"]
    assert sorted(["b-10", "b-9", "b", "2026-01-10", "2026-01-09"], key=in_order) == [
        "2026-01-09", "2026-01-10", "b", "b-9", "b-10",
    ]  # fmt: skip


def test_conditions(tmp_path: Path) -> None:
    store = made(tmp_path / "s", [Trace(f"/{b}.dat", blames(f"t{b}"), {"build": b}) for b in ("7.1", "7.2", "8.1")])
    said = report(store, conditions(["build=7.*", "path=*1.dat"]))
    assert (said.outcome.traces, said.where) == (1, ["build=7.*", "path=*1.dat"])
    for wrong in ("build", "no_such=1", "build';--=x"):
        with pytest.raises(UsageError):
            report(store, conditions([wrong]))
    with pytest.raises(UsageError, match="no column 'colour'; it has"):
        report(store, by="colour")


def test_an_empty_corpus(tmp_path: Path) -> None:
    said = report(made(tmp_path / "s", [Trace("/a", ("crashed", "x"))]))
    assert (said.outcome.analysed, said.totals.attempts) == (0, 0)
    assert all(one.rows == [] for one in said.rankings)


def test_a_planted_trend_is_found_and_nothing_else(tmp_path: Path) -> None:
    chance = random.Random(5)
    traces = []
    for number in range(BUILDS * EACH):
        build = 1 + number // EACH
        if chance.random() < (0.35 if build >= TURN else 0.04):
            said = blames("camera-hal")
        else:
            said = chance.choice([blames("netd"), blames("vold", "buffer_head"), fine(), fine()])
        traces.append(Trace(f"/{number}.dat", said, {"build": f"b{build}"}))
    found = report(made(tmp_path / "s", traces))  # along `build`, since there is no date
    assert found.trend is not None
    sure = {(one.subject, one.holder): one for one in found.trend.series if one.since is not None}
    planted = sure["cause and holder", "camera-hal"]
    since = int(str(planted.since)[1:])
    assert abs(since - TURN) <= 1
    assert planted.share_since is not None
    assert planted.share_before is not None
    assert planted.share_since > 5 * planted.share_before
    assert planted.association is not None
    assert planted.association > 0
    assert found.trend.series[0] == planted
    assert not {holder for _, holder in sure} & {"netd", "vold"}


def test_too_little_shows_no_trend() -> None:
    groups = [Group(value=str(n), traces=10, broken=0, attempts=0, failed=0, unexplained=0) for n in range(4)]
    key = ("cause", "task_reference", None)
    assert series_of({key: [0, 0, 2, 2]}, groups) == []
    (always,) = series_of({key: [10, 10, 10, 10]}, groups)  # nothing to tell apart
    assert (always.p_value, always.since) == (None, None)
    (turned,) = series_of({key: [0, 0, 9, 10]}, groups)
    assert (turned.since, turned.share_before, turned.share_since) == ("2", 0.0, 0.95)


def test_inventories_are_no_attempts(tmp_path: Path) -> None:
    asked = example.attempt(inventory=True, cause=None, culprits=[example.culprit(holder=Task(tid=1, comm="x"))])
    store = made(tmp_path / "s", [Trace("/a", example.result(asked))])
    assert report(store).totals.attempts == 0
    assert len(rows(store, "attempts")) == 1


def test_names_that_no_font_has_can_be_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra `plots`)")
    said = report(made(tmp_path / "store", [Trace("/farm/a.dat", blames("\u4e2d\u6587"), {"build": "1"})]))
    assert render_corpus_plot(said, "svg").startswith(b"<?xml")

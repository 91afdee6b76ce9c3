"""Results and page lives as people use them: tables, pictures, and what a prompt or a notebook shows."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support import result_examples as example
from tracereplay.answers import PageLife, Result
from tracereplay.errors import UsageError
from tracereplay.model import page, result
from tracereplay.model.tables import SPECS
from tracereplay.reports.html.cells import MAX_EVENTS
from tracereplay.reports.json import render_json

HOSTILE = '<img src=x onerror="alert(1)">&\x1b[31m'


def answer(of: result.Result) -> Result:
    return Result(**{name: getattr(of, name) for name in of.__struct_fields__})


class Seen(HTMLParser):
    """Tags and texts of a fragment; every tag that is opened has to be closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert {name for name, _ in attrs} <= {"colspan"}
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_result_is_the_document_it_was_made_of() -> None:
    made, plain = answer(example.pinned()), example.pinned()
    assert made == plain
    assert plain == made
    assert made != example.result()
    assert made != 1
    assert render_json(made) == render_json(plain)
    assert msgspec.json.decode(render_json(made), type=Result) == made


def test_tables_and_frames_have_the_same_rows() -> None:
    made = answer(example.pinned())
    assert list(made.tables) == list(SPECS)
    for name, frames in (("polars", made.to_polars), ("pandas", made.to_pandas)):
        pytest.importorskip(name)
        assert {key: len(frame) for key, frame in frames().items()} == {
            key: table.num_rows for key, table in made.tables.items()
        }


@pytest.mark.parametrize(("module", "use", "extra"), [
    ("polars", Result.to_polars, "polars"),
    ("pandas", Result.to_pandas, "pandas"),
    ("matplotlib", Result.plot, "plots"),
])  # fmt: skip
def test_a_missing_library_is_one_line(module: str, use: Any, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"^{module} is not installed: pip install 'tracereplay\[{extra}\]'$"):
        use(answer(example.pinned()))


def test_a_picture_is_shown_and_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = answer(example.pinned()).plot()
    assert "<svg" in picture._repr_svg_()
    assert repr(picture) == "<tracereplay.Picture: map>"
    for suffix, begins in (("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")):
        picture.save(tmp_path / f"area.{suffix}")
        assert (tmp_path / f"area.{suffix}").read_bytes().startswith(begins)
    with pytest.raises(UsageError, match=r"ends in none of \.png"):
        picture.save("area.gif")
    with pytest.raises(UsageError, match=r"no/area\.svg: cannot be written"):
        picture.save(tmp_path / "no" / "area.svg")


def test_pictures_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UsageError, match="no picture is called 'pie': map, "):
        answer(example.pinned()).plot("pie")
    with pytest.raises(UsageError, match="goes with the map"):
        answer(example.pinned()).plot("blame", try_index=1)
    pytest.importorskip("matplotlib")
    with pytest.raises(UsageError, match="has a map"):
        answer(example.result()).plot()


def test_repr_is_one_short_line() -> None:
    shown = "<tracereplay.Result: 3 attempts (1 failed, 2 succeeded), 12 pages blocked migration, no data lost>"
    assert repr(answer(example.pinned())) == shown
    empty = answer(example.result())
    assert repr(empty) == "<tracereplay.Result: no attempt, no data lost>"
    empty.data_loss = [example.loss()]
    assert repr(empty) == "<tracereplay.Result: no attempt, 1 loss>"
    inventory = answer(example.pinned())
    inventory.attempts[0].inventory = True
    assert "Result: 2 attempts (2 succeeded), 1 inventory, " in repr(inventory)
    life = PageLife(pfn=0x1E403, lives=[page.Life(start_ns=None, end_ns=None, events=[event()])])
    assert repr(life) == "<tracereplay.PageLife of PFN 0x1e403: 1 life, 1 event>"


def test_a_notebook_shows_what_failed() -> None:
    seen = Seen(answer(example.pinned())._repr_html_())
    for words in ("FAILED", "EBUSY", "0x1e403", "task_reference", "proved", "pin-vmsplice (145)"):
        assert words in seen.text
    assert {"table", "td"} <= seen.tags
    assert "was found in this input" in Seen(answer(example.result())._repr_html_()).text


def test_losses_are_shown_first() -> None:
    made = answer(example.pinned())
    made.data_loss = [example.loss()]
    text = Seen(made._repr_html_()).text
    assert text.index("235,100") < text.index("FAILED")


def test_names_from_traces_are_text() -> None:
    made = answer(example.pinned())
    made.inputs[0].path = HOSTILE
    made.attempts[0].area = HOSTILE
    made.attempts[0].culprits[0].holder = result.Task(tid=1, comm=HOSTILE)
    life = PageLife(pfn=1, where=HOSTILE, lives=[page.Life(start_ns=1, end_ns=None, events=[event(comm=HOSTILE)])])
    for html in (made._repr_html_(), life._repr_html_()):
        seen = Seen(html)
        assert not seen.tags & {"img", "script"}
        assert 'onerror="alert(1)"' in seen.text
        assert "\x1b" not in html


def event(comm: str = "anon") -> page.PageEvent:
    state = page.PageState(count=2, mapcount=-1, excess=1)
    return page.PageEvent(time_ns=6_130_493_000, cpu=1, tid=145, comm=comm, event="page_ref_mod", text="", after=state)


@pytest.mark.parametrize(("events", "rows"), [(1, 1), (MAX_EVENTS, MAX_EVENTS), (500, MAX_EVENTS + 1)])
def test_a_long_life_is_folded_in_the_middle(events: int, rows: int) -> None:
    life = PageLife(pfn=1, lives=[page.Life(start_ns=None, end_ns=None, events=[event()] * events)])
    html = life._repr_html_()
    assert html.count("<tr>") == rows + 1
    assert ("440 more events" in html) == (events == 500)
    assert "allocated before the trace began; outlives the trace" in Seen(html).text


def test_a_page_without_events_says_so() -> None:
    assert "No event of this trace names the page." in PageLife(pfn=1)._repr_html_()

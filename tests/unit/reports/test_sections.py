"""Sections on a terminal, a page and in a mail: what they say of rows that are left out."""

from __future__ import annotations

import pytest

from tracereplay.reports.html.sections import render_sections_html
from tracereplay.reports.sections_markdown import render_sections_markdown
from tracereplay.reports.shared.sections import Section, numeric
from tracereplay.reports.shared.style import Style
from tracereplay.reports.text.sections import render_sections_text


@pytest.mark.parametrize(("more", "says"), [(1, "and 1 more row"), (1200, "and 1,200 more rows")])
def test_rows_left_out(more: int, says: str) -> None:
    sections = [Section("Blamed", columns=("cause", numeric("pages")), rows=[("task_reference", "8")], more=more)]
    assert f"{says}: --full\n" in render_sections_text(sections, Style())
    elsewhere = f"{says}: `tracereplay corpus sql` finds them"
    assert f"{elsewhere}\n" in render_sections_text(sections, Style(full=True))
    assert f"{elsewhere}<" in render_sections_html(sections, "Corpus", "tracereplay")
    assert f"{says}\n" in render_sections_markdown(sections)


def test_nothing_is_left_out() -> None:
    sections = [Section("Blamed", columns=("cause", numeric("pages")), rows=[("task_reference", "8")])]
    assert "more row" not in render_sections_text(sections, Style()) + render_sections_html(sections, "", "")

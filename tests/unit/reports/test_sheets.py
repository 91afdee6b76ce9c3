"""Sheets on a terminal, a page and in a mail: what they say of rows that are left out."""

from __future__ import annotations

import pytest

from tracereplay.reports.html.sheets import render_sheets_html
from tracereplay.reports.shared.sheets import Sheet
from tracereplay.reports.shared.style import Style
from tracereplay.reports.sheets_markdown import render_sheets_markdown
from tracereplay.reports.text.sheets import render_sheets_text


@pytest.mark.parametrize(("more", "says"), [(1, "and 1 more row"), (1200, "and 1,200 more rows")])
def test_rows_left_out(more: int, says: str) -> None:
    sheets = [Sheet("Blamed", columns=("cause", "pages#"), rows=[("task_reference", "8")], more=more)]
    assert f"{says}: --full\n" in render_sheets_text(sheets, Style())
    elsewhere = f"{says}: `tracereplay corpus sql` finds them"
    assert f"{elsewhere}\n" in render_sheets_text(sheets, Style(full=True))
    assert f"{elsewhere}<" in render_sheets_html(sheets, "Corpus", "tracereplay")
    assert f"{says}\n" in render_sheets_markdown(sheets)


def test_nothing_is_left_out() -> None:
    sheets = [Sheet("Blamed", columns=("cause", "pages#"), rows=[("task_reference", "8")])]
    assert "more row" not in render_sheets_text(sheets, Style()) + render_sheets_html(sheets, "", "")

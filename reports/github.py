"""The result as a comment on GitHub: the sentence and a table first, every attempt folded below.

What GitHub would take for markup, a mention or a link to an issue is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterator

from tracereplay.model.derived.judgement import is_notable
from tracereplay.model.derived.selection import notable_attempts, shown_attempts
from tracereplay.model.result import Result
from tracereplay.reports.markdown import attempt_lines, closing_lines, escaped
from tracereplay.reports.shared.attempt_wording import headline, headline_word, when_of
from tracereplay.reports.shared.opening import pages_cell, ranking, sentences, title
from tracereplay.reports.shared.style import Style, escape_control_chars
from tracereplay.reports.shared.wording import clock_unit, count, page_size_bytes

MAX_RANKED = 10
MAX_ATTEMPTS = 12
MAX_CHARACTERS = 60_000  # a comment may have 65,536
_MENTIONS = str.maketrans({"@": "&#64;", "#": "&#35;"})
_REFERENCES = str.maketrans({"@": "&#64;", "#": "&#35;", "|": "\\|"})


def render_github(result: Result, style: Style) -> str:
    """The comment, ending in a newline."""
    result = escape_control_chars(result)
    notable = notable_attempts(result)
    lines = [f"### {_inline(title(result) or 'tracereplay: nothing failed')}", ""]
    for said in sentences(result):
        lines += [f"{_inline(said)}.", ""]
    lines += _table(result)
    fine = sum(not is_notable(a) for a in result.attempts)
    closing = [f"{count(fine, 'attempt')} succeeded.", ""] if fine else []
    closing += _folded("What to do, what was read, how to reproduce it", closing_lines(result, style))
    room = MAX_CHARACTERS - len("\n".join([*lines, *closing]))
    shown = shown_attempts(notable, each=style.full)
    for attempt, like_it in shown[: None if style.full else MAX_ATTEMPTS]:
        when = when_of(attempt, clock_unit(result, attempt))
        said = f"{headline_word(attempt)} {headline(attempt, page_size_bytes(result))}, at {when}"
        folded = list(_folded(said, attempt_lines(attempt, len(like_it), result, style)))
        room -= len("\n".join(folded)) + 1
        if room < 0:
            lines += ["More attempts than a comment holds: see the whole report.", ""]
            break
        lines += folded
    return "\n".join([*lines, *closing]) + "\n"


def _inline(text: str) -> str:
    """Text of a line or a cell, in which nothing is markup."""
    return escaped(text).translate(_REFERENCES)


def _table(result: Result) -> Iterator[str]:
    rows = ranking(result)
    if not rows:
        return
    yield "| blocked | who | cause | verdict | pages | held |"
    yield "|---|---|---|---|---:|---|"
    for row in rows[:MAX_RANKED]:
        cells = (row.share, row.who, row.cause, row.sure, pages_cell(row.size), row.held)
        yield f"| {' | '.join(map(_inline, cells))} |"
    yield ""


def _folded(summary: str, lines: Iterator[str]) -> Iterator[str]:
    """Lines of Markdown under a summary; the empty line lets Markdown begin again within the element."""
    yield "<details>"
    yield f"<summary>{html.escape(summary).translate(_REFERENCES)}</summary>"
    yield ""
    yield from (line if line.startswith("    ") else line.translate(_MENTIONS) for line in lines)
    yield "</details>"
    yield ""

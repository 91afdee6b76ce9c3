"""The result as one HTML file that needs nothing else: no network, no other file, no framework.

The first screen is written here and reads without scripts; maps, timeline and tables are drawn by the scripts in
templates/ from the embedded data. A content security policy admits exactly these scripts and this style sheet.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from tracereplay.model.derived.culprit_groups import group_culprits
from tracereplay.model.derived.inputs import is_lossy, main_inputs
from tracereplay.model.derived.judgement import is_notable
from tracereplay.model.derived.requests import UnplugRequest, requests_of
from tracereplay.model.derived.selection import causes_of, next_captures, notable_attempts, shown_attempts
from tracereplay.model.explain import EXPLANATIONS
from tracereplay.model.result import Attempt, Result
from tracereplay.reports.html.data import embedded, report_data
from tracereplay.reports.html.first_screen import first_screen
from tracereplay.reports.shared.attempt_wording import (
    ending,
    headline,
    headline_word,
    log_facts,
    more_attempts,
    pages_of_last_try,
    verdict,
)
from tracereplay.reports.shared.command import reproducing_command
from tracereplay.reports.shared.culprit_wording import sentence, where_words
from tracereplay.reports.shared.input_wording import input_facts, loss_sentences
from tracereplay.reports.shared.inventory_wording import inventory_lines
from tracereplay.reports.shared.request_wording import request_ending, request_headline
from tracereplay.reports.shared.style import Style, escape_control_chars
from tracereplay.reports.shared.wording import clock_unit, count, page_size_bytes, size_words

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("data.js", "format.js", "theme.js", "palette.js", "map.js", "overview.js",
           "map_view.js", "cards.js", "timeline.js", "occupancy.js",
           "table.js", "fold.js", "tables.js", "detail.js", "main.js")  # fmt: skip
MAX_ATTEMPTS = 6
MAX_GROUPS = 12
MAX_RUNS = 6


def render_html(result: Result, style: Style | None = None) -> str:  # noqa: ARG001 (a page has room for all)
    """The page. Texts of the result are escaped wherever they stand, and what does not print is shown as escapes."""
    result = escape_control_chars(result)
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    script = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    losses = loss_sentences(result.inputs, result.data_loss, full=True)
    notable = notable_attempts(result)
    shown = shown_attempts(notable)
    codes = causes_of(notable)
    beside = [i for i in result.inputs if i not in main_inputs(result.inputs)]
    return environment().get_template("report.html").render(
        title=_title(result, notable),
        style=css,
        style_hash=policy_hash(css),
        script=script,
        script_hash=policy_hash(script),
        data=embedded(report_data(result)),
        version=result.tool.version,
        command=reproducing_command(result.tool.argv) if result.tool.argv else "",
        **first_screen(result),
        inputs=[(i.path, input_facts(i), is_lossy(i, result.data_loss)) for i in main_inputs(result.inputs)],
        beside=[(f"{PurePath(i.path).name} ({i.role})", i.path) for i in beside],
        losses=[loss for loss in losses if loss[0] != "info"],
        notes=[loss for loss in losses if loss[0] == "info"],
        requests=[_request(request, result) for request in requests_of(result).values()],
        attempts=[_attempt(a, like_it, result) for a, like_it in shown[:MAX_ATTEMPTS]],
        more=more_attempts(shown[MAX_ATTEMPTS:]) if shown[MAX_ATTEMPTS:] else None,
        fine=[a for a in result.attempts if not is_notable(a)],
        attempts_all=result.attempts,
        has_counters=bool(result.counters),
        causes=[(code, EXPLANATIONS[code]) for code in codes if code in EXPLANATIONS],
        capture_next=next_captures(notable),
    )  # fmt: skip


@cache
def environment() -> jinja2.Environment:
    """Templates that escape every text, and fail where a name is missing."""
    import jinja2  # noqa: PLC0415  (no other report needs it)

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def policy_hash(text: str) -> str:
    """As a content security policy names what it admits."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _title(result: Result, notable: list[Attempt]) -> str:
    failed = [a for a in notable if a.outcome != "succeeded" and not a.inventory]
    what = f"{failed[0].operation} {failed[0].outcome}" if failed else f"{count(len(result.attempts), 'attempt')}"
    return f"{what} - tracereplay"


def _request(request: UnplugRequest, result: Result) -> tuple[str, str]:
    """What the first screen tells of a request of several attempts."""
    unit = clock_unit(result, request.attempts[0])
    return request_headline(request), request_ending(request, page_size_bytes(result), unit)


def _attempt(attempt: Attempt, like_it: list[Attempt], result: Result) -> dict[str, object]:
    """What the first screen tells of an attempt."""
    unit = clock_unit(result, attempt)
    groups = group_culprits(attempt.culprits)
    return {
        "number": next(n for n, a in enumerate(result.attempts) if a is attempt),
        "word": headline_word(attempt),
        "calm": attempt.inventory or attempt.outcome == "succeeded",
        "headline": headline(attempt, page_size_bytes(result)),
        "verdict": verdict(attempt, result),
        "facts": [
            ending(attempt, unit),
            *filter(None, [pages_of_last_try(attempt)]),
            *inventory_lines(attempt),
            *log_facts(attempt, result, MAX_RUNS),
        ],
        "groups": [
            (
                g,
                size_words(g.culprits, page_size_bytes(result)),
                where_words(g, MAX_RUNS, result),
                sentence(g, attempt, result),
            )
            for g in groups[:MAX_GROUPS]
        ],
        "more_groups": len(groups) - MAX_GROUPS,
        "like_it": len(like_it),
    }

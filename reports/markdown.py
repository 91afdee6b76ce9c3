"""The result as short Markdown for a mail or an issue: what failed, who, the evidence quoted, how to reproduce it.

It reads as plain text too. Quoted lines are indented code, where nothing is markup; in other lines the characters
that could be are escaped. `Style.full` cuts nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tracereplay.model.derived.advice import advice
from tracereplay.model.derived.culprit_groups import Group, group_culprits
from tracereplay.model.derived.inputs import is_lossy, main_inputs
from tracereplay.model.derived.judgement import is_notable
from tracereplay.model.derived.requests import UnplugRequest, requests_of
from tracereplay.model.derived.selection import next_captures, notable_attempts, shown_attempts
from tracereplay.model.result import Attempt, Result
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
from tracereplay.reports.shared.culprit_wording import cause_words, sentence, where_words
from tracereplay.reports.shared.evidence_wording import evidence_lines, stack_frames
from tracereplay.reports.shared.holder_wording import process_lines
from tracereplay.reports.shared.input_wording import input_facts, loss_sentences
from tracereplay.reports.shared.inventory_wording import inventory_lines
from tracereplay.reports.shared.opening import is_worth_a_ranking, ranking, sentences
from tracereplay.reports.shared.premise_wording import failed_premises
from tracereplay.reports.shared.request_wording import request_ending, request_headline
from tracereplay.reports.shared.style import Style, escape_control_chars
from tracereplay.reports.shared.wording import clock_unit, count, page_size_bytes, size_words

MAX_ATTEMPTS = 3
MAX_GROUPS = 6
MAX_RANKED = 8
MAX_RUNS = 4
MAX_EVIDENCE = 8
# A bracket only where it would begin a link, underscores and tildes only where they would end what they mark.
_MARKUP = re.compile(r"([\\`*<&]|\[(?=[^\]]*\]\()|_(?=_*(?:\W|$))|(?<=\S)~)")


def render_markdown(result: Result, style: Style) -> str:
    """The report, ending in a newline."""
    result = escape_control_chars(result)
    notable = notable_attempts(result)
    shown = shown_attempts(notable, each=style.full)
    limit = None if style.full else MAX_ATTEMPTS
    lines: list[str] = _opening(result)
    requests = requests_of(result)
    written: set[str] = set()
    for attempt, like_it in shown[:limit]:
        if attempt.parent_id is not None and attempt.parent_id not in written:
            written.add(attempt.parent_id)
            lines += _request(requests[attempt.parent_id], result)
        lines += _attempt(attempt, len(like_it), result, style)
    if limit is not None and shown[limit:]:
        lines += [f"And {more_attempts(shown[limit:])}.", ""]
    fine = sum(not is_notable(a) for a in result.attempts)
    if fine or not notable:
        lines += [
            f"{count(fine, 'attempt')} succeeded; no page blocked migration." if fine else "No attempt found.",
            "",
        ]
    lines += closing_lines(result, style)
    return "\n".join(lines) + "\n"


def closing_lines(result: Result, style: Style) -> Iterator[str]:
    """What to do, what was read, how to reproduce it."""
    yield from _what_to_do(result, notable_attempts(result), style)
    yield from _inputs(result, style)
    yield from _command(result)


def escaped(text: str) -> str:
    """The text with what Markdown or HTML would take for markup escaped."""
    return _MARKUP.sub(r"\\\1", text)


def _opening(result: Result) -> list[str]:
    """One sentence for each operation; of several attempts, who blocked how many of them."""
    lines = [line for sentence in sentences(result) for line in (f"**{escaped(sentence)}.**", "")]
    rows = ranking(result)
    if not is_worth_a_ranking(result, rows):
        return lines
    lines += [f"- {row.share}: {escaped(row.who)} ({escaped(', '.join(row.facts))})" for row in rows[:MAX_RANKED]]
    if len(rows) > MAX_RANKED:
        lines.append(f"- and {count(len(rows) - MAX_RANKED, 'more row')}")
    return [*lines, ""]


def _request(request: UnplugRequest, result: Result) -> Iterator[str]:
    """The request that the attempts below it are parts of."""
    unit = clock_unit(result, request.attempts[0])
    yield f"## {escaped(request_headline(request))}"
    yield ""
    yield f"- {escaped(request_ending(request, page_size_bytes(result), unit))}"
    yield ""


def _attempt(attempt: Attempt, like_it: int, result: Result, style: Style) -> Iterator[str]:
    yield f"## {headline_word(attempt)}: {escaped(headline(attempt, page_size_bytes(result)))}"
    yield ""
    yield from attempt_lines(attempt, like_it, result, style)


def attempt_lines(attempt: Attempt, like_it: int, result: Result, style: Style) -> Iterator[str]:
    """What is said of an attempt below its headline, ending in an empty line."""
    unit = clock_unit(result, attempt)
    yield escaped(verdict(attempt, result))
    yield ""
    yield f"- {escaped(ending(attempt, unit))}"
    if (pages := pages_of_last_try(attempt)) is not None:
        yield f"- {pages}"
    yield from (f"- {escaped(line)}" for line in inventory_lines(attempt))
    for fact in log_facts(attempt, result, None if style.full else MAX_RUNS):
        yield f"- {escaped(fact)}"
    if like_it:
        yield f"- {count(like_it, 'more attempt')} like it"
    groups = group_culprits(attempt.culprits, each=style.full)
    shown = groups if style.full else groups[:MAX_GROUPS]
    for group in shown:
        says = sentence(group, attempt, result)
        where = where_words(group, None if style.full else MAX_RUNS, result)
        size = size_words(group.culprits, page_size_bytes(result))
        yield f"- {_culprit(group, size, where, says)}"
    if len(shown) < len(groups):
        yield f"- and {count(len(groups) - len(shown), 'more row')} of culprits"
    yield ""
    for group in shown if style.full else shown[:1]:
        yield from _evidence(group, result, unit, style)


def _culprit(group: Group, size: str, where: str, says: str) -> str:
    return f"{size}, {escaped(cause_words(group.first))}, {where}: {escaped(says)}"


def _evidence(group: Group, result: Result, unit: str, style: Style) -> Iterator[str]:
    culprit = group.first
    about = [*process_lines(culprit, result), *failed_premises(culprit)] if style.full else []
    lines = [*about, *evidence_lines(culprit, stack_frames(result), unit)]
    if not lines:
        return
    shown = lines if style.full else lines[:MAX_EVIDENCE]
    yield f"Evidence for {where_words(Group([culprit]), None, result)}:"
    yield ""
    yield from (f"    {line}" for line in shown)
    if len(shown) < len(lines):
        yield f"    ... and {count(len(lines) - len(shown), 'more line')}"
    yield ""


def _what_to_do(result: Result, notable: list[Attempt], style: Style) -> Iterator[str]:
    todo = advice(result, full=style.full)
    if todo:
        yield "What to do:"
        yield ""
        yield from (f"- {code}: {escaped(step)}" for code, step in todo)
        yield ""
    steps = next_captures(notable)
    if steps:
        yield "To get a conclusive answer:"
        yield ""
        yield from (f"- {escaped(step)}" for step in steps)
        yield ""


def _inputs(result: Result, style: Style) -> Iterator[str]:
    yield "Recorded with:"
    yield ""
    for source in main_inputs(result.inputs):
        lost = "DATA LOST" if is_lossy(source, result.data_loss) else "no data lost"
        yield f"- {escaped(', '.join([source.path, *input_facts(source), lost]))}"
    for severity, lacking, step in loss_sentences(result.inputs, result.data_loss, full=style.full):
        yield f"- {severity}: {escaped(lacking)}" + (f". {escaped(step)}" if step else "")
    yield ""


def _command(result: Result) -> list[str]:
    """How to reproduce it, where the command line made it, and what made it."""
    command = ["To reproduce:", "", f"    {reproducing_command(result.tool.argv)}", ""] if result.tool.argv else []
    return [*command, f"tracereplay {result.tool.version}"]

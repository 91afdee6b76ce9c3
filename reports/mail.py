"""The result as a mail: plain text of 72 columns, every attempt that did not go well, the evidence quoted.

No escape sequence, no markup, no table that a proportional font would break. `Style.full` quotes all evidence.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator

from rich.cells import cell_len, chop_cells

from tracereplay.model.derived.advice import advice
from tracereplay.model.derived.culprit_groups import Group, group_culprits
from tracereplay.model.derived.inputs import is_lossy, main_inputs
from tracereplay.model.derived.requests import requests_of
from tracereplay.model.derived.selection import next_captures, notable_attempts
from tracereplay.model.result import Attempt, Result
from tracereplay.reports.shared.attempt_wording import (
    ending,
    headline,
    headline_word,
    log_facts,
    pages_of_last_try,
    verdict,
)
from tracereplay.reports.shared.command import reproducing_words
from tracereplay.reports.shared.culprit_wording import cause_words, sentence, where_words
from tracereplay.reports.shared.evidence_wording import evidence_lines, stack_frames
from tracereplay.reports.shared.holder_wording import NOT_SEEN, process_lines, whose
from tracereplay.reports.shared.input_wording import input_facts, loss_sentences
from tracereplay.reports.shared.inventory_wording import inventory_lines
from tracereplay.reports.shared.opening import is_worth_a_ranking, ranking, sentences, title
from tracereplay.reports.shared.request_wording import request_ending, request_headline
from tracereplay.reports.shared.style import Style, escape_control_chars
from tracereplay.reports.shared.wording import clock_unit, count, page_size_bytes, size_words

WIDTH = 72
MAX_EVIDENCE = 6
MAX_RUNS = 4
MAX_RANKED = 12
_QUANTITY = re.compile(r"(?<=\d) (?=(?:s|ms|us|ns|[KMGT]iB)\b)")  # a number and its unit stay in one line
_KEPT_SPACE = "\N{NO-BREAK SPACE}"


def render_mail(result: Result, style: Style) -> str:
    """Subject, an empty line, the text."""
    result = escape_control_chars(result)
    notable = notable_attempts(result)
    lines = [f"Subject: {_subject(result)}", ""]
    for said in sentences(result):
        lines += [*fold(f"{said}."), ""]
    lines += _ranking(result)
    for request in requests_of(result).values():
        unit = clock_unit(result, request.attempts[0])
        ended = request_ending(request, page_size_bytes(result), unit)
        lines += [*fold(request_headline(request)), *fold(ended, "  "), ""]
    quoted: dict[str, int] = {}
    for number, attempt in enumerate(notable, 1):
        lines += _attempt(number, attempt, result, style, quoted)
    fine = len(result.attempts) - len(notable)
    if fine or not notable:
        lines += [f"{count(fine, 'attempt')} succeeded." if fine else "No attempt was found.", ""]
    lines += [*_steps(notable, result), *_inputs(result, style), *_command(result)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def fold(text: str, first: str = "", rest: str | None = None) -> list[str]:
    """The text in lines of at most WIDTH columns, which begin with `first`, later ones with `rest`."""
    rest = " " * cell_len(first) if rest is None else rest
    lines: list[str] = []
    line, begun = first, False
    for word in _words(_QUANTITY.sub(_KEPT_SPACE, text), WIDTH - max(cell_len(first), cell_len(rest))):
        if begun and cell_len(line) + 1 + cell_len(word) > WIDTH:
            lines.append(line)
            line, begun = rest, False
        line, begun = f"{line} {word}" if begun else line + word, True
    return [one.replace(_KEPT_SPACE, " ") for one in (*lines, line)]


def _words(text: str, room: int) -> Iterator[str]:
    """Words, those longer than a line in pieces; names that `|` joins are broken after it."""
    for word in re.split(r"[ \t\n]+", text.strip(" \t\n")):
        pieces = [word] if cell_len(word) <= room else re.findall(r"[^|]*\|+|[^|]+", word)
        line = ""
        for piece in (part for whole in pieces for part in chop_cells(whole, room)):
            if line and cell_len(line) + cell_len(piece) > room:
                yield line
                line = ""
            line += piece
        if line:
            yield line


def _subject(result: Result) -> str:
    """One line, however long: mail programs fold subjects themselves."""
    said = sentences(result)
    return title(result) or (said[0] if said else f"{count(len(result.attempts), 'attempt')}, none failed")


def _ranking(result: Result) -> Iterator[str]:
    rows = ranking(result)
    if not is_worth_a_ranking(result, rows):
        return
    yield "By attempts blocked:"
    for row in rows[:MAX_RANKED]:
        yield from fold(f"{row.who}", f"  {row.share:<10} ")
        yield from fold(", ".join(row.facts), " " * 13)
    if len(rows) > MAX_RANKED:
        yield f"  and {count(len(rows) - MAX_RANKED, 'more row')}"
    yield ""


def _attempt(number: int, attempt: Attempt, result: Result, style: Style, quoted: dict[str, int]) -> Iterator[str]:
    """quoted -- the attempt whose evidence was quoted, by what is said of its culprits."""
    unit = clock_unit(result, attempt)
    page_size = page_size_bytes(result)
    yield from fold(f"{headline_word(attempt)} {headline(attempt, page_size)}", f"{number}. ")
    facts = [ending(attempt, unit), *filter(None, [pages_of_last_try(attempt)]), *inventory_lines(attempt)]
    for fact in (*facts, *log_facts(attempt, result, None if style.full else MAX_RUNS)):
        yield from fold(fact, "   ")
    groups = group_culprits(attempt.culprits, each=style.full)
    if not groups or all(g.first.effect == "would_block" for g in groups):
        yield from fold(verdict(attempt, result), "   ")
    for group in groups:
        yield ""
        said = f"{where_words(group, None, result)}: {sentence(group, attempt, result)}"
        yield from _group(group, attempt, result, style, quoted.get(said))
        quoted.setdefault(said, number)
    yield ""


def _group(group: Group, attempt: Attempt, result: Result, style: Style, before: int | None) -> Iterator[str]:
    """What and where, who and when, then the events that show it, quoted."""
    first = group.first
    where = where_words(group, None if style.full else MAX_RUNS, result)
    size = size_words(group.culprits, page_size_bytes(result))
    yield from fold(f"{size}, {cause_words(first)}, {where}", "   * ")
    if before is not None and not style.full:
        yield from fold(f"{whose(first) or NOT_SEEN}: the same as in {before}.", "     ")
        return
    yield from fold(sentence(group, attempt, result), "     ")
    about = process_lines(first, result) if style.full else []
    lines = [*about, *evidence_lines(first, stack_frames(result), clock_unit(result, attempt))]
    shown = lines if style.full else lines[:MAX_EVIDENCE]
    for line in shown:
        yield from fold(line, "     > ", "     >   ")
    if len(shown) < len(lines):
        yield f"     > ... {count(len(lines) - len(shown), 'more line')}"


def _steps(notable: list[Attempt], result: Result) -> Iterator[str]:
    for title_, steps in (("What to do:", advice(result)), ("To get a conclusive answer:", next_captures(notable))):
        if steps:
            yield title_
            yield from _listed(step if isinstance(step, str) else f"{step[0]}: {step[1]}" for step in steps)
            yield ""


def _listed(steps: Iterable[str]) -> Iterator[str]:
    for step in steps:
        yield from fold(step, "  - ")


def _inputs(result: Result, style: Style) -> Iterator[str]:
    yield "Recorded with:"
    for source in main_inputs(result.inputs):
        lost = "DATA LOST" if is_lossy(source, result.data_loss) else "no data lost"
        yield from fold(", ".join([source.path, *input_facts(source), lost]), "  - ")
    for severity, lacking, step in loss_sentences(result.inputs, result.data_loss, full=style.full):
        yield from fold(f"{severity}: {lacking}" + (f". {step}" if step else ""), "  - ")
    yield ""


def _command(result: Result) -> Iterator[str]:
    """The command, broken where a shell lets it, where the command line made it; and what made it."""
    if not result.tool.argv:
        yield f"tracereplay {result.tool.version}"
        return
    yield "To reproduce:"
    line = "  "
    for word in map(shlex.quote, reproducing_words(result.tool.argv)):
        if line.strip() and cell_len(line) + cell_len(word) + 3 > WIDTH:
            yield f"{line} \\"
            line = "      "
        line += f" {word}" if line.strip() else word
    yield line
    yield f"(tracereplay {result.tool.version})"

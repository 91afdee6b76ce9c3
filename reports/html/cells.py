"""Results, pages and inputs as a notebook shows them: plain HTML without scripts, texts escaped."""

from __future__ import annotations

from collections.abc import Sequence

from tracereplay.model.derived.culprit_groups import group_culprits
from tracereplay.model.derived.inputs import is_lossy, main_inputs
from tracereplay.model.derived.judgement import is_notable
from tracereplay.model.derived.selection import notable_attempts, shown_attempts
from tracereplay.model.page import Life, PageEvent, PageLife
from tracereplay.model.result import Attempt, DataLoss, Input, Result, Task
from tracereplay.reports.html.report import environment
from tracereplay.reports.shared.attempt_wording import (
    ending,
    headline,
    headline_word,
    more_attempts,
    verdict,
)
from tracereplay.reports.shared.culprit_wording import sentence, where_words
from tracereplay.reports.shared.input_wording import input_facts, loss_sentences
from tracereplay.reports.shared.opening import is_worth_a_ranking, pages_cell, ranking, sentences
from tracereplay.reports.shared.page_wording import life_sentence, page_place
from tracereplay.reports.shared.style import escape_control_chars
from tracereplay.reports.shared.wording import clock_unit, count, moment, page_size_bytes, size_words, task_name
from tracereplay.units import format_pfn

MAX_ATTEMPTS = 6
MAX_GROUPS = 12
MAX_RANKED = 8
MAX_RUNS = 4
MAX_EVENTS = 60


def result_cell(result: Result) -> str:
    """Inputs, losses, and the attempts that reports describe with their culprits."""
    result = escape_control_chars(result)
    shown = shown_attempts(notable_attempts(result))
    fine = sum(not is_notable(attempt) for attempt in result.attempts)
    ranked = ranking(result)
    return environment().get_template("cell_result.html").render(
        sentences=sentences(result),
        ranked=ranked[:MAX_RANKED] if is_worth_a_ranking(result, ranked) else [],
        pages_cell=pages_cell,
        inputs=_inputs(result.inputs, result.data_loss),
        losses=loss_sentences(result.inputs, result.data_loss, full=False),
        attempts=[_attempt(attempt, like_it, result) for attempt, like_it in shown[:MAX_ATTEMPTS]],
        more=more_attempts(shown[MAX_ATTEMPTS:]) if shown[MAX_ATTEMPTS:] else None,
        fine=count(fine, "attempt") if fine else None,
        none_found=not result.attempts,
    )  # fmt: skip


def page_cell(life: PageLife) -> str:
    """Where the page is, then its lives: a row for each event."""
    life = escape_control_chars(life)
    unit = next((source.clock_unit for source in life.inputs), "ns")
    return environment().get_template("cell_page.html").render(
        pfn=format_pfn(life.pfn),
        where=page_place(life),
        losses=loss_sentences(life.inputs, life.data_loss, full=False),
        lives=[_life(number, one, unit) for number, one in enumerate(life.lives, 1)],
    )  # fmt: skip


def inputs_cell(inputs: Sequence[Input], data_loss: Sequence[DataLoss]) -> str:
    """What was opened, and what it lacks."""
    return environment().get_template("cell_inputs.html").render(
        inputs=[
            (escape_control_chars(source).path, source.role, source.format, input_facts(source),
             is_lossy(source, data_loss))
            for source in inputs
        ],
        losses=loss_sentences(inputs, data_loss, full=False),
    )  # fmt: skip


def _inputs(inputs: Sequence[Input], data_loss: Sequence[DataLoss]) -> list[tuple[str, str, bool]]:
    return [(one.path, ", ".join(input_facts(one)), is_lossy(one, data_loss)) for one in main_inputs(inputs)]


def _attempt(attempt: Attempt, like_it: Sequence[Attempt], result: Result) -> dict[str, object]:
    groups = group_culprits(attempt.culprits)
    rows = [
        (
            size_words(g.culprits, page_size_bytes(result)),
            g.first.cause,
            g.first.verdict,
            where_words(g, MAX_RUNS, result),
            sentence(g, attempt, result),
        )
        for g in groups[:MAX_GROUPS]
    ]
    return {
        "word": headline_word(attempt),
        "headline": headline(attempt, page_size_bytes(result)),
        "verdict": verdict(attempt, result),
        "ending": ending(attempt, clock_unit(result, attempt)),
        "groups": rows,
        "more": count(len(groups) - MAX_GROUPS, "more row") if len(groups) > MAX_GROUPS else None,
        "like_it": count(len(like_it), "more attempt") if like_it else None,
    }


def _life(number: int, life: Life, unit: str) -> dict[str, object]:
    hidden = max(len(life.events) - MAX_EVENTS, 0)
    first = len(life.events) if not hidden else MAX_EVENTS // 2
    return {
        "title": f"Life {number}",
        "says": life_sentence(life, unit),
        "first": [_event(event, unit) for event in life.events[:first]],
        "hidden": count(hidden, "more event") if hidden else None,
        "last": [_event(event, unit) for event in life.events[first + hidden :]],
    }


def _event(event: PageEvent, unit: str) -> tuple[str, ...]:
    after = event.after
    numbers = ("" if value is None else str(value) for value in (after.count, after.mapcount, after.excess))
    task = task_name(Task(tid=event.tid, comm=event.comm))
    says = f"{event.event} {event.text}".strip()
    return (moment(event.time_ns, unit, digits=6), str(event.cpu), task, says, *numbers)

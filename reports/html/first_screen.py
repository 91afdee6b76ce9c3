"""The first screen of the HTML report: title and sentences, a card for each attempt, the ranking, what to do first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tracereplay.model.derived.advice import advice
from tracereplay.model.derived.judgement import is_notable
from tracereplay.model.derived.ranking import cause_order, worst_operation
from tracereplay.model.derived.selection import next_captures, notable_attempts
from tracereplay.model.result import Attempt, Result
from tracereplay.reports.shared.attempt_wording import headline_word, took_ns, when_of
from tracereplay.reports.shared.opening import Ranked, ranking, sentences, title
from tracereplay.reports.shared.palette import HUES
from tracereplay.reports.shared.wording import clock_unit, count, page_size_bytes
from tracereplay.units import format_bytes, format_duration

MAX_CARDS = 24
MAX_RANKED = 6
MAX_STEPS = 4
_TITLE = re.compile(r"([\d,]+ of [\d,]+) (.*)", re.DOTALL)
_QUANTITY = re.compile(r"(?<=\d) (?=(?:s|ms|us|ns|pages?|[KMGT]iB)\b)")


def first_screen(result: Result) -> dict[str, Any]:
    """What the template draws there."""
    cards = cards_of(result)
    rows = ranking(result)
    order = cause_order(result)
    steps = advice(result)[:MAX_STEPS]
    said = _TITLE.fullmatch(title(result) or "")
    worst = worst_operation(result)
    return {
        "title_count": said[1] if said else "",
        "title_words": said[2] if said else title(result),
        "title_tone": "bad" if worst is not None and worst.failed else "warn",
        "sentences": sentences(result),
        "cards": cards,
        "more_cards": sum(not a.inventory for a in result.attempts) - len(cards),
        "ranked": [_row(row, order) for row in rows[:MAX_RANKED]],
        "more_ranked": len(rows) - MAX_RANKED,
        "steps": steps,
        "first_captures": [] if steps else next_captures(notable_attempts(result))[:MAX_STEPS],
    }


def cards_of(result: Result) -> list[dict[str, Any]]:
    """The attempts in order of time; of very many those that did not go well."""
    numbered = [(number, a) for number, a in enumerate(result.attempts) if not a.inventory]
    if len(numbered) > MAX_CARDS:
        notable = [(number, a) for number, a in numbered if is_notable(a)]
        numbered = (notable or numbered)[:MAX_CARDS]
    return [_card(number, a, result) for number, a in numbered]


def _card(number: int, attempt: Attempt, result: Result) -> dict[str, Any]:
    unit = clock_unit(result, attempt)
    page_size = page_size_bytes(result)
    pages = attempt.request.pages
    size = count(pages, "page") if pages is not None else attempt.area or ""
    if pages is not None and page_size:
        size = f"{size}, {format_bytes(pages * page_size)}"
    word = headline_word(attempt)
    return {
        "number": number,
        "operation": attempt.operation,
        "word": attempt.errno if word == "FAILED" and attempt.errno else word,
        "size": size,
        "short": format_bytes(pages * page_size) if pages is not None and page_size else size,
        "when": when_of(attempt, unit),
        "took": format_duration(took) if unit == "ns" and (took := took_ns(attempt)) else "",
        "tries": count(len(attempt.tries), "try", "tries") if len(attempt.tries) > 1 else "",
        "tone": "good" if word == "OK" else "warn" if attempt.outcome == "succeeded" else "bad",
    }


def _row(row: Ranked, order: Sequence[str]) -> dict[str, Any]:
    facts = [row.size, row.held, f"waited {row.waited}" if row.waited else ""]
    blocked = len(row.blocker.blocked) or len(row.blocker.delayed)
    return {
        "who": row.who,
        "share": row.share,
        "sure": row.sure,
        "cause": row.cause,
        "hue": order.index(row.cause) % len(HUES) if row.cause in order else "none",
        "percent": round(100 * blocked / max(row.of, blocked, 1)),
        "facts": [_QUANTITY.sub("\N{NO-BREAK SPACE}", fact) for fact in facts if fact],
    }

"""The result as JUnit XML for CI: one testcase per attempt; what failed carries its verdict.

Failed and interrupted attempts are failures, unfinished ones are skipped (no event shows how they ended). The rest
pass; what made them wait, or what an inventory found, is in their output. Element and attribute names are those of the
Ant JUnit reporter.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from tracereplay.model.derived.culprit_groups import group_culprits
from tracereplay.model.derived.judgement import FAILURES, is_notable
from tracereplay.model.result import Attempt, Result
from tracereplay.reports.shared.attempt_wording import (
    ending,
    headline,
    headline_word,
    log_facts,
    pages_of_last_try,
    verdict,
)
from tracereplay.reports.shared.culprit_wording import cause_words, sentence, where_words
from tracereplay.reports.shared.evidence_wording import evidence_lines, stack_frames
from tracereplay.reports.shared.input_wording import loss_sentences
from tracereplay.reports.shared.inventory_wording import inventory_lines
from tracereplay.reports.shared.style import Style, escape_control_chars
from tracereplay.reports.shared.wording import clock_unit, page_size_bytes, size_words
from tracereplay.units import NS_PER_S

MAX_EVIDENCE = 12  # lines quoted for each row of culprits


def render_junit(result: Result, style: Style | None = None) -> str:  # noqa: ARG001
    """One `testsuite` for each input that holds attempts (one, empty, where there are none)."""
    result = escape_control_chars(result)
    root = ET.Element("testsuites", name="tracereplay")
    for input_id in dict.fromkeys(a.input_id for a in result.attempts) or {"": None}:
        _suite(root, input_id, result)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, input_id: str, result: Result) -> None:
    attempts = [a for a in result.attempts if a.input_id == input_id]
    path = next((i.path for i in result.inputs if i.id == input_id), "no attempts")
    suite = ET.SubElement(
        root,
        "testsuite",
        name=path,
        tests=str(len(attempts)),
        failures=str(sum(a.outcome in FAILURES for a in attempts)),
        errors="0",
        skipped=str(sum(map(_is_skipped, attempts))),
        time=_seconds(sum(_took_ns(a, result) for a in attempts)),
    )
    for attempt in attempts:
        _case(suite, attempt, result)
    losses = loss_sentences(result.inputs, result.data_loss, full=False)
    if losses:
        lines = [f"{severity}: {lacking}" + (f". {advice}" if advice else "") for severity, lacking, advice in losses]
        ET.SubElement(suite, "system-out").text = "\n".join(lines)


def _case(suite: ET.Element, attempt: Attempt, result: Result) -> None:
    where = f"{attempt.operation}.{attempt.area}" if attempt.area else attempt.operation
    case = ET.SubElement(suite, "testcase", classname=where, name=attempt.id, time=_seconds(_took_ns(attempt, result)))
    summary = verdict(attempt, result)
    if attempt.outcome in FAILURES:
        failure = ET.SubElement(case, "failure", message=summary, type=attempt.cause or "unknown")
        failure.text = "\n".join(_story(attempt, result))
    elif _is_skipped(attempt):
        ET.SubElement(case, "skipped", message=f"no end seen: {summary}")
    elif is_notable(attempt):
        ET.SubElement(case, "system-out").text = "\n".join([summary, *_story(attempt, result)])


def _story(attempt: Attempt, result: Result) -> list[str]:
    """What a person reads who opens the failed case."""
    unit = clock_unit(result, attempt)
    stacks = stack_frames(result)
    lines = [f"{headline_word(attempt)} {headline(attempt, page_size_bytes(result))}", ending(attempt, unit)]
    lines += [*filter(None, [pages_of_last_try(attempt)]), *inventory_lines(attempt)]
    lines += log_facts(attempt, result, None)
    for group in group_culprits(attempt.culprits):
        c = group.first
        size = size_words(group.culprits, page_size_bytes(result))
        lines += [f"{size} {cause_words(c)} {where_words(group, None, result)}"]
        lines += [f"  {sentence(group, attempt, result)}"]
        lines += [f"    {line}" for line in evidence_lines(c, stacks, unit)[:MAX_EVIDENCE]]
    return lines


def _is_skipped(attempt: Attempt) -> bool:
    return attempt.outcome in ("unfinished", "unknown") and not attempt.inventory


def _took_ns(attempt: Attempt, result: Result) -> int:
    if attempt.start_ns is None or attempt.end_ns is None or clock_unit(result, attempt) != "ns":
        return 0
    return max(attempt.end_ns - attempt.start_ns, 0)


def _seconds(ns: int) -> str:
    return f"{ns / NS_PER_S:.6f}"

"""What a gate says as JUnit XML: one testcase for each rule. Names as in the Ant JUnit reporter."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from tracereplay.model.corpus import CorpusGate
from tracereplay.reports.shared.style import Style, escape_control_chars


def render_gate_junit(gate: CorpusGate, style: Style | None = None) -> str:  # noqa: ARG001
    """One `testsuite`; a rule that matched is a failure."""
    gate = escape_control_chars(gate)
    root = ET.Element("testsuites", name="tracereplay")
    suite = ET.SubElement(
        root,
        "testsuite",
        name=gate.store,
        tests=str(len(gate.rules)),
        failures=str(sum(rule.matched for rule in gate.rules)),
        errors="0",
        skipped="0",
    )
    for rule in gate.rules:
        case = ET.SubElement(suite, "testcase", classname="corpus.gate", name=rule.rule)
        if rule.matched:
            failure = ET.SubElement(case, "failure", message=rule.says, type=rule.rule)
            failure.text = "\n".join([rule.says, *rule.examples])
        else:
            ET.SubElement(case, "system-out").text = rule.says
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"

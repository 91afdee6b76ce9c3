"""Markdown, JUnit and the HTML file: what they must say, and that names from a trace stay names."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from tests.support import result_examples as example
from tracereplay.model.result import Result, Task
from tracereplay.reports import FORMATS
from tracereplay.reports.html.data import embedded, report_data
from tracereplay.reports.html.report import render_html
from tracereplay.reports.markdown import escaped
from tracereplay.reports.shared.style import Style

HOSTILE = "</script>`*x*` <b>&amp; [a](javascript:b)\x1b[31m\n## Fake\r\u2028]]>"


def hostile() -> Result:
    """Every place a trace can put a name in holds a nasty one."""
    task = Task(tid=1, pid=1, comm=HOSTILE)
    culprit = example.culprit(holder=task, holder_name=HOSTILE, mechanism=HOSTILE, capture_next=[HOSTILE])
    culprit.evidence[0].text = HOSTILE
    attempt = example.attempt(culprits=[culprit], area=HOSTILE, task=task, errno=HOSTILE)
    result = example.result(attempt, inputs=[example.trace(path=HOSTILE)])
    result.stacks[0].frames[0] = HOSTILE
    result.tool.argv = ["blame", HOSTILE]
    return result


class Elements(HTMLParser):
    """Tags and the content of scripts, as a browser would see them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts[-1] += data


def test_markdown_quotes_evidence_and_the_command() -> None:
    said = FORMATS["md"](example.pinned(), Style())
    assert said.startswith("**pin-vmsplice (145) and pin-dead (148) blocked the failed cma_alloc.**\n\n## FAILED: ")
    assert '\n## FAILED: cma_alloc "reserved", 65,520 pages (255.9 MiB), by cma-driver (149)\n' in said
    assert "    6.130493 s  task 145  page_ref_mod_unless  val=1 ret=1 count=3\n" in said
    assert "        try_get_folio <- gup_fast_fallback <- __do_sys_vmsplice\n" in said
    assert "    tracereplay blame trace.dat\n" in said
    assert "2 attempts succeeded" in said


def test_markdown_is_short_until_full() -> None:
    short = FORMATS["md"](example.mixed(), Style()).splitlines()
    full = FORMATS["md"](example.mixed(), Style(full=True)).splitlines()
    assert len(short) < 60 < len(full)


def test_markdown_keeps_names_as_names() -> None:
    said = FORMATS["md"](hostile(), Style())
    assert "\x1b" not in said
    assert not any(line.startswith("## Fake") for line in said.splitlines())
    prose = [line for line in said.splitlines() if not line.startswith("    ")]
    for raw in ("<b>", "</script>", "[a](", "`*x*`"):
        assert not any(re.search(rf"(?<!\\){re.escape(raw)}", line) for line in prose), raw


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("_evil_", "_evil\\_"),
        ("__b__ c", "__b\\_\\_ c"),
        ("~~gone~~", "~\\~gone\\~\\~"),
        ("__GFP_MOVABLE and _mapcount of ~/trace.dat", "__GFP_MOVABLE and _mapcount of ~/trace.dat"),
        ("a*b [x] [y](z) <i> &amp;", "a\\*b [x] \\[y](z) \\<i> \\&amp;"),
    ],
)
def test_markdown_escapes_what_would_mark(name: str, says: str) -> None:
    assert escaped(name) == says


def test_junit_counts_what_failed() -> None:
    root = ET.fromstring(FORMATS["junit"](example.pinned(), Style()))
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "0")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("type") == "task_reference"
    assert (failure.get("message") or "").endswith("pin-dead (148) (task_reference, proved) blocked migration.")
    assert "page_ref_mod_unless" in (failure.text or "")


def test_junit_a_wait_passes_and_an_open_end_is_skipped() -> None:
    delayed = ET.fromstring(FORMATS["junit"](example.delayed(), Style()))
    assert delayed.find(".//failure") is None
    assert "delayed the attempt" in (delayed.findtext(".//system-out") or "")
    unfinished = example.attempt(outcome="unfinished", end_ns=None, errno=None, cause="unfinished")
    open_end = ET.fromstring(FORMATS["junit"](example.result(unfinished), Style()))
    assert open_end.find(".//testcase/skipped") is not None


def test_an_inventory_is_no_failure_and_says_would() -> None:
    found = example.culprit(effect="would_block", blocked_tries=[])
    asked = example.attempt(inventory=True, task=None, outcome="unfinished", errno=None, tries=[], culprits=[found])
    result = example.result(asked)
    (suite,) = ET.fromstring(FORMATS["junit"](result, Style()))
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "0")
    for format_ in ("text", "md", "html", "junit"):
        said = FORMATS[format_](result, Style())
        assert "would block migration" in said
        assert "above the first blocking page" not in said.split("<script")[0]


def test_junit_of_nothing_and_of_hostile_names_is_xml() -> None:
    (empty,) = ET.fromstring(FORMATS["junit"](example.result(), Style()))
    assert empty.get("tests") == "0"
    suite = ET.fromstring(FORMATS["junit"](hostile(), Style())).find("testsuite")
    assert suite is not None
    assert (suite.get("name") or "").startswith("</script>`*x*`")


def test_html_is_one_file_that_asks_for_nothing() -> None:
    elements = Elements(render_html(example.pinned()))
    loading = [(tag, name) for tag, attrs in elements.tags for name in attrs if name in ("src", "srcset", "action")]
    links = [attrs["href"] or "" for _, attrs in elements.tags if "href" in attrs]
    assert loading == []
    assert [link for link in links if not link.startswith("#")] == []
    (policy,) = [attrs["content"] or "" for _, attrs in elements.tags if "http-equiv" in attrs]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_html_quotes_the_command() -> None:
    result = example.pinned()
    result.tool.argv = ["blame", "my trace.dat"]
    assert "tracereplay blame &#39;my trace.dat&#39;" in FORMATS["html"](result, Style())


def test_html_from_hostile_names_has_the_elements_of_any_report() -> None:
    elements = Elements(render_html(hostile()))
    assert len(elements.scripts) == 2
    assert not [attrs for _, attrs in elements.tags if any(name.startswith("on") for name in attrs)]
    assert "b" in {tag for tag, _ in elements.tags}  # ours
    assert [tag for tag, _ in elements.tags if tag in ("img", "iframe", "object")] == []
    drawn = [attrs["class"] for tag, attrs in elements.tags if tag == "svg"]
    assert drawn == ["bar"] * len(drawn)  # of the ranking, ours too


def test_embedded_data_cannot_end_its_element() -> None:
    text = embedded(report_data(hostile()))
    assert not set("<>&") & set(text)
    assert HOSTILE in json.loads(text)["texts"]


@pytest.mark.parametrize("name", example.EXAMPLES)
def test_embedded_columns_fit_together(name: str) -> None:
    data = report_data(example.EXAMPLES[name]())
    for columns in data["tables"].values():
        lengths = {len(column) for key, column in columns.items() if not key.endswith("_at")}
        assert len(lengths) == 1
        assert {len(column) for key, column in columns.items() if key.endswith("_at")} <= {
            length + 1 for length in lengths
        }
    tables = data["tables"]
    assert tables["attempts"]["culprits_at"][-1] == len(tables["culprits"]["cause"])
    assert tables["culprits"]["evidence_at"][-1] == len(tables["evidence"]["event"])

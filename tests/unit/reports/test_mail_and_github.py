"""What is sent on: a plain mail of 72 columns, a comment for GitHub, and a command that can be run again."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from rich.cells import cell_len

from tests.support import result_examples as example
from tests.support.result_strategies import RESULTS
from tests.unit.model.test_summary import four
from tests.unit.reports.test_reports_to_pass_on import hostile
from tracereplay.model.redaction import redacted
from tracereplay.model.result import Result, Task
from tracereplay.reports import FORMATS
from tracereplay.reports.mail import WIDTH, fold
from tracereplay.reports.shared.command import reproducing_command
from tracereplay.reports.shared.style import Style


def mail(result: Result, *, full: bool = False) -> str:
    return FORMATS["mail"](result, Style(full=full))


def test_mail_says_all_failures_with_quoted_evidence() -> None:
    said = mail(example.result(*four()))
    assert said.startswith('Subject: 4 of 5 cma_alloc from "reserved" failed\n\nfile system metadata of 254:16 blocked')
    assert [line[:9] for line in said.splitlines() if re.match(r"\d\. ", line)] == [f"{n}. FAILED" for n in range(1, 5)]
    assert "     > 6.130493 s task 145 page_ref_mod_unless val=1 ret=1 count=3\n" in said
    assert "the same as in 1." in said
    assert "1 attempt succeeded." in said
    assert said.count("> 6.130493 s") < mail(example.result(*four()), full=True).count("> 6.130493 s")


@settings(max_examples=60, deadline=None)
@given(RESULTS)
def test_no_line_of_a_mail_is_wide_and_nothing_steers_a_terminal(result: Result) -> None:
    for full in (False, True):
        said = mail(result, full=full)
        head, *lines = said.splitlines()
        assert head.startswith("Subject: ")
        assert all(c.isprintable() for line in (head, *lines) for c in line)
        command = lines.index("To reproduce:") if "To reproduce:" in lines else len(lines)
        assert max(cell_len(line) for line in lines[:command]) <= WIDTH


def test_long_words_are_cut_and_continued_lines_are_indented() -> None:
    assert fold("ab cd", "- ") == ["- ab cd"]
    lines = fold("x" * 100 + " y", "  > ", "  >   ")
    assert [line[:6].rstrip("x") for line in lines] == ["  > ", "  >   "]
    assert all(len(line) <= WIDTH for line in lines)
    assert "".join(line.split("> ")[1].replace(" ", "") for line in lines) == "x" * 100 + "y"


def test_the_command_leaves_out_where_the_report_went() -> None:
    argv = [
        "blame",
        "my trace.dat",
        "--layout",
        "snap",
        "--format",
        "json",
        "-o",
        "x.json",
        "-q",
        "--output=y",
        "--full",
    ]
    assert reproducing_command(argv) == "tracereplay blame 'my trace.dat' --layout snap --full"
    assert reproducing_command(["blame", "t", "--format"]) == "tracereplay blame t"


def test_a_long_command_is_broken_where_a_shell_continues_it() -> None:
    result = example.pinned()
    result.tool.argv = ["blame", *(f"some/where/trace-{n}.dat" for n in range(9))]
    command = mail(result).split("To reproduce:\n")[1].split("(tracereplay")[0]
    assert all(len(line) <= WIDTH for line in command.splitlines())
    assert command.replace("\\\n", " ").split() == ["tracereplay", *result.tool.argv]


def test_confidential_commands_name_inputs_as_the_document_does() -> None:
    result = example.pinned()
    result.tool.argv = ["blame", result.inputs[0].path, "--at", "7", "--fail-on=failed"]
    assert "  tracereplay blame trace-1 --at VALUE --fail-on=VALUE\n" in mail(redacted(result))


def test_github_folds_attempts_below_a_table() -> None:
    said = FORMATS["github"](example.result(*four()), Style())
    head, *folded = said.split("<details>\n")
    assert head.startswith('### 4 of 5 cma_alloc from "reserved" failed\n')
    assert "| 4 of 4 | file system metadata of 254:16 | buffer_head | proved | 14 |" in head
    assert len(folded) == said.count("</details>\n") == 3  # two kinds of failures, then what to do
    assert all(re.match(r"<summary>[^\n]*</summary>\n\n", part) for part in folded)
    assert "    tracereplay blame trace.dat\n" in folded[-1]


@pytest.mark.parametrize("comm", ["@octocat", "a|b", "fix #1", "<img src=x>", "</details>"])
def test_names_are_no_markup_mention_or_link_on_github(comm: str) -> None:
    culprit = example.culprit(holder=Task(tid=1, comm=comm))
    attempt = example.attempt(culprits=[culprit], task=Task(tid=2, comm=comm))
    said = FORMATS["github"](example.result(attempt), Style())
    plain = [line for line in said.splitlines() if not line.startswith("    ")]
    assert not any(re.search(r"@octocat|(?<!&)#1|(?<!\\)<img", line) for line in plain)
    rows = [line for line in plain if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}
    assert said.count("<details>") == len(re.findall(r"^</details>$", said, re.MULTILINE))


def test_hostile_names_keep_the_elements_of_a_comment() -> None:
    said = FORMATS["github"](hostile(), Style())
    tags = re.findall(r"(?<!\\)<(/?[a-z]+)", "\n".join(x for x in said.splitlines() if not x.startswith("    ")))
    assert set(tags) == {"details", "summary", "/details", "/summary"}


def test_a_comment_is_never_longer_than_github_takes() -> None:
    runs = [example.culprit(id=f"c{n}", start_pfn=0x10000 + 2 * n) for n in range(40)]
    result = example.result(
        *(
            example.attempt(id=f"a{n}", area=f"area{n}", culprits=[*runs, example.culprit(cause=f"x{n}")])
            for n in range(12)
        )
    )
    said = FORMATS["github"](result, Style(full=True))
    assert len(said) < 65_536
    assert said.count("<details>") == said.count("</details>") > 1
    assert "More attempts than a comment holds" in said
    assert "To reproduce" in said


def test_a_number_keeps_its_unit_and_flags_are_broken_between_names() -> None:
    (*_, last) = fold("x" * 66 + " 17.196 s")
    assert last == "17.196 s"
    lines = fold("gfp_flags=" + "|".join(["__GFP_HARDWALL"] * 8), "> ")
    assert all(line.endswith("__GFP_HARDWALL|") for line in lines[:-1])
    assert len(lines) == 2
    assert fold("two  spaces") == ["two spaces"]

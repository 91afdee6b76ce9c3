"""The text report: what a reader must find in it, at every width, whatever a trace puts into names."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from tests.support import result_examples as example
from tracereplay.model.result import File, Request, Result, Task
from tracereplay.reports import FORMATS
from tracereplay.reports.shared.style import Style
from tracereplay.reports.text.report import MAX_ATTEMPTS
from tracereplay.units import format_duration


def text(result: Result, *, width: int = 100, color: bool = False, full: bool = False) -> str:
    return FORMATS["text"](result, Style(width=width, color=color, full=full))


def words(report: str) -> str:
    """The report on one line: for sentences that may wrap."""
    return " ".join(report.split())


def test_names_place_cause_verdict_and_holder() -> None:
    said = words(text(example.pinned()))
    assert 'FAILED cma_alloc "reserved", 65,520 pages (255.9 MiB), by cma-driver (149)' in said
    assert "failed with EBUSY after 840 ms and 17 tries" in said
    assert "8 pages task_reference proved PFN 0x1e403, 0x1e405-0x1e40b" in said
    assert "held by pin-vmsplice (145) since 6.130 s, released at 8.600 s" in said
    assert "4 pages task_reference proved PFN 0x1edbf, 0x1edc1-0x1edc3" in said
    assert "2 more attempts succeeded: 2 cma_alloc (256 pages, 65,264 pages)" in said


def test_data_loss_comes_before_results() -> None:
    said = text(example.mixed())
    assert said.index("DATA LOST") < said.index("ring buffer overwrote") < said.index("FAILED")
    assert "470,200 of them, CPU 0 and 1, before 14.800 s" in words(said)


def test_attempts_left_out_are_counted_with_those_like_them() -> None:
    kinds = [[example.attempt(id=f"{k}-{n}", area=f"area{k}") for n in range(3)] for k in range(MAX_ATTEMPTS + 2)]
    for left, says in ((1, "3 more attempts of another kind"), (2, "6 more attempts of other kinds")):
        result = example.result(*(a for alike in kinds[: MAX_ATTEMPTS + left] for a in alike))
        for format_ in ("text", "html"):
            assert f"and {says}" in FORMATS[format_](result, Style())


def test_an_inventory_that_finds_nothing_says_so() -> None:
    asked = example.attempt(inventory=True, outcome="unfinished", errno=None, cause=None, culprits=[], tries=[])
    assert "Nothing would block migration, as far as the trace shows." in words(text(example.result(asked)))


def test_one_page_is_no_pages() -> None:
    fine = example.attempt(outcome="succeeded", errno=None, cause=None, culprits=[], request=Request(pages=1))
    assert "1 attempt succeeded: 1 cma_alloc (1 page)" in words(text(example.result(fine)))


def test_no_loss_is_said_too() -> None:
    assert "no data lost" in text(example.pinned())


def test_a_success_that_waited_is_told() -> None:
    said = words(text(example.delayed()))
    assert said.index("DELAYED cma_alloc") < said.index("it waited 15.0 s for locked folios")
    assert "the attempt waited 15.0 s for it" in said
    assert "OK" not in said


def test_failures_come_before_delays_and_compaction_last() -> None:
    hindered = [example.culprit()]
    attempts = [
        example.attempt(id="a", operation="compaction", culprits=hindered),
        example.attempt(id="b", outcome="succeeded", culprits=hindered),
        example.attempt(id="c", operation="compaction", outcome="succeeded", culprits=hindered),
        example.attempt(id="d", area="failing"),
    ]
    heads = [line for line in text(example.result(*attempts)).splitlines() if line[:1].isupper() and "reserved" in line]
    said = text(example.result(*attempts))
    assert [line.split()[0] for line in heads] == ["DELAYED", "FAILED", "IMPEDED"]
    assert said.index('"failing"') < said.index("DELAYED")


def test_many_culprits_take_few_lines() -> None:
    said = text(example.mixed())
    assert said.count("buffer_head") == 2  # its row, what to do
    assert "39 pages  buffer_head" in said
    assert "and 16 more places" in words(said)


def test_attempts_alike_are_told_once() -> None:
    said = words(text(example.mixed()))
    assert "and 2 more attempts like it, at 10.000 s and 22.000 s" in said
    assert said.count("FAILED") == 2
    assert text(example.mixed(), full=True).count("FAILED") == 4


def test_many_kinds_of_attempts_are_cut() -> None:
    attempts = [example.attempt(id=str(n), area=f"area{n}", cause="bitmap_full") for n in range(MAX_ATTEMPTS + 3)]
    said = text(example.result(*attempts))
    assert said.count("FAILED") == MAX_ATTEMPTS
    assert "and 3 more attempts of other kinds: --full" in said


def test_attempt_cause_explains_itself() -> None:
    said = words(text(example.result(example.attempt(cause="bitmap_full", errno="ENOMEM"))))
    assert "bitmap_full: The area has no free run" in said


def test_what_was_given_beside_the_trace_is_named_once() -> None:
    inputs = [
        example.trace(),
        example.trace(id="i1", path="some/where/dmesg.txt", role="log", events=324),
        example.trace(id="i2", path="some/where/layout_before", role="layout"),
    ]
    said = text(example.result(inputs=inputs))
    assert "  with dmesg.txt (log) and layout_before (layout)\n" in said
    assert said.count("no data lost") == 1


def test_a_log_alone_heads_the_report() -> None:
    log = example.trace(path="dmesg.txt", role="log", events=324, capture_level=None)
    assert words(text(example.result(inputs=[log]))).startswith("dmesg.txt Linux 6.12.117 2.9 s 324 lines no data lost")


def test_a_file_is_not_named_twice() -> None:
    file = File(dev=23, ino=2)
    named = example.culprit(holder=None, holder_name="dev 0:23 ino 2", file=file)
    unnamed = example.culprit(file=file)
    assert text(example.result(example.attempt(culprits=[named]))).count("0:23") == 2  # the first line, its row
    assert "dev 0:23 inode 2" in text(example.result(example.attempt(culprits=[unnamed])))


def test_a_failure_without_cause_says_so() -> None:
    assert "what decided is not known" in text(example.result(example.attempt()))


def test_nothing_found_points_to_info() -> None:
    assert "tracereplay info" in text(example.result())


def test_holder_that_is_not_proved_is_not_stated_as_fact() -> None:
    row = example.culprit(holder_verdict="suggested")
    assert "probably held by pin-vmsplice" in text(example.result(example.attempt(culprits=[row])))


def test_allocator_is_not_passed_off_as_holder() -> None:
    row = example.culprit(holder=None, holder_verdict="unknown")
    said = words(text(example.result(example.attempt(culprits=[row]))))
    assert "holder not seen" in said
    assert "allocated by pin-vmsplice (145)" in said


@pytest.mark.parametrize("name", example.EXAMPLES)
@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    for line in text(example.EXAMPLES[name](), width=width).splitlines():
        assert cell_len(line) <= width, line
        assert line == line.rstrip()


def test_plain_text_has_no_escapes_and_colour_only_adds_them() -> None:
    plain, colored = text(example.pinned()), text(example.pinned(), color=True)
    assert "\x1b" not in plain
    assert "\x1b[" in colored


def test_names_from_a_trace_cannot_steer_the_terminal() -> None:
    evil = Task(tid=1, comm="\x1b]0;x\x07[bold]\n")
    row = example.culprit(holder=evil, holder_name="a\x1b[2J")
    said = text(example.result(example.attempt(task=evil, culprits=[row]), inputs=[example.trace(path="a\x1b[31m")]))
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "\\x1b]0;x\\x07[bold]\\x0a (1)" in said


def test_full_shows_evidence_stacks_and_tries() -> None:
    said = text(example.pinned(), full=True)
    assert "page_ref_mod_unless" in said
    assert "try_get_folio <- gup_fast_fallback <- __do_sys_vmsplice" in said
    assert "first blocking page" in said


def test_words_used_are_explained_and_others_are_not() -> None:
    said = text(example.pinned())
    assert "proved: " in said
    assert "suggested: " not in said


def test_ticks_are_not_called_seconds() -> None:
    said = text(example.result(example.attempt(), inputs=[example.trace(clock_unit="tick")]))
    assert "began at tick 6437593000" in said
    assert " s " not in said.split("FAILED")[1].split("\n")[1]
    delayed = example.delayed()
    assert "the attempt waited" in words(text(delayed))
    delayed.inputs[0].clock_unit = "tick"
    assert "the attempt waited for it" in words(text(delayed))


@pytest.mark.parametrize(
    ("ns", "says"),
    [(0, "0 ns"), (840_000_000, "840 ms"), (1_234_000_000, "1.2 s"), (12_340, "12.3 us"), (-500_000_000, "-500 ms")],
)
def test_durations(ns: int, says: str) -> None:
    assert format_duration(ns) == says


def test_unknown_codes_of_later_versions_do_not_break_it() -> None:
    row = example.culprit(cause="something_new")
    said = text(example.result(example.attempt(cause="something_new", culprits=[row])))
    assert "something_new" in said


def test_offline_names_its_block_and_range() -> None:
    offline = example.attempt(
        operation="memory_offline",
        area="memory33",
        request=Request(start_pfn=0x108000, end_pfn=0x110000),
        outcome="interrupted",
        outcome_basis="inferred",
        errno="EINTR",
    )
    said = words(text(example.result(offline)))
    assert "INTERRUPTED memory_offline memory33, PFN 0x108000-0x10ffff" in said
    assert "aborted by a signal (EINTR)" in said
    assert "inferred" in said


def test_ranking_only_for_several_attempts_and_never_endless() -> None:
    assert "3 of 4" in text(example.mixed())
    assert "1 of 1" not in text(example.pinned())
    holders = [example.culprit(id=f"c{n}", holder=Task(tid=n, comm="t")) for n in range(20)]
    attempts = [example.attempt(id=str(n), culprits=holders) for n in range(2)]
    assert "and 12 more rows" in text(example.result(*attempts))

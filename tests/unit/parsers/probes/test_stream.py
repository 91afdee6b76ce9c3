"""kprobe events by hand: what proves a holder, and what nearly does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tracereplay
from tests.support.kprobe_text import ANON, VMEMMAP, KprobeText, page
from tracereplay.errors import TraceReplayError
from tracereplay.model.result import Attempt, Culprit
from tracereplay.parsers.catalog.probes import FOLL_FROM_6_3, FOLL_UP_TO_6_2, PROBES
from tracereplay.parsers.probes.folios import Folios
from tracereplay.parsers.probes.rows import probe_rows
from tracereplay.parsers.probes.stream import foll_flags
from tracereplay.schema import Op

SH, A, B = "sh-7", "holder-21", "other-22"
PFN = 0x8010


def attempt_of(text: KprobeText, tmp_path: Path) -> Attempt:
    (attempt,) = tracereplay.open([text.write(tmp_path)]).blame().attempts
    return attempt


def culprits_of(text: KprobeText, tmp_path: Path) -> list[Culprit]:
    return attempt_of(text, tmp_path).culprits


def holder(culprit: Culprit) -> tuple[int | None, str]:
    return (culprit.holder.tid if culprit.holder else None), culprit.verdict


def isolated(text: KprobeText) -> KprobeText:
    return text.add(SH, "sipr_r", "s=0x8000 e=0x10000 ret=0")


def ended(text: KprobeText, result: int = -16, pages: int = 1) -> KprobeText:
    return text.failed_pass(SH, pages).offlined(SH, result)


def test_a_reference_that_makes_up_the_excess_is_proved(tmp_path: Path) -> None:
    text = ended(isolated(KprobeText().taken(A, PFN)).refused(SH, PFN, 2)).released(A, PFN)
    attempt = attempt_of(text, tmp_path)
    assert (attempt.outcome, attempt.errno, attempt.outcome_basis) == ("failed", "EBUSY", "event")
    (culprit,) = attempt.culprits
    assert (*holder(culprit), culprit.release) == (21, "proved", "seen")


def test_a_reference_that_is_never_seen_released_may_have_been_put_unseen(tmp_path: Path) -> None:
    """A futex, a guest's memory: put_page() is inline there, and the count may be that of a reference no probe sees."""
    (culprit,) = culprits_of(ended(isolated(KprobeText().taken(A, PFN)).refused(SH, PFN, 2)), tmp_path)
    assert (*holder(culprit), culprit.premises_failed) == (21, "suggested", ["needed"])
    assert culprit.release == "unknown"


@pytest.mark.parametrize(
    ("function", "mechanism"),
    [
        ("__do_sys_vmsplice+0x431", "vmsplice"),
        ("__x64_sys_vmsplice", "vmsplice"),
        ("__arm64_sys_vmsplice", "vmsplice"),
        ("vmsplice_to_pipe", "vmsplice"),
        ("bio_iov_iter_get_pages+0x61", "bio (O_DIRECT)"),
    ],
)
def test_a_call_whose_release_is_probed_is_known_by_its_stack(function: str, mechanism: str, tmp_path: Path) -> None:
    """A dump made at the failure has no release."""
    text = KprobeText().taken(A, PFN).stack(A, "try_grab_folio_fast+0x5", "get_user_pages_fast", function)
    (culprit,) = culprits_of(ended(isolated(text).refused(SH, PFN, 2)), tmp_path)
    assert (*holder(culprit), culprit.mechanism, culprit.release) == (21, "proved", mechanism, "unknown")


@pytest.mark.parametrize(
    "function", ["__do_sys_futex", "__x64_sys_vmsplices", "do_sys_vmsplice_all", "msg_zerocopy_realloc", "hva_to_pfn"]
)
def test_a_call_that_puts_references_inline_is_not_proved_by_its_stack(function: str, tmp_path: Path) -> None:
    text = KprobeText().taken(A, PFN).stack(A, "try_grab_folio_fast", "get_user_pages_fast", function)
    (culprit,) = culprits_of(ended(isolated(text).refused(SH, PFN, 2)), tmp_path)
    assert (*holder(culprit), culprit.premises_failed) == (21, "suggested", ["needed"])


def test_a_pin_beside_one_that_nobody_saw_taken(tmp_path: Path) -> None:
    """The count before the take has a pin already: either of the two may be the one that is left."""
    text = isolated(KprobeText().taken(A, PFN, flags=0x80001, count=1025)).refused(SH, PFN, 1025)
    (culprit,) = culprits_of(ended(text), tmp_path)
    assert holder(culprit) == (21, "suggested")


def test_the_return_of_another_folio_s_move_tells_nothing(tmp_path: Path) -> None:
    """A kretprobe whose instances were used up: the return is missed, and so is the next entry."""
    text = isolated(KprobeText().taken(A, PFN))
    text.add(SH, "mig", f"dst={page(9)} src={page(PFN)} mode=0 rc=2 mc=-1 mapping={ANON:#x} fl=0x2001d")
    text.add(SH, "mig_r", f"src={page(PFN + 1)} ret=-11")
    assert not any(one.verdict == "proved" for one in culprits_of(ended(text).released(A, PFN), tmp_path))


def test_two_holders_of_one_page_are_both_named(tmp_path: Path) -> None:
    text = KprobeText().taken(A, PFN).taken(B, PFN, count=2)
    text = ended(isolated(text).refused(SH, PFN, 3)).released(A, PFN).released(B, PFN)
    assert sorted(holder(one) for one in culprits_of(text, tmp_path)) == [(21, "proved"), (22, "proved")]


def test_a_reference_older_than_the_trace_leaves_no_proof(tmp_path: Path) -> None:
    (culprit,) = culprits_of(ended(isolated(KprobeText().taken(A, PFN)).refused(SH, PFN, 3)), tmp_path)
    assert holder(culprit) == (21, "suggested")
    assert "no taker on record" in str(culprit.evidence)


def test_without_any_take_the_holder_is_not_known(tmp_path: Path) -> None:
    text = isolated(KprobeText().taken(A, 0x9000)).refused(SH, PFN, 2)
    (culprit,) = culprits_of(ended(text), tmp_path)
    assert (culprit.cause, culprit.start_pfn, holder(culprit)) == ("extra_reference", PFN, (None, "proved"))


def test_a_release_that_was_not_seen_leaves_candidates(tmp_path: Path) -> None:
    text = KprobeText().taken(A, PFN).taken(B, PFN, count=2)
    found = culprits_of(ended(isolated(text).refused(SH, PFN, 2)), tmp_path)
    assert sorted(holder(one) for one in found) == [(21, "suggested"), (22, "suggested")]


def test_a_count_that_does_not_include_an_earlier_take_shows_it_dropped(tmp_path: Path) -> None:
    text = KprobeText().taken(A, PFN).taken(B, PFN, count=1)
    (culprit,) = culprits_of(ended(isolated(text).refused(SH, PFN, 2)).released(B, PFN), tmp_path)
    assert holder(culprit) == (22, "proved")


def test_a_reference_released_before_is_nobodys(tmp_path: Path) -> None:
    text = KprobeText().taken(A, PFN).add(A, "pcpbr", f"page={page(PFN)} ch=0x0 rc=2")
    (culprit,) = culprits_of(ended(isolated(text).refused(SH, PFN, 2)), tmp_path)
    assert (culprit.cause, holder(culprit)) == ("extra_reference", (None, "proved"))


def test_what_ptrace_and_exec_take_for_a_moment_is_no_hold(tmp_path: Path) -> None:
    text = KprobeText().taken(A, PFN, flags=0x50003).taken(B, 0x9000)
    (culprit,) = culprits_of(ended(isolated(text).refused(SH, PFN, 2)), tmp_path)
    assert holder(culprit)[0] is None


def test_a_call_that_takes_nothing_is_no_take(tmp_path: Path) -> None:
    """MAP_POPULATE calls the functions without FOLL_GET and FOLL_PIN."""
    text = KprobeText().taken(A, PFN, flags=0x10001).taken(B, PFN)
    (culprit,) = culprits_of(ended(isolated(text).refused(SH, PFN, 2)).released(B, PFN), tmp_path)
    assert holder(culprit) == (22, "proved")


def test_a_page_that_moved_stands_in_nobodys_way(tmp_path: Path) -> None:
    text = isolated(KprobeText().taken(A, PFN).taken(B, 0x8020)).refused(SH, PFN, 2)
    text.refused(SH, 0x8020, 2).moved(SH, PFN)
    assert [one.start_pfn for one in culprits_of(ended(text), tmp_path)] == [0x8020]


def test_an_offline_that_succeeds_has_no_culprit(tmp_path: Path) -> None:
    text = isolated(KprobeText().taken(A, 0x9)).moved(SH, PFN).offlined(SH, 0)
    attempt = attempt_of(text, tmp_path)
    assert (attempt.outcome, attempt.culprits) == ("succeeded", [])


def test_a_pinned_folio_is_refused_at_unmap(tmp_path: Path) -> None:
    text = isolated(KprobeText().taken(A, PFN, flags=0x80001))
    text.add(SH, "ttm", f"folio={page(PFN)} flags=0x0 rc=1026 mc=0")
    text.add(SH, "ttm_r", f"folio={page(PFN)} rc=1026 mc=0")
    (culprit,) = culprits_of(ended(text), tmp_path)
    assert (*holder(culprit), culprit.cause, culprit.mechanism) == (21, "proved", "pin_short", "FOLL_PIN")


def test_up_to_6_1_a_refused_unmap_shows_by_the_move_that_does_not_follow(tmp_path: Path) -> None:
    text = KprobeText().add(A, "get", f"page={page(PFN)} refs=1 flags=0x40001 rc=1 ch=0x0 vb={VMEMMAP:#x}")
    text.add(SH, "off", "pfn=0x8000 nr=0x8000")
    for _ in range(2):
        text.add(SH, "ttm", f"folio={page(PFN)} rc=1026 mc=0")
        text.refused(SH, 0x8800, 1)
    (culprit,) = culprits_of(text.failed_pass(SH, 1).add(SH, "off_r", "ret=-16"), tmp_path)
    assert holder(culprit) == (21, "proved")


def test_one_release_that_two_probes_see_is_one(tmp_path: Path) -> None:
    text = KprobeText().taken(A, PFN, flags=0x80001).taken(B, PFN, flags=0x80001, count=1025)
    text.add(A, "upf", f"folio={page(PFN)} n=1 rc=2049")
    text.add(A, "gput", f"folio={page(PFN)} refs=1 flags=0x80000")
    isolated(text).add(SH, "ttm_r", f"folio={page(PFN)} rc=1026 mc=0")
    (culprit,) = culprits_of(ended(text), tmp_path)
    # Who gives back need not be who took: 21 may hold it by the pin that 22 took.
    assert (*holder(culprit), culprit.premises_failed) == (22, "suggested", ["whose"])


def test_only_the_dump_shows_a_pinned_page(tmp_path: Path) -> None:
    """Without probes on try_to_migrate() no probe sees it refused."""
    text = isolated(KprobeText().taken(A, PFN, flags=0x80001))
    text.add(SH, "dump", f'page={page(PFN)} why="migration failure" rc=1026')
    (culprit,) = culprits_of(ended(text), tmp_path)
    assert holder(culprit) == (21, "proved")


def test_a_pin_that_nothing_shows_refused_is_suggested(tmp_path: Path) -> None:
    text = isolated(KprobeText().taken(A, PFN, flags=0x80001)).taken(B, 0x8020).refused(SH, 0x8030, 1)
    (culprit,) = culprits_of(ended(text), tmp_path)
    assert (culprit.start_pfn, culprit.effect, *holder(culprit)) == (PFN, "would_block", 21, "suggested")


@pytest.mark.parametrize(
    ("word", "head"), [(VMEMMAP + 0x8200 * 64 + 1, 0x8200), (0xFFFFFFFFFFFF8001, 0x8200), (0xFFFFFFFFFFFFC001, 0x8200)]
)
def test_a_tail_page_names_its_head(word: int, head: int, tmp_path: Path) -> None:
    """By the head's address (6.1, 6.12), or by a mask that tells the size as well (7.2)."""
    text = KprobeText()
    for tail in range(3):
        pfn = 0x8205 + tail
        text.add(A, "getf", f"page={page(pfn)} refs=1 flags=0x2 rc=0 ch={word:#x} vb={VMEMMAP:#x}")
    isolated(text).refused(SH, head, 4)
    text.failed_pass(SH, 512, large=1).offlined(SH, -16)
    for tail in range(3):
        text.add(A, "pcpbr", f"page={page(0x8205 + tail)} ch={word:#x} rc=0")
    (culprit,) = culprits_of(text, tmp_path)
    assert (culprit.start_pfn, culprit.pages, *holder(culprit)) == (0x8200, 512, 21, "proved")


def test_references_of_a_large_folio_are_released_one_by_one(tmp_path: Path) -> None:
    word = VMEMMAP + 0x8200 * 64 + 1
    text = KprobeText().taken(A, 0x8200, refs=4)
    isolated(text).refused(SH, 0x8200, 5).failed_pass(SH, 512, large=1)
    for tail in range(3):
        text.add(A, "pcpbr", f"page={page(0x8201 + tail)} ch={word:#x} rc=0")
    text.refused(SH, 0x8200, 2).failed_pass(SH, 512, large=1).offlined(SH, -4)
    (culprit,) = culprits_of(text, tmp_path)
    assert (culprit.pages, *holder(culprit), culprit.released_ns) == (512, 21, "suggested", None)
    (culprit,) = culprits_of(text.released(A, 0x8200), tmp_path)
    assert (culprit.pages, *holder(culprit), culprit.release) == (512, 21, "proved", "seen")


def test_a_bio_releases_the_pages_of_its_segments(tmp_path: Path) -> None:
    text = KprobeText()
    for pfn in (0x8010, 0x8011, 0x8020):
        text.add(A, "get", f"page={page(pfn)} refs=1 flags=0x5 rc=1 ch=0x0 vb={VMEMMAP:#x}")
    garbage = f"{page(0x8020)},0x1000"
    text.add(A, "biorel", f"bio=0x1 n=1 bv={{{page(0x8010)},0x2000,{garbage}}}")
    isolated(text).refused(SH, 0x8010, 2).refused(SH, 0x8020, 2)
    ended(text, pages=2).add(A, "biorel", f"bio=0x2 n=1 bv={{{page(0x8020)},0x1000}}")
    found = culprits_of(text, tmp_path)
    assert [(one.start_pfn, *holder(one)) for one in found] == [(0x8010, None, "proved"), (0x8020, 21, "proved")]


def page_ref(text: KprobeText, task: str, event: str, pfn: int, val: int, count: int, mapcount: int) -> None:
    text.add(
        task, event, f"pfn=0x{pfn:x} flags=uptodate|lru|swapbacked count={count} mapcount={mapcount} "
        f"mapping={ANON:#x} mt=5 val={val} ret=1",
    )  # fmt: skip


def test_page_ref_events_tell_of_a_page_what_probes_see_of_others(tmp_path: Path) -> None:
    """What both tell is counted once; of pages without page_ref events (a filter) probes tell."""
    text = KprobeText().taken(A, PFN)
    page_ref(text, A, "page_ref_mod", 0x100, 1, 2, 0)  # all kinds are recorded
    page_ref(text, A, "page_ref_mod_unless", PFN, 1, 2, 0)
    isolated(text.taken(B, 0x8020))
    page_ref(text, SH, "page_ref_mod_unless", PFN, 1, 3, 0)
    text.refused(SH, PFN, 2).refused(SH, 0x8020, 2)
    page_ref(text, SH, "page_ref_mod_and_test", PFN, -1, 2, 0)
    found = culprits_of(ended(text, pages=2).released(B, 0x8020), tmp_path)
    assert [(one.start_pfn, *holder(one)) for one in found] == [(PFN, 21, "proved"), (0x8020, 22, "proved")]


def test_a_reference_makes_nobody_wait(tmp_path: Path) -> None:
    text = isolated(KprobeText().taken(A, PFN)).refused(SH, PFN, 2).failed_pass(SH, 1)
    text.add(SH, "mm_migrate_pages_start", "mode=MIGRATE_SYNC reason=memory_hotplug")
    text.add(
        SH, "mig", f"dst={page(9)} src={page(PFN)} mode=0 rc=2 mc=-1 mapping={ANON:#x} fl=0x1d", after_us=3_000_000
    )
    found = culprits_of(ended(text).released(A, PFN), tmp_path)
    assert [(one.effect, *holder(one)) for one in found] == [("blocked", 21, "proved")]


def test_kernel_tasks_are_no_holders(tmp_path: Path) -> None:
    (culprit,) = culprits_of(ended(isolated(KprobeText().taken("kworker/0:1-9", PFN)).refused(SH, PFN, 2)), tmp_path)
    assert (culprit.cause, holder(culprit)[0]) == ("extra_reference", None)


def test_a_file_page_is_never_proved(tmp_path: Path) -> None:
    """Whether it has buffers is read from page->flags, whose bits differ by kernel."""
    text = ended(isolated(KprobeText().taken(A, PFN)).refused(SH, PFN, 3, mapping=ANON & ~3))
    (culprit,) = culprits_of(text, tmp_path)
    assert holder(culprit) == (21, "suggested")


def test_a_block_of_which_only_the_return_tells(tmp_path: Path) -> None:
    """6.1 has no arguments at the return: the entry has them."""
    text = KprobeText().taken(A, PFN).add(SH, "off", "pfn=0x8000 nr=0x8000").refused(SH, PFN, 2).failed_pass(SH, 1)
    attempt = attempt_of(text.add(SH, "off_r", "ret=-4"), tmp_path)
    assert (attempt.request.start_pfn, attempt.request.pages, attempt.outcome) == (0x8000, 0x8000, "interrupted")
    assert len(attempt.culprits) == 1


def test_an_offline_without_its_end_is_unfinished(tmp_path: Path) -> None:
    text = KprobeText().taken(A, PFN).add(SH, "off", "pfn=0x8000 nr=0x8000").refused(SH, PFN, 2).failed_pass(SH, 1)
    attempt = attempt_of(text, tmp_path)
    assert (attempt.outcome, attempt.end_ns) == ("unfinished", None)
    assert [holder(one) for one in attempt.culprits] == [(21, "suggested")]  # its release is still to come


def test_pointers_without_a_base_are_said(tmp_path: Path) -> None:
    text = KprobeText().add(A, "getf", f"page={page(PFN)} refs=1 flags=0x2 rc=1 ch=0x0")
    result = tracereplay.open([ended(isolated(text)).write(tmp_path)]).blame()
    assert "vmemmap_base_unknown" in [loss.code for loss in result.data_loss]
    assert [one.culprits for one in result.attempts] == [[]]


def test_the_base_may_come_from_a_pointer_beside_its_pfn(tmp_path: Path) -> None:
    text = KprobeText().add(A, "getf", f"page={page(PFN)} refs=1 flags=0x2 rc=1 ch=0x0")
    text.add(B, "cma_release", f"name=area pfn=0x100 page={VMEMMAP + 0x4000:x} count=1")
    (culprit,) = culprits_of(ended(isolated(text).refused(SH, PFN, 2)), tmp_path)
    assert (culprit.start_pfn, holder(culprit)[0]) == (PFN, 21)


def test_other_peoples_kprobes_of_these_names_are_left_alone(tmp_path: Path) -> None:
    text = KprobeText().add(A, "get", "count=17").add(B, "off", "level=3").failed_pass(SH, 1)
    assert [one.culprits for one in tracereplay.open([text.write(tmp_path)]).blame().attempts] == [[]]


def test_damaged_values_end_in_no_traceback(tmp_path: Path) -> None:
    text = KprobeText().taken(A, PFN).add(A, "getf", "page=0x12 refs=-9 flags=0x2 rc=1 ch=0xfff1 vb=0x1")
    text.add(A, "biorel", "bio=0x1 n=65535 bv={0xffffea0000000040,0xffffffffffffffff}")
    text.add(A, "mig", "dst=0x1 src=0x2 mode=0 rc=1 mc=0 mapping=0x0 fl=0x0").add(SH, "mig_r", "ret=x")
    try:
        tracereplay.open([text.offlined(SH, -99999).write(tmp_path)]).blame()
    except TraceReplayError as error:
        pytest.fail(str(error))


def test_flags_of_gup_are_told_by_what_takes(tmp_path: Path) -> None:
    def of(text: KprobeText) -> object:
        return foll_flags(probe_rows(tracereplay.open([text.write(tmp_path)]).reader.tables()))

    old = (
        KprobeText()
        .add(A, "get1", "page=0xffffea0000000040 flags=0x2007 rc=2 ch=0x0")
        .add(A, "get", "page=0xffffea0000000040 refs=1 flags=0x5 rc=2 ch=0x0 vb=0xffffea0000000000")
    )
    assert of(old) is FOLL_UP_TO_6_2
    assert of(KprobeText().taken(A, PFN, flags=0x80001)) is FOLL_FROM_6_3


def test_folios_take_only_pointers_of_their_vmemmap() -> None:
    folios = Folios(VMEMMAP - (1 << 64))
    pointers = np.array([VMEMMAP + 128 - (1 << 64), VMEMMAP + 1 - (1 << 64), 0, -1], np.int64)
    assert folios.pfns(pointers).tolist() == [2, -1, -1, -1]


def test_probes_are_declared_with_one_role_a_name() -> None:
    roles: dict[str, set[object]] = {}
    for probe in PROBES:
        for name in probe.names:
            roles.setdefault(name, set()).add(probe.role)
    assert all(len(found) == 1 for found in roles.values())
    assert max(Op) < 1 << 8


@pytest.mark.parametrize(
    ("function", "mechanism", "cause"),
    [
        ("io_sqe_buffer_register", "io_uring buffers", "pin_longterm"),
        ("bio_iov_iter_get_pages", "bio (O_DIRECT)", "pin_short"),
        ("some_driver_ioctl", "FOLL_PIN", "pin_short"),
    ],
)
def test_the_stack_of_the_take_names_the_call(function: str, mechanism: str, cause: str, tmp_path: Path) -> None:
    text = KprobeText().taken(A, PFN, flags=0x80000).stack(A, "try_grab_folio_fast", function, "do_syscall_64")
    (culprit,) = culprits_of(ended(isolated(text).refused(SH, PFN, 1 + 1024)), tmp_path)
    assert (culprit.mechanism, culprit.cause, holder(culprit)[0]) == (mechanism, cause, 21)


@pytest.mark.parametrize(
    ("event", "longterm", "short"), [("getf", 0x80100, 0x80000), ("get1", 0x50000, 0x40000)], ids=["6.12", "6.1"]
)
def test_a_long_term_pin_is_known_by_its_flags(event: str, longterm: int, short: int, tmp_path: Path) -> None:
    """Whatever driver it is, and without stacks."""
    text = KprobeText()
    for task, pfn, flags in ((A, PFN, longterm), (B, 0x8020, short)):
        text.add(task, event, f"page={page(pfn)} refs=1 flags={flags:#x} rc=1 ch=0x0 vb={VMEMMAP:#x}")
    found = culprits_of(ended(isolated(text).refused(SH, PFN, 1025).refused(SH, 0x8020, 1025)), tmp_path)
    assert [(c.cause, c.mechanism, holder(c)[0]) for c in found] == [
        ("pin_longterm", "FOLL_LONGTERM", 21), ("pin_short", "FOLL_PIN", 22),
    ]  # fmt: skip


def test_a_plain_reference_for_long_is_no_pin_of_other_tasks(tmp_path: Path) -> None:
    text = KprobeText().taken(A, PFN).stack(A, "vaddr_get_pfns").taken(B, PFN, count=2)
    found = culprits_of(ended(isolated(text).refused(SH, PFN, 3)), tmp_path)
    assert sorted((c.cause, holder(c)[0]) for c in found) == [("pin_longterm", 21), ("task_reference", 22)]

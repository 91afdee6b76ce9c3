"""CMA by kprobes alone: the count that isolate_migratepages_block() compares, and what nearly is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tracereplay
from tests.support.kprobe_text import ANON, VMEMMAP, KprobeText, page
from tracereplay.capture.definitions import caller_filters, definitions, probes_for
from tracereplay.model.result import Culprit
from tracereplay.parsers.catalog.probes import KNOWN_PAGE, Role, Slot
from tracereplay.parsers.probes.callers import from_their_callers
from tracereplay.parsers.probes.rows import ProbeRows

SH, HOLDER, OTHER = "sh-7", "holder-21", "other-22"
PFN, LOW, HIGH = 0x8010, 0x8000, 0x8200
BLOCK = "isolate_migratepages_block"
LRU = 0x2002D  # 6.12: uptodate, dirty, lru, swapbacked
SWAP_CACHE = 1 << 10


def compared(text: KprobeText, count: int, *, mapcount: int = 0, caller: str = f"{BLOCK}+0x3a1/0xde0",
             mapping: int = ANON, flags: int = LRU, following: int = 0) -> KprobeText:  # fmt: skip
    """isolate_migratepages_block() called folio_mapping(); count -- with its own reference."""
    arguments = f"folio={page(PFN)} rc={count} mc={mapcount} mapping={mapping:#x} fl={flags:#x} nh={following:#x}"
    return text.add(SH, "imb", f"{arguments} caller={caller}")


def began(text: KprobeText) -> KprobeText:
    return text.add(SH, "cma_alloc_start", f"name=area count={HIGH - LOW} align=0")


def failed(text: KprobeText) -> KprobeText:
    text.add(SH, "test_pages_isolated", f"start_pfn={LOW:#x} end_pfn={HIGH:#x} fin_pfn={PFN:#x} ret=fail")
    where = "name=area pfn={:#x} page={:016x} count={} align=0"
    text.add(SH, "cma_alloc_busy_retry", where.format(LOW, VMEMMAP + LOW * 64, HIGH - LOW))
    return text.add(SH, "cma_alloc_finish", f"{where.format(LOW, 0, HIGH - LOW)} errorno=-16")


def culprits(text: KprobeText, folder: Path) -> list[Culprit]:
    (attempt,) = tracereplay.open([text.write(folder)]).blame().attempts
    assert (attempt.operation, attempt.errno) == ("cma_alloc", "EBUSY")
    return attempt.culprits


def taken() -> KprobeText:
    return began(KprobeText().taken(HOLDER, PFN))


def test_a_reference_that_makes_up_the_excess_is_proved(tmp_path: Path) -> None:
    (culprit,) = culprits(failed(compared(taken(), 3)).released(HOLDER, PFN), tmp_path)
    assert culprit.holder is not None
    assert (culprit.holder.tid, culprit.verdict, culprit.holder_verdict) == (21, "proved", "proved")
    (row,) = (row for row in culprit.evidence if row.event == "imb")
    assert "2 references" in row.text


def test_a_pin_is_proved_too(tmp_path: Path) -> None:
    text = began(KprobeText().taken(HOLDER, PFN, flags=0x80000))
    (culprit,) = culprits(failed(compared(text, 2 + 1024)), tmp_path)
    assert culprit.holder is not None
    assert (culprit.holder.tid, culprit.verdict, culprit.cause) == (21, "proved", "pin_short")


def test_of_two_holders_both_are_proved(tmp_path: Path) -> None:
    text = began(KprobeText().taken(HOLDER, PFN).taken(OTHER, PFN, count=2))
    found = culprits(failed(compared(text, 4)).released(HOLDER, PFN).released(OTHER, PFN), tmp_path)
    assert sorted((c.holder.tid, c.verdict) for c in found if c.holder) == [(21, "proved"), (22, "proved")]


@pytest.mark.parametrize("count", [4, 3 + 1024])
def test_a_larger_excess_than_the_ledger_is_no_proof(count: int, tmp_path: Path) -> None:
    assert {c.verdict for c in culprits(failed(compared(taken(), count)), tmp_path)} == {"suggested"}


def test_a_ledger_larger_than_the_excess_is_no_proof(tmp_path: Path) -> None:
    """One of the takes was released where no probe is."""
    text = began(KprobeText().taken(HOLDER, PFN).taken(OTHER, PFN, count=2))
    assert {c.verdict for c in culprits(failed(compared(text, 3)), tmp_path)} == {"suggested"}


@pytest.mark.parametrize(
    "changed",
    [
        {"caller": "migrate_folio+0x12/0x90"},  # another function's call: it holds other references
        {"caller": f"{BLOCK}_other+0x1/0x9"},
        {"caller": "0xffffffff812345a1"},  # a symbol that the reader cannot name
        {"mapping": ANON & ~3},  # of a file: not refused here
        {"mapping": ANON | 3},  # KSM
        {"flags": LRU | SWAP_CACHE},  # has the swap cache's mapping
        {"following": VMEMMAP + PFN * 64 + 1},  # large: the word is not its mapcount
        {"mapcount": 1},  # two mappings explain the count
    ],
)
def test_what_is_no_refusal_proves_nothing(changed: dict[str, int | str], tmp_path: Path) -> None:
    found = culprits(failed(compared(taken(), 3, **changed)), tmp_path)  # type: ignore[arg-type]
    assert {c.verdict for c in found} == {"suggested"}


def test_the_count_without_a_taker_is_a_holder_unknown(tmp_path: Path) -> None:
    """Taken before the trace: another page's take tells where vmemmap begins."""
    text = began(KprobeText().taken(HOLDER, PFN + 900))
    found = culprits(failed(compared(text, 3)), tmp_path)
    assert [c.holder for c in found] == [None]


def test_a_return_address_is_named_by_the_symbols_of_the_trace() -> None:
    zeros = np.zeros(3, np.uint8)
    addresses = np.array([0x1000, 0x1FFF, 0x2000], np.int64)
    at = np.arange(3)
    rows = ProbeRows("imb", Role.ISOLATE_TEST, at, at, at, at, zeros, {Slot.CALLER: addresses})
    names = {0x1000: f"{BLOCK}.isra.0", 0x1FFF: f"{BLOCK}+0xfff", 0x2000: "compaction_alloc"}
    assert len(from_their_callers(rows, names.get)) == 2
    assert len(from_their_callers(rows, lambda _address: None)) == 0


def test_the_kernel_filters_by_the_function_that_calls() -> None:
    kallsyms = ["ffff1000 t before\n", f"ffff2000 t {BLOCK}\n", "ffff3000 t after\n"]
    assert caller_filters(BLOCK, kallsyms) == [
        "caller >= 0xffff2000 && caller < 0xffff3000", f"caller.function == {BLOCK}"
    ]  # fmt: skip
    hidden = [f"0000000000000000{line[8:]}" for line in kallsyms]
    assert caller_filters(BLOCK, hidden) == [f"caller.function == {BLOCK}"]
    assert caller_filters(BLOCK, []) == [f"caller.function == {BLOCK}"]


@pytest.mark.parametrize(("machine", "where"), [("x86_64", "$stack0"), ("aarch64", "%lr")])
def test_the_return_address_is_the_machines(machine: str, where: str) -> None:
    (probe,) = probes_for({"folio_mapping"})
    (line,) = definitions(probe, "g", KNOWN_PAGE, machine)
    assert line.endswith(f" nh=+0x48($arg1):x64 caller={where}:symbol")


def test_a_machine_whose_return_address_is_not_known_gets_no_such_probe() -> None:
    (probe,) = probes_for({"folio_mapping"})
    assert list(definitions(probe, "g", KNOWN_PAGE, "riscv64")) == []

"""Who holds a page, by kprobes: the references they saw taken, against the count that migration was refused with.

Where migration was refused, the count tells how many references others hold (the excess). If the references of the
ledger that were open at that moment add up to it, they are all there is: the page is accounted for. If the ledger has
less, somebody else holds some; if it has more, a release was not seen, and the takers are candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracereplay.culprits import evidence
from tracereplay.culprits.finding import Finding
from tracereplay.culprits.mechanisms import Mechanism, mechanism_of
from tracereplay.culprits.probe_events import ProbeEvent, Refusal
from tracereplay.culprits.suspect import Ref, Suspect
from tracereplay.model.result import Evidence
from tracereplay.replay.state import NO_EXCESS, Mark, Reason, RefKind
from tracereplay.schema import Op
from tracereplay.tasks import is_kernel_task
from tracereplay.units import format_pfn

GUP_PIN_COUNTING_BIAS = 1024
TAKEN_BY_PROBE = (Op.PROBE_GET, Op.PROBE_PIN)
# What a release tells of the way in which the reference was taken: user_page_pipe_buf_ops are vmsplice's.
MECHANISMS = {"page_cache_pipe_buf_release": "vmsplice", "__bio_release_pages": "bio (O_DIRECT)"}


@dataclass(frozen=True, slots=True)
class _Account:
    """The ledger against one count: references that blocked migration, whether they are all of it, and that in words.

    refusal -- the refused migration whose event has the count; None where no count was read.
    """

    refs: Sequence[Ref]
    settled: bool
    note: str
    refusal: Refusal | None = None


def is_probed(suspect: Suspect) -> bool:
    """Whether what is known of its references comes from kprobes."""
    if any(ref.op in TAKEN_BY_PROBE for ref in suspect.refs):
        return True
    return bool(suspect.marks & Mark.COUNT_KNOWN) and not suspect.context.has_page_ref


def excess(suspect: Suspect, refusal: Refusal) -> int:
    """References beyond the expected ones when migration was refused: the folio's mappings and the page cache's own."""
    if suspect.order > 0:
        return refusal.count
    expected = refusal.mapcount + 1 + ("owner_priv_1" in suspect.flags and "swapbacked" in suspect.flags)
    if suspect.marks & Mark.FILE:
        expected += 1 + ("private" in suspect.flags)
    return refusal.count - expected


def _refusals(suspect: Suspect) -> Sequence[Refusal]:
    probes = suspect.context.probes
    if probes is None or suspect.seen_in_wait:
        return ()
    return probes.refusals(suspect.pfn, suspect.draft.start_ns, suspect.last_ns)


def _open_at(suspect: Suspect, start_ns: int, end_ns: int) -> list[Ref]:
    """References that probes saw taken and that were open between these times, oldest first."""
    refs = (
        ref
        for ref in suspect.refs
        if ref.op in TAKEN_BY_PROBE and ref.ns <= end_ns and (ref.close_ns is None or ref.close_ns > start_ns)
    )
    return sorted(refs, key=lambda ref: ref.ns)


def _sum(refs: Sequence[Ref], large: bool) -> int:
    """What they add to _refcount. A large folio counts each pin once; that it is large may not be known."""
    return sum(ref.val // GUP_PIN_COUNTING_BIAS if large and _is_biased(ref) else ref.val for ref in refs)


def _is_biased(ref: Ref) -> bool:
    return ref.op == Op.PROBE_PIN and ref.val % GUP_PIN_COUNTING_BIAS == 0


def _unexplained(refs: Sequence[Ref], over: int) -> int:
    """The excess without what these references explain: 0 = all of it, exactly; negative: they are more."""
    return 0 if over == _sum(refs, large=True) else over - _sum(refs, large=False)


def _accounts(suspect: Suspect) -> list[_Account]:
    """The ledger against each count that was read; where none was, what the ledger has alone."""
    refusals = _refusals(suspect)
    return [_account(suspect, refusal) for refusal in refusals] if refusals else [_uncounted(suspect)]


def _account(suspect: Suspect, refusal: Refusal) -> _Account:
    over = excess(suspect, refusal)
    if over <= 0:
        return _Account((), False, "", refusal)
    refs = _open_at(suspect, refusal.event.time_ns, refusal.event.time_ns)
    sure = [ref for ref in refs if ref.kind != RefKind.UNSURE]
    rest = _unexplained(sure, over)
    if rest == 0:
        # Of a page-cache page it is not known for certain how many references are expected.
        settled = not suspect.marks & Mark.FILE
        note = f"the open references of the ledger are all {over} that the count has beyond the expected ones"
        if not all(_is_open(suspect, ref) for ref in sure):
            return _Account(sure, False, f"{note}; but some may have been put unseen", refusal)
        return _Account(sure, settled, note, refusal)
    if len(sure) < len(refs) and _unexplained(refs, over) == 0:
        note = "an earlier count did not include all of the ledger's references: some may have been replaced"
        return _Account(refs, False, note, refusal)
    if rest < 0:
        note = f"the ledger has {-rest} more than the count: a release was not seen"
        return _Account(sure, False, note, refusal)
    note = f"{rest} of {over} references beyond the expected ones have no taker on record"
    return _Account(sure, False, note, refusal)


def _is_open(suspect: Suspect, ref: Ref) -> bool:
    """Whether its release would have been seen, so that another reference cannot stand in its place in the count.

    A plain reference is put inline by whoever took it for a futex, a guest's memory or a socket; only vmsplice and bios
    end in functions that are probed. Pins do; but a pin that the page had before, and that no probe saw taken,
    may be the one that stayed.
    """
    if ref.op == Op.PROBE_PIN:
        return not 0 < ref.before < NO_EXCESS
    return _ends_probed(suspect, ref)


def _ends_probed(suspect: Suspect, ref: Ref) -> bool:
    """Whether what took this plain reference releases it in a probed function: seen to, or known by the call."""
    stacked = _stacked(suspect, ref)
    return _release(suspect, ref) is not None or (stacked is not None and stacked.name in MECHANISMS.values())


def _uncounted(suspect: Suspect) -> _Account:
    """Its count was not read: CMA and compaction leave held anonymous folios before they try to migrate them."""
    refs = [ref for ref in _open_at(suspect, suspect.first_ns, suspect.last_ns) if ref.kind != RefKind.UNSURE]
    if suspect.reasons & Reason.NAMED:
        return _Account(refs, False, "the only references on record; no probe read the count at the test")
    # Pins end in functions that are probed; a plain reference may have been put inline.
    kept = [ref for ref in refs if ref.op == Op.PROBE_PIN or _ends_probed(suspect, ref)]
    return _Account(kept, False, "held at the test; no probe saw its migration refused")


def holders(suspect: Suspect, op: Op, *, longterm: bool = False) -> list[Finding]:
    """A finding for each user task whose references of this kind (PROBE_GET or PROBE_PIN) were open.

    longterm -- those taken with FOLL_LONGTERM, as the event's flags or the stack tell, else the others.
    """
    if suspect.seen_in_wait:  # a reference makes migration fail, not wait
        return []
    accounts = _accounts(suspect)
    accounts.sort(key=lambda account: (account.settled, not _import_blocker(suspect, account.refs, account)))
    best: dict[int, tuple[_Account, list[Ref]]] = {}  # by task: the surest account, the last of them
    for account in accounts:
        by_task: dict[int, list[Ref]] = {}
        for ref in account.refs:
            by_user = not is_kernel_task(ref.tid, suspect.context.name_of(ref.tid, ref.ns))
            if ref.op == op and by_user and _is_longterm(suspect, ref) == longterm:
                by_task.setdefault(ref.tid, []).append(ref)
        best.update({tid: (account, mine) for tid, mine in by_task.items()})
    suspect.blamed_refs += tuple(ref for _, mine in best.values() for ref in mine)
    return [_finding(suspect, account, mine) for account, mine in best.values()]


def _stacked(suspect: Suspect, ref: Ref) -> Mechanism | None:
    """What the stack of the take says, where stacks were recorded."""
    return mechanism_of(suspect.context.stack_of(ref.ns, ref.cpu, ref.tid))


def _is_longterm(suspect: Suspect, ref: Ref) -> bool:
    mechanism = _stacked(suspect, ref)
    if mechanism is not None and mechanism.longterm:
        return True
    event = None if suspect.context.probes is None else suspect.context.probes.event_at(ref.ns, ref.tid, Op(ref.op))
    return event is not None and event.longterm


def _release(suspect: Suspect, ref: Ref) -> ProbeEvent | None:
    """The event that released it, where one did."""
    if ref.close_ns is None or ref.close_tid is None or suspect.context.probes is None:
        return None
    return suspect.context.probes.event_at(ref.close_ns, ref.close_tid, Op.PROBE_PUT)


def _until(refs: Sequence[Ref], account: _Account) -> int | None:
    """Up to when a release must not have been missed: references whose release was seen, until their count was read.

    None: until the last test.
    """
    if account.refusal is None or any(ref.close_ns is None for ref in refs):
        return None
    return account.refusal.event.time_ns


def _import_blocker(suspect: Suspect, refs: Sequence[Ref], account: _Account) -> bool:
    """Whether losses may have hidden what changes the account."""
    since = min((ref.ns for ref in refs), default=suspect.last_ns)
    return bool(suspect.hiding(since, _kinds(suspect), _until(refs, account)))


def _kinds(suspect: Suspect) -> tuple[str, ...]:
    """The events whose absence says that a reference was still open."""
    return () if suspect.context.probes is None else suspect.context.probes.kinds


def _finding(suspect: Suspect, account: _Account, refs: list[Ref]) -> Finding:
    tid = refs[0].tid
    # Those of the same task that were open at other tests: it held the page by one after the other.
    times = [ref for ref in _open_at(suspect, suspect.first_ns, suspect.last_ns) if ref.tid == tid] or refs
    since = min(ref.ns for ref in (*times, *refs))
    until = [ref.close_ns for ref in (*times, *refs)]
    releases = list(dict.fromkeys(one for ref in refs if (one := _release(suspect, ref)) is not None))
    stacked = {found.name for ref in refs if (found := _stacked(suspect, ref)) is not None}
    mechanisms = stacked or {MECHANISMS[one.function] for one in releases if one.function in MECHANISMS}
    longterm = any(_is_longterm(suspect, ref) for ref in refs)
    pinned = any(ref.op == Op.PROBE_PIN for ref in refs)
    taker = suspect.context.task(tid, refs[0].ns)
    return Finding(
        shown=True,
        since_ns=min(ref.ns for ref in refs),
        until_ns=_until(refs, account),
        accounted=account.settled,
        absent=_kinds(suspect),
        refs=tuple(refs),
        holder=taker,
        holder_shown=True,
        taken_by=taker,
        released_by=suspect.releaser(refs),
        mechanism=mechanisms.pop() if len(mechanisms) == 1 else _by_flags(longterm, pinned),
        candidates=("pin_longterm",) if pinned and not longterm else (),
        held_since_ns=since,
        released_ns=None if None in until else max(ns for ns in until if ns is not None),
        evidence=[
            *evidence.allocated(suspect),
            *_taken(suspect, refs),
            *(_row(one, f"pfn {format_pfn(suspect.pfn)}: {one.function}() released it") for one in releases),
            *_counted(suspect, account.refusal, account.note),
            *_named(suspect),
            *evidence.logged(suspect),
        ],
    )


def _by_flags(longterm: bool, pinned: bool) -> str | None:
    return "FOLL_LONGTERM" if longterm else "FOLL_PIN" if pinned else None


def unknown_holders(suspect: Suspect) -> list[Finding]:
    """Migration was refused for references, none of which a user task was seen to take."""
    refusals = [refusal for refusal in _refusals(suspect) if excess(suspect, refusal) > 0]
    if not refusals:
        return []
    over = excess(suspect, refusals[-1])
    return [
        Finding(
            shown=not suspect.marks & Mark.FILE,  # of a page-cache page it is not certain how many are expected
            since_ns=suspect.draft.start_ns,
            until_ns=refusals[-1].event.time_ns,
            accounted=True,
            absent=_kinds(suspect),
            candidates=("task_reference", "pin_short", "pin_longterm", "lru_batch"),
            released_ns=suspect.clear_ns or suspect.end_ns,
            evidence=[
                *evidence.allocated(suspect),
                *_counted(suspect, refusals[-1], f"none of {over} references beyond the expected ones was seen taken"),
                *evidence.logged(suspect),
            ],
        )
    ]


def _row(event: ProbeEvent, text: str) -> Evidence:
    return Evidence(event=event.name, time_ns=event.time_ns, tid=event.tid, cpu=event.cpu, text=text)


def _taken(suspect: Suspect, refs: Sequence[Ref]) -> list[Evidence]:
    """The events that took them; several references of one event are one row."""
    probes = suspect.context.probes
    rows = []
    for ns, tid, op in dict.fromkeys((ref.ns, ref.tid, ref.op) for ref in refs):
        event = probes.event_at(ns, tid, Op(op)) if probes is not None else None
        if event is None:
            continue
        taken = sum(ref.val for ref in refs if (ref.ns, ref.tid) == (ns, tid))
        row = _row(event, f"pfn {format_pfn(suspect.pfn)}: {event.function}() took {taken}, open at the test")
        row.stack_id = suspect.context.stack_id_of(ns, event.cpu, tid)
        rows.append(row)
    return rows


def _counted(suspect: Suspect, refusal: Refusal | None, note: str) -> list[Evidence]:
    """The refused migration, and whether ledger and count agree."""
    if refusal is None:
        return []
    return [_row(refusal.event, f"pfn {format_pfn(suspect.pfn)}: {refusal.event.text}; {note}")]


def _named(suspect: Suspect) -> list[Evidence]:
    """That the kernel named the page. Of migration the refusal tells, not a page_ref event."""
    return [row for row in evidence.tried(suspect) if row.event == "test_pages_isolated"]

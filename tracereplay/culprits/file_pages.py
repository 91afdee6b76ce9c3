"""Obstacles of page-cache pages: writeback, locks, buffers, folios that cannot be split or migrated."""

from __future__ import annotations

from tracereplay.culprits import evidence
from tracereplay.culprits.finding import Finding
from tracereplay.culprits.secretmem import looks_secret
from tracereplay.culprits.suspect import Suspect
from tracereplay.dev_t import device_number
from tracereplay.model.file_words import named_device, named_file
from tracereplay.model.result import Evidence
from tracereplay.replay.state import Mark, Reason
from tracereplay.units import format_pfn


def _file_name(suspect: Suspect) -> str | None:
    file = suspect.file
    if file is None or file.dev is None or file.ino is None:
        return None
    if suspect.on_block_device:
        return f"file system metadata of {named_device(file.ino, file)}"
    where = f"dev {device_number(file.dev)} ino {file.ino}"
    return named_file(file) or (f"{file.fs} {where}" if file.fs else where)


def _flag_evidence(suspect: Suspect, flag: str) -> Evidence:
    """The flags of its last event: no event has changed them up to the test, or to the middle of the wait."""
    return evidence.state_of(
        f"pfn {format_pfn(suspect.pfn)} flags={'|'.join(sorted(suspect.flags))}: {flag}, no event on it since"
    )


def writeback(suspect: Suspect) -> list[Finding]:
    """PG_writeback at the test or in the middle of the wait; or the folio that folio_wait_writeback named."""
    named = suspect.seen_in_wait and suspect.named
    if suspect.reasons & Reason.LOGGED and "writeback" in suspect.flags:
        return [Finding(shown=False, candidates=("extra_reference",), evidence=evidence.logged(suspect))]
    if not suspect.reasons & Reason.WRITEBACK and not named:
        return []
    # The end of writeback has an event of its own since 5.10 (folio_end_writeback() takes a reference meanwhile): only
    # a later event that still has the flag shows that the page was under writeback all the time.
    still = bool(suspect.reasons & Reason.WRITEBACK) and "writeback" in suspect.post_flags
    sure = named or (suspect.seen_in_wait and still)
    rows = [_flag_evidence(suspect, "under writeback")] if suspect.reasons & Reason.WRITEBACK else []
    if named:
        rows.append(evidence.slept_for_writeback(suspect))
    return [
        Finding(
            shown=sure,
            since_ns=suspect.draft.start_ns,
            holder_name=_file_name(suspect),
            released_ns=suspect.written_ns if suspect.written_ns is not None else suspect.end_ns,
            evidence=[*evidence.allocated(suspect), *rows],
        )
    ]


def locked_folio(suspect: Suspect) -> list[Finding]:
    """Locked and not up to date: a read that has not ended. Nothing names the folio a task sleeps on."""
    if suspect.reasons & Reason.LOCKED:
        return [
            Finding(
                shown=suspect.seen_in_wait and suspect.touched,
                since_ns=suspect.since_alloc_ns,
                doubt=suspect.locked_rivals or suspect.unlocked_in_wait or suspect.locked_after_wait,
                holder_name=_file_name(suspect),
                held_since_ns=suspect.alloc_ns,
                released_ns=suspect.unlock_ns if suspect.unlock_ns is not None else suspect.end_ns,
                evidence=[
                    *evidence.allocated(suspect),
                    _flag_evidence(suspect, "locked, not uptodate"),
                    *evidence.tried(suspect),
                ],
            )
        ]
    # Without page_ref events: a file page of the last batch isolated before a sleep that was not for writeback.
    # No task waits for secret memory: it is never read from a disk.
    if looks_secret(suspect):
        return []
    if (
        not suspect.seen_in_wait
        or suspect.named
        or not suspect.marks & Mark.FILE
        or not suspect.reasons & Reason.VISITED
    ):
        return []
    return [
        Finding(
            shown=False,
            since_ns=suspect.draft.start_ns,
            holder_name=_file_name(suspect),
            candidates=("writeback", "extra_reference"),
            released_ns=suspect.end_ns,
            evidence=evidence.allocated(suspect),
        )
    ]


def unsplittable_folio(suspect: Suspect) -> list[Finding]:
    """A large file folio left in place after a destination of its order could not be had."""
    if suspect.seen_in_wait or suspect.order == 0 or not suspect.marks & Mark.FILE:
        return []
    if not suspect.reasons & (Reason.LEFT | Reason.VISITED) or suspect.draft.errno != "ENOMEM":
        return []
    return [
        Finding(
            shown=False,
            since_ns=suspect.draft.start_ns,
            holder_name=_file_name(suspect),
            candidates=("extra_reference",),
            released_ns=suspect.end_ns,
            evidence=[*evidence.allocated(suspect), *evidence.tried(suspect)],
        )
    ]


def buffer_head(suspect: Suspect) -> list[Finding]:
    """A block device's page, or one with private data, that was tried and stayed without extra references."""
    if suspect.seen_in_wait or not suspect.marks & Mark.FILE:
        return _dumped_buffers(suspect)
    if suspect.draft.inventory:
        return _untried_buffers(suspect)
    counted = bool(suspect.marks & Mark.COUNT_KNOWN)
    if counted:
        # The count is as expected: cache and private data. Locked pages have a better explanation.
        tried = suspect.reasons & Reason.LEFT and suspect.taken_off_lru and suspect.draft.failed_migrations > 0
        private = "private" in suspect.flags
        if not tried or not private or suspect.reasons & (Reason.LOCKED | Reason.WRITEBACK):
            return []
    elif not suspect.on_block_device or not suspect.reasons & (Reason.VISITED | Reason.NAMED):
        return []
    sure = counted and suspect.on_block_device
    return [
        Finding(
            shown=sure,
            since_ns=suspect.since_alloc_ns,
            doubt=counted and (max(suspect.excess, suspect.excess_at_test) > 0 or suspect.held_at_a_probe),
            holder_name=_file_name(suspect),
            candidates=() if sure else ("extra_reference", "no_migration_handler"),
            held_since_ns=suspect.alloc_ns,
            released_ns=suspect.end_ns,
            evidence=[
                *evidence.allocated(suspect),
                *([evidence.counted(suspect)] if counted else []),
                *evidence.tried(suspect),
                *evidence.logged(suspect),
            ],
        )
    ]


def _untried_buffers(suspect: Suspect) -> list[Finding]:
    """A block device's page with buffers, not tried. With its file unknown see `snapshot_predicates.buffer_head`."""
    counted = bool(suspect.marks & Mark.COUNT_KNOWN)
    partly_read = counted and not suspect.flags & {"uptodate", "locked", "writeback"}
    if counted and "private" not in suspect.flags:
        return []
    if not suspect.on_block_device and (suspect.file_known or not partly_read):
        return []
    return [
        Finding(
            shown=False,
            holder_name=_file_name(suspect) or "file system metadata",
            candidates=("no_migration_handler",),
            held_since_ns=suspect.alloc_ns,
            released_ns=suspect.end_ns,
            evidence=[*evidence.allocated(suspect), *([evidence.counted(suspect)] if counted else [])],
        )
    ]


def _dumped_buffers(suspect: Suspect) -> list[Finding]:
    """A dump of a block device's page with buffers, which has no references too many."""
    row = suspect.dump
    if row is None or "def_blk_aops" not in str(row["aops"] or "") or "private" not in (row["flags"] or ()):
        return []
    return [
        Finding(
            shown=False,
            holder_name="file system metadata",
            candidates=("extra_reference",),
            released_ns=suspect.end_ns,
            evidence=evidence.logged(suspect),
        )
    ]


def no_migration_handler(suspect: Suspect) -> list[Finding]:
    """A file page without private data that was tried and stayed, its count as expected: the file system refused."""
    row = suspect.dump
    refused = row is not None and row["reason"] == "migration failure" and bool(row["aops"])
    if not refused or suspect.seen_in_wait or suspect.reasons & (Reason.EXCESS | Reason.LOCKED | Reason.WRITEBACK):
        return []
    assert row is not None
    if "private" in (row["flags"] or ()) or (row["refcount"] or 0) > (row["mapcount"] or 0) + 2:
        return []
    return [
        Finding(
            shown=False,
            since_ns=suspect.draft.start_ns,
            holder_name=str(row["aops"]),
            candidates=("buffer_head", "extra_reference"),
            released_ns=suspect.end_ns,
            evidence=evidence.logged(suspect),
        )
    ]


def nofs_skipped(suspect: Suspect) -> list[Finding]:
    """A file page the kernel named although it never took it up: a caller that may not enter file systems skips it."""
    if (
        suspect.seen_in_wait
        or not suspect.named
        or not suspect.marks & Mark.FILE
        or not suspect.marks & Mark.COUNT_KNOWN
    ):
        return []
    # Since 6.2 it is got before it is passed over (isolate_migratepages_block()).
    passed_over = not suspect.touched or (not suspect.taken_off_lru and bool(suspect.marks & Mark.ON_LRU))
    if not passed_over or suspect.reasons & (Reason.EXCESS | Reason.LOCKED | Reason.WRITEBACK):
        return []
    return [
        Finding(
            shown=False,
            since_ns=suspect.draft.start_ns,
            holder_name=_file_name(suspect),
            candidates=("extra_reference", "buffer_head"),
            released_ns=suspect.end_ns,
            evidence=[*evidence.allocated(suspect), *evidence.tried(suspect)],
        )
    ]

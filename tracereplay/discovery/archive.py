"""A zip archive as INPUT: the trace in it, or the kernel log of an Android bugreport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracereplay.errors import InputError
from tracereplay.parsers.detect import SNIFF_BYTES, Kind, detect_head
from tracereplay.parsers.files.archive import Member, head_of, is_archive, member_path, members, sections_of

TRACES = frozenset(
    {Kind.TRACE_DAT, Kind.PERF_DATA, Kind.PERFETTO, Kind.TRACE_CMD_REPORT, Kind.FTRACE_TEXT, Kind.PERF_SCRIPT}
)
SNIFFED = 2000  # files, the largest first: a bugreport has thousands of some bytes
# Sections of a dumpstate text with a kernel log: of this boot, then of the one before it.
LOG_SECTIONS = ("KERNEL LOG", "LAST KMSG")
MAIN_ENTRY = "main_entry.txt"  # of a bugreport: the name of its dumpstate text
ANDROID_LOGS = ("dumpstate", "bugreport", "console-ramoops", "dmesg", "last_kmsg")


@dataclass(slots=True)
class Opened:
    """Inputs with what was found in archives in their places, the options, and what is to be said of the choice."""

    inputs: tuple[str, ...]
    options: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def opened_archives(inputs: Sequence[str], opening: Mapping[str, Any]) -> Opened:
    """The inputs with the trace in each zip archive in its place; without a trace its kernel log becomes the option.

    opening -- options by name; those with a value win. Raises InputError where an archive is damaged or holds neither.
    """
    opened = Opened((), dict(opening))
    found: list[str] = []
    for name in inputs:
        if is_archive(name):
            found += _taken(name, opened)
        else:
            found.append(name)
    log = opened.options.get("kernel_log")
    if log is not None and is_archive(log):
        opened.options["kernel_log"] = _log_in(str(log), members(log), opened.notes)
        if opened.options["kernel_log"] is None:
            raise InputError("no kernel log was found in the archive", path=log)
    opened.inputs = tuple(found)
    return opened


def _taken(archive: str, opened: Opened) -> list[str]:
    """The trace of an archive; [] where its kernel log was taken instead."""
    listed = members(archive)
    traces = [one for one in listed[:SNIFFED] if _kind(archive, one) in TRACES]
    if traces:
        if len(traces) > 1:
            others = ", ".join(one.name for one in traces[1:4])
            opened.notes.append(
                f"{archive}: took {traces[0].name}, the largest of {len(traces)} traces; "
                f"for another name it: {archive}!NAME ({others})"
            )
        return [member_path(archive, traces[0].name)]
    log = None if opened.options.get("kernel_log") else _log_in(archive, listed, opened.notes)
    if log is None:
        advice = "unpack it, and pass the file in it"
        raise InputError("neither a trace nor a kernel log was found in the archive", path=archive, advice=advice)
    opened.options["kernel_log"] = log
    return []


def _kind(archive: str, member: Member) -> Kind:
    return detect_head(head_of(archive, member.name, SNIFF_BYTES)).kind if member.size_bytes else Kind.UNKNOWN


def _log_in(archive: str, listed: Sequence[Member], notes: list[str]) -> str | None:
    """The kernel log of a bugreport, of this boot if it has that; else the largest file that is one."""
    names = {one.name for one in listed}
    main = head_of(archive, MAIN_ENTRY, 4096).decode("utf-8", "replace").strip() if MAIN_ENTRY in names else ""
    texts = [main] if main in names else [one.name for one in listed if one.name.startswith(ANDROID_LOGS)]
    for text in texts[:4]:
        titles = [title for title in sections_of(archive, text) if title.startswith(LOG_SECTIONS)]
        titles.sort(key=lambda title: not title.startswith(LOG_SECTIONS[0]))
        if titles:
            more = f"; also there: {', '.join(titles[1:3])} ({archive}!{text}#TITLE)" if titles[1:] else ""
            notes.append(f"{archive}: took the section {titles[0]!r} of {text}{more}")
            return member_path(archive, text, titles[0])
    logs = [one for one in listed[:SNIFFED] if _kind(archive, one) is Kind.KERNEL_LOG]
    logs.sort(key=lambda one: not one.name.rpartition("/")[2].startswith(ANDROID_LOGS))
    if not logs:
        return None
    if len(logs) > 1:
        others = ", ".join(one.name for one in logs[1:4])
        notes.append(f"{archive}: took {logs[0].name} of {len(logs)} kernel logs; also there: {others}")
    return member_path(archive, logs[0].name)

"""The event formats that a recording begins with: sections of trace.dat, the TRACING_DATA of perf.data.

Sources: man trace-cmd.dat.v6(5), tools/perf/util/trace-event-info.c.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tracereplay.errors import InputError
from tracereplay.parsers.binary.cursor import RECORD_AGAIN, Cursor

MAGIC = b"\x17\x08\x44tracing"


@dataclass(slots=True)
class FormatTexts:
    """Format texts as copied from tracefs; events -- (system, text) of all systems but ftrace."""

    header_page: str = ""
    ftrace: list[str] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)

    @property
    def by_system(self) -> list[tuple[str, str]]:
        """(system, text) of all events, those of ftrace first."""
        return [("ftrace", text) for text in self.ftrace] + self.events


@dataclass(slots=True)
class TracingData:
    """What TRACING_DATA says of the machine that recorded; kallsyms -- where the symbols lie: (offset, bytes)."""

    big_endian: bool
    long_bytes: int = 8
    page_bytes: int = 0
    formats: FormatTexts = field(default_factory=FormatTexts)
    kallsyms: tuple[int, int] | None = None


def read_header_info(cursor: Cursor, texts: FormatTexts) -> None:
    """header_page and header_event texts."""
    for name in ("header_page", "header_event"):
        if cursor.string(32) != name:
            raise InputError(f"{name} is missing", offset_bytes=cursor.at, advice=RECORD_AGAIN)
        text = cursor.sized_text("Q")
        if name == "header_page":
            texts.header_page = text


def read_ftrace_formats(cursor: Cursor, texts: FormatTexts) -> None:
    """Formats of the ftrace system (kernel_stack, print ...)."""
    for _ in range(cursor.number("I")):
        texts.ftrace.append(cursor.sized_text("Q"))


def read_event_formats(cursor: Cursor, texts: FormatTexts) -> None:
    """Formats of all other systems, each with its system's name."""
    for _ in range(cursor.number("I")):
        system = cursor.string()
        for _ in range(cursor.number("I")):
            texts.events.append((system, cursor.sized_text("Q")))


def read_tracing_data(data: bytes, into: TracingData) -> None:
    """The TRACING_DATA feature: the beginning of a trace.dat (version 0.5, 0.6 or 6), up to the symbols.

    It has a byte order of its own: that of the machine that recorded.
    """
    cursor = Cursor(data)
    if cursor.take(len(MAGIC)) != MAGIC:
        raise InputError("their magic is missing")
    cursor.string(16)  # version
    big, long_bytes = cursor.number("B"), cursor.number("B")
    if big > 1 or long_bytes not in {4, 8}:
        raise InputError(f"they say byte order {big} and long size {long_bytes}")
    cursor.order = ">" if big else "<"
    into.big_endian, into.long_bytes, into.page_bytes = bool(big), long_bytes, cursor.number("I")
    read_header_info(cursor, into.formats)
    read_ftrace_formats(cursor, into.formats)
    read_event_formats(cursor, into.formats)
    size = cursor.number("I")
    into.kallsyms = (cursor.at, size)

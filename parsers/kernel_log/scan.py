"""The lines of a long log that may concern us, with some around each: found by searching whole blocks for literals.

A log of a million lines holds some thousands of ours; to split and match every one would take minutes. What is left out
is counted, so that line numbers stay those of the file.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow._compute import MatchSubstringOptions, call_function  # pyarrow.compute makes 300 functions: 0.05 s

from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.files.packed import read_chunks
from tracereplay.parsers.kernel_log import grammar, machine

Places = npt.NDArray[np.int64]
BLOCK_BYTES = 1 << 20
# No line of a log is longer; a file without line ends must not be taken into memory whole.
LINE_LIMIT_BYTES = 1 << 16
# Stamps are split and messages wrapped: the parts lie before and after the line that is found.
LINES_BEFORE, LINES_AFTER = 2, 4
# Of page dumps, page_owner's records and their stacks.
DUMPS = ("page:", "page dumped", "flags:", "aops", "head:", "allocated via order", "page_owner ", "page_type: ",
         "page last free", "anon", "ksm", "+0x", "PFN ")  # fmt: skip
# Parts of ours that stay whole where a longer literal is cut by a wrapped line.
PARTS = ("cma", "alloc_contig", "req-size", "offlin", "migrat", "repeated", "Memory Block")
# `@` is in every line of some consoles: parts of a list lie after the line that begins it.
LONG_LITERALS = tuple(word for word in grammar.LITERALS if len(word) > 1)
WORDS = tuple(word.encode() for word in dict.fromkeys((*LONG_LITERALS, *machine.LITERALS, *DUMPS, *PARTS)))
# A shorter one that is part of a longer finds the longer too.
LITERALS = tuple(word for word in WORDS if not any(other != word and other in word for other in WORDS))
# A part of a list of free runs, `size@position+size@position`, that a terminal has wrapped.
RUNS = r"\d@\d+\+\d*@?"
# One automaton over all of them: a hundred times as fast as a search for each.
PATTERN = "|".join([*(re.escape(word.decode()) for word in LITERALS), RUNS])
TEXT_BYTES = frozenset({*range(0x20, 0x7F), *range(0x80, 0x100), *b"\t\n\r\x1b\f\b\a\0"})
SNIFFED = 4096


class RawLine(NamedTuple):
    """A line of the file: its number, from 1; hit -- whether it holds one of LITERALS, or is near one that does.

    lines -- how many lines of the file it was: several where a mailer's soft line ends are undone.
    """

    number: int
    text: str
    hit: bool = True
    lines: int = 1


class LogScan:
    """Iterating yields the lines that may matter; `lines` counts all once it ended.

    Errors: InputError when the file cannot be read or is no text. Packed text that ends early ends there, with a loss.
    """

    def __init__(self, path: Path, losses: list[Loss]) -> None:
        self.path, self.losses, self.lines = path, losses, 0

    def __iter__(self) -> Iterator[RawLine]:
        carried, passed, given, wanted_until = b"", 0, 0, 0
        for more in _blocks(_text(self.path, read_chunks(self.path, self.losses))):
            block = carried + more
            starts = _line_starts(block)
            found = _lines_with_literals(block, starts)
            near = np.zeros(len(starts), bool)
            near[: max(wanted_until - passed, 0)] = True
            for step in range(-LINES_BEFORE, LINES_AFTER + 1):
                near[np.clip(found + step, 0, len(starts) - 1)] = True
            hits = set(found.tolist())
            for place in np.flatnonzero(near).tolist():
                if passed + place + 1 > given:
                    given = passed + place + 1
                    yield RawLine(given, _line(block, starts, place), place in hits)
            if len(found):
                wanted_until = passed + int(found[-1]) + 1 + LINES_AFTER
            self.lines = passed + len(starts)
            # The last lines again, with the next block: what is found there may want them.
            kept = min(LINES_BEFORE, len(starts))
            carried, passed = block[starts[-kept] :], self.lines - kept


def _line_starts(block: bytes) -> Places:
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
    starts = np.concatenate([np.zeros(1, np.int64), ends])
    return starts[:-1] if len(starts) > 1 and starts[-1] == len(block) else starts


def _lines_with_literals(block: bytes, starts: Places) -> Places:
    """Places of the lines that hold one of LITERALS, in order."""
    ends = np.append(starts, len(block)).astype(np.int32)
    lines = pa.Array.from_buffers(pa.binary(), len(starts), [None, pa.py_buffer(ends), pa.py_buffer(block)])
    found = call_function("match_substring_regex", [lines], MatchSubstringOptions(PATTERN))
    return np.flatnonzero(found.to_numpy(zero_copy_only=False))


def _line(block: bytes, starts: Places, place: int) -> str:
    end = int(starts[place + 1]) if place + 1 < len(starts) else len(block)
    return (
        block[int(starts[place]) : min(end, int(starts[place]) + LINE_LIMIT_BYTES)]
        .decode("utf-8", "replace")
        .rstrip("\r\n")
    )


def _text(path: Path, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Text as UTF-8 without NUL bytes: persistent RAM pads with them, a redirected shell may write UTF-16."""
    decoder = None
    for number, piece in enumerate(pieces):
        if number == 0:
            if piece.startswith(b"PK\x03\x04"):
                raise InputError("this is a zip archive", path=path, advice="unpack it, and pass the log in it")
            if piece.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                decoder = codecs.getincrementaldecoder("utf-16")("replace")
            elif b"\0" in piece[:SNIFFED] and not TEXT_BYTES.issuperset(piece[:SNIFFED]):
                raise InputError("this is no text file (it holds NUL bytes)", path=path)
        plain = piece if decoder is None else decoder.decode(piece).encode("utf-8", "replace")
        yield plain.replace(b"\0", b"") if b"\0" in plain else plain


def _blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines, in blocks of about BLOCK_BYTES; an overlong line is cut."""
    parts: list[bytes] = []
    held = 0
    for piece in pieces:
        end = piece.rfind(b"\n") + 1
        if end == 0 and held < LINE_LIMIT_BYTES:
            parts.append(piece)
            held += len(piece)
            continue
        parts.append(piece[:end] if end else piece)
        held += len(parts[-1])
        if held >= BLOCK_BYTES or not end:
            yield b"".join(parts)
            parts, held = [], 0
        rest = piece[end:] if end else b""
        parts.append(rest)
        held += len(rest)
    if held:
        yield b"".join(parts)

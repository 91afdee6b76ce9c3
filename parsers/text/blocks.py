"""Text files as they come: plain or packed, any encoding damage, lines of any length. Used by every reader of text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.files.packed import read_chunks, read_views

BLOCK_BYTES = 1 << 21
# No line of a log or trace is longer; a file without line ends must not be taken into memory whole.
LINE_LIMIT_BYTES = 1 << 16
Piece = TypeVar("Piece", bound=bytes | memoryview)


def text_views(path: Path, losses: list[Loss]) -> Iterator[bytes | memoryview]:
    """The text as it comes, cut anywhere, each piece good until the next; see `text_blocks`."""
    return _checked(path, read_views(path, losses))


def _checked(path: Path, pieces: Iterator[Piece]) -> Iterator[Piece]:
    for number, piece in enumerate(pieces):
        if number == 0 and b"\0" in bytes(piece[:4096]):
            raise InputError("this is no text file (it holds NUL bytes)", path=path)
        yield piece


def _blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces of about BLOCK_BYTES."""
    parts: list[bytes] = []
    held = 0
    for piece in pieces:
        parts.append(piece)
        held += len(piece)
        if held >= BLOCK_BYTES:
            whole = b"".join(parts)
            yield from (whole[at : at + BLOCK_BYTES] for at in range(0, held, BLOCK_BYTES))
            parts, held = [], 0
    if held:
        yield b"".join(parts)


def text_blocks(path: Path, losses: list[Loss]) -> Iterator[bytes]:
    """The text in blocks of whole lines (about `BLOCK_BYTES`; an overlong line is cut).

    Packed text (`parsers.files.packed`) that ends early or is damaged ends there, with a `truncated` or
    `corrupt_chunk` loss.
    Errors: InputError when the file cannot be read, or holds NUL bytes at its beginning (it is no text then).
    """
    rest = b""
    for piece in _blocks(_checked(path, read_chunks(path, losses))):
        end = piece.rfind(b"\n") + 1
        if end == 0 and len(rest) < LINE_LIMIT_BYTES:
            rest += piece
        elif end == 0:
            yield rest + piece
            rest = b""
        else:
            yield rest + piece[:end]
            rest = piece[end:]
    if rest:
        yield rest


def text_lines(path: Path, losses: list[Loss]) -> Iterator[str]:
    """The lines of the text without their ends; bytes that are no UTF-8 become replacement characters."""
    for block in text_blocks(path, losses):
        for line in block.decode("utf-8", "replace").split("\n")[: -1 if block.endswith(b"\n") else None]:
            yield line[:LINE_LIMIT_BYTES].rstrip("\r")

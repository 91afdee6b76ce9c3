"""Text files as they come: plain or gzip, any encoding damage, lines of any length. Used by every reader of text."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

from tracereplay.errors import InputError
from tracereplay.losses import Loss

GZIP_MAGIC = b"\x1f\x8b"
BLOCK_BYTES = 1 << 20
# No line of a log or trace is longer; a file without line ends must not be taken into memory whole.
LINE_LIMIT_BYTES = 1 << 16


def _open(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """The file's text as bytes, unpacked. Errors: InputError when it cannot be opened."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP_MAGIC
        return gzip.GzipFile(path, "rb") if packed else path.open("rb")
    except OSError as error:
        raise InputError(f"cannot be opened: {error.strerror or error}", path=path) from error


def _pieces(stream: gzip.GzipFile | io.BufferedReader, path: Path, losses: list[Loss]) -> Iterator[bytes]:
    """The stream in pieces of about BLOCK_BYTES, up to its end or its first damage."""
    parts: list[bytes] = []
    held = 0
    while True:
        try:
            part = stream.read1(BLOCK_BYTES)  # what was unpacked before an error is not lost
        except EOFError:
            losses.append(Loss("truncated", detail="the gzip stream ends early"))
            part = b""
        except (zlib.error, gzip.BadGzipFile) as error:
            losses.append(Loss("corrupt_chunk", detail=f"the gzip stream is damaged: {error}"))
            part = b""
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror or error}", path=path) from error
        parts.append(part)
        held += len(part)
        if held >= BLOCK_BYTES or (held and not part):
            yield b"".join(parts)
            parts, held = [], 0
        if not part:
            return


def text_blocks(path: Path, losses: list[Loss]) -> Iterator[bytes]:
    """The text in blocks of whole lines (about `BLOCK_BYTES`; an overlong line is cut).

    A gzip stream that ends early or is damaged ends the text there, with a `truncated` or `corrupt_chunk` loss.
    Errors: InputError when the file cannot be read, or holds NUL bytes at its beginning (it is no text then).
    """
    with _open(path) as stream:
        rest = b""
        for number, piece in enumerate(_pieces(stream, path, losses)):
            if number == 0 and b"\0" in piece[:4096]:
                raise InputError("this is no text file (it holds NUL bytes)", path=path)
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

"""Files as they come: plain or packed with gzip, zstd or xz, regular files, pipes, standard input (`-`), files in
zip archives (`archive.zip!member`).

Text is unpacked as it is read; what must be mapped (trace.dat, perf.data) is unpacked once into a temporary file that
has no name and is gone with its last user. A file that unpacks to far more than data ever does is refused.
"""

from __future__ import annotations

import atexit
import errno
import io
import lzma
import shutil
import stat
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar, cast

import zstandard

from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.base import TraceInfo
from tracereplay.parsers.files.archive import pieces_of, split_path
from tracereplay.parsers.files.bomb import refuse_bomb

STANDARD_INPUT = "-"
PIECE_BYTES = 1 << 20
VIEW_BYTES = 1 << 18  # stays in a core's cache
# The most zstd makes of one byte is about 32 KiB: what is fed to it at once bounds what comes out at once.
ZSTD_FEED_BYTES = 1 << 10
FEED_BYTES = 1 << 16
# Memory that a file may ask for: `xz -9` needs 65 MiB, `zstd --ultra -22` 128 MiB.
DECODER_MEMORY_BYTES = 1 << 28

Piece = TypeVar("Piece", bound=bytes | memoryview)
MAGICS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz"}


def packing_of(head: bytes) -> str:
    """gzip, zstd or xz by a file's first bytes; "" where it is not packed."""
    return next((name for magic, name in MAGICS.items() if head.startswith(magic)), "")


class DamagedError(Exception):
    """Packed data that cannot be unpacked further; `loss` says how."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss.detail)
        self.loss = loss


class _Decoder:
    """One stream of packed data. waiting -- input not taken yet."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.waiting = stream, b""

    @property
    def ended(self) -> bool:
        """Whether the stream is complete."""
        return bool(self.stream.eof)

    @property
    def unused(self) -> bytes:
        """What was given beyond its end."""
        return bytes(self.stream.unused_data) + self.waiting

    @property
    def hungry(self) -> bool:
        """Whether it makes nothing more without further input."""
        return not self.waiting

    def take(self, data: bytes) -> bytes:
        """Some of what the data so far unpacks to."""
        raise NotImplementedError


class _Gzip(_Decoder):
    def __init__(self) -> None:
        super().__init__(zlib.decompressobj(wbits=31))

    def take(self, data: bytes) -> bytes:
        piece: bytes = self.stream.decompress(self.waiting + data, PIECE_BYTES)
        self.waiting = self.stream.unconsumed_tail
        return piece


class _Xz(_Decoder):
    def __init__(self) -> None:
        super().__init__(lzma.LZMADecompressor(memlimit=DECODER_MEMORY_BYTES))

    @property
    def hungry(self) -> bool:
        return bool(self.stream.needs_input)

    def take(self, data: bytes) -> bytes:
        return bytes(self.stream.decompress(data, PIECE_BYTES))


class _Zstd(_Decoder):
    def __init__(self) -> None:
        super().__init__(zstandard.ZstdDecompressor(max_window_size=DECODER_MEMORY_BYTES).decompressobj())

    def take(self, data: bytes) -> bytes:
        self.waiting += data
        given, self.waiting = self.waiting[:ZSTD_FEED_BYTES], self.waiting[ZSTD_FEED_BYTES:]
        return bytes(self.stream.decompress(given))


DECODERS: dict[str, type[_Gzip] | type[_Xz] | type[_Zstd]] = {"gzip": _Gzip, "zstd": _Zstd, "xz": _Xz}


def unpacked_pieces(file: IO[bytes], packing: str) -> Iterator[bytes]:
    """What a packed file holds, in pieces of at most some MiB; streams one after the other are one.

    Errors: DamagedError where it ends early or cannot be unpacked, after all that could be; InputError for a bomb.
    """
    make = DECODERS[packing]
    decoder: _Decoder = make()
    fed = made = 0
    data = b""
    while True:
        if decoder.ended:
            # Padding of zeros between and after streams is allowed (gzip, xz); zstd has none.
            data = (decoder.unused or file.read(FEED_BYTES)).lstrip(b"\0")
            while not data and (more := file.read(FEED_BYTES)):
                data = more.lstrip(b"\0")
            if not data:
                return
            if len(data) < 6:
                data += file.read(FEED_BYTES)
            if packing_of(data) != packing:
                raise DamagedError(Loss("corrupt_chunk", detail=f"{packing} data is followed by something else"))
            decoder = make()
        elif decoder.hungry:
            data = file.read(FEED_BYTES)
            fed += len(data)
            if not data:
                raise DamagedError(Loss("truncated", detail=f"the {packing} stream ends early"))
        else:
            data = b""
        try:
            piece = decoder.take(data)
        except (zlib.error, lzma.LZMAError, zstandard.ZstdError, MemoryError) as error:
            raise DamagedError(Loss("corrupt_chunk", detail=f"the {packing} stream is damaged: {error}")) from None
        made += len(piece)
        refuse_bomb(made, fed)
        if piece:
            yield piece


def read_chunks(path: Path, losses: list[Loss]) -> Iterator[bytes]:
    """The content of a file, unpacked, in pieces; what is damaged or cut ends it, with a loss.

    Errors: InputError when the file cannot be read.
    """
    return _contents(path, losses, lambda file: iter(partial(file.read, PIECE_BYTES), b""))


def read_views(path: Path, losses: list[Loss]) -> Iterator[bytes | memoryview]:
    """The same for those who are done with a piece before they ask for the next: memory is used again."""
    return _contents(path, losses, _views)


def _views(file: IO[bytes]) -> Iterator[memoryview]:
    view = memoryview(bytearray(VIEW_BYTES))
    while size := cast("io.BufferedReader", file).readinto(view):
        yield view[:size]


def _contents(
    path: Path, losses: list[Loss], pieces_of: Callable[[IO[bytes]], Iterator[Piece]]
) -> Iterator[bytes | Piece]:
    try:
        file = seekable_copy(path).open("rb")
    except OSError as error:
        raise InputError(f"cannot be opened: {error.strerror or error}", path=path) from error
    try:
        with file:
            packing = packing_of(file.read(6))
            file.seek(0)
            if packing:
                yield from unpacked_pieces(file, packing)
                return
            yield from pieces_of(file)
    except DamagedError as error:
        losses.append(error.loss)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from error
    except InputError as error:
        raise error.at_least_path(path) from None


def seekable_copy(path: Path) -> Path:
    """Where the bytes of an input can be read any number of times: standard input and pipes are copied first."""
    if str(path) == STANDARD_INPUT:
        return _spooled(path)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return path if split_path(path) is None else _spooled(path)  # opening it says why
    return path if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else _spooled(path)


@cache
def _spooled(path: Path) -> Path:
    """A copy of what can be read only once; kept until the process ends."""
    try:
        inside = None if path.exists() else split_path(path)
        if inside is not None:
            copy = _copied(pieces_of(*inside), path)
        elif str(path) == STANDARD_INPUT:
            copy = _copied(iter(lambda: sys.stdin.buffer.read(PIECE_BYTES), b""), path)
        else:
            with path.open("rb") as file:
                copy = _copied(iter(lambda: file.read(PIECE_BYTES), b""), path)
    except (OSError, AttributeError) as error:
        raise InputError(f"cannot be read: {error}", path=path) from None
    _KEPT.enter_context(copy)
    return _by_descriptor(copy)


@contextmanager
def mappable(path: Path) -> Iterator[Path]:
    """A plain file with the content of this one: itself, or an unpacked copy.

    The copy is reached for as long as the context lasts, and takes room until the last mapping of it is gone.
    Errors: InputError when the file cannot be read, is damaged, or there is no room for it.
    """
    file = seekable_copy(path)
    try:
        packing = ""
        if not file.is_dir():
            with file.open("rb") as raw:
                packing = packing_of(raw.read(6))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None
    if not packing:
        yield file
        return
    losses: list[Loss] = []
    with _copied(read_chunks(path, losses), path) as copy:
        if losses:
            raise InputError(losses[0].detail, path=path, advice="copy it again, or unpack by hand what is there")
        yield _by_descriptor(copy)


class _HasInfo(Protocol):
    @property
    def info(self) -> TraceInfo: ...


Reader = TypeVar("Reader", bound=_HasInfo)


def open_unpacked(make: Callable[[Path], Reader], path: Path, *, mapped: bool) -> Reader:
    """A reader over the bytes of `path`, wherever they lie, that speaks of `path` all the same.

    mapped -- whether it maps its file, which must be unpacked for it; readers of text unpack as they go.
    Errors: InputError, of the reader or where the bytes cannot be had.
    """
    content = seekable_copy(path)
    try:
        if mapped:
            with mappable(path) as file:
                reader = make(file)
        else:
            reader = make(path)
    except InputError as error:
        raise error.with_path(path) from None
    reader.info.path = path
    reader.info.content = content if content != path else None
    return reader


_KEPT = ExitStack()  # until the process ends: what was copied is reached by its descriptor
atexit.register(_KEPT.close)


def _by_descriptor(file: IO[bytes]) -> Path:
    """A path to an open file that has no name (proc(5), fd)."""
    return Path(f"/proc/self/fd/{file.fileno()}")


def _copied(pieces: Iterator[bytes], path: Path) -> IO[bytes]:
    """Pieces written to a temporary file without a name."""
    room = shutil.disk_usage(tempfile.gettempdir()).free // 10 * 9
    file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
    try:
        for piece in pieces:
            room -= len(piece)
            if room < 0:
                raise OSError(errno.ENOSPC, "it would take nearly all the room that is left")
            file.write(piece)
        file.flush()
    except InputError:
        file.close()
        raise
    except OSError as error:
        file.close()
        raise InputError(
            f"cannot be copied to {tempfile.gettempdir()}: {error.strerror or error}",
            path=path,
            advice="make room there, or set TMPDIR",
        ) from None
    return file

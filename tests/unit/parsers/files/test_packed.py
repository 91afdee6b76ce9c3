"""Packed inputs, pipes, standard input: read as if they were plain files, and bombs refused."""

from __future__ import annotations

import gc
import gzip
import io
import lzma
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

import tracereplay
from tests.support.captures import capture
from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.opening import open_reader
from tracereplay.parsers.detect import Kind, detect
from tracereplay.parsers.files import bomb, packed
from tracereplay.parsers.kernel_log import read_kernel_log
from tracereplay.parsers.trace_dat.reader import TraceDatReader


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def zstd_stream(data: bytes) -> bytes:
    """As `zstd < file` writes it: the frame does not say how long its content is."""
    stream = zstandard.ZstdCompressor().compressobj()
    return stream.compress(data) + stream.flush()


PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "xz": lzma.compress, "zstd": zstd_stream}
FREE = "mm_page_free: page=000000004b0a4420 pfn=0x{:x} order=0"
TEXT = "".join(f"  a-1 [000] ..... {n}.000001: {FREE.format(n)}\n" for n in range(1, 20_000)).encode()


def contents(path: Path) -> tuple[bytes, list[Loss]]:
    losses: list[Loss] = []
    return b"".join(packed.read_chunks(path, losses)), losses


def mapped_bytes(path: Path) -> bytes:
    with packed.mappable(path) as plain:
        return plain.read_bytes()


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "input"
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("packing", ["", *PACK])
def test_content(file: Callable[[bytes], Path], packing: str) -> None:
    path = file(PACK[packing](TEXT) if packing else TEXT)
    assert contents(path) == (TEXT, [])
    assert detect(path).packing == packing
    with packed.mappable(path) as mapped:
        assert mapped.read_bytes() == TEXT
        assert (mapped == path) == (not packing)


@pytest.mark.parametrize("pack", [*PACK.values(), zstd], ids=[*PACK, "zstd with size"])
def test_streams_one_behind_the_other(file: Callable[[bytes], Path], pack: Callable[[bytes], bytes]) -> None:
    assert contents(file(pack(TEXT) + pack(b"tail") + pack(b""))) == (TEXT + b"tail", [])


@pytest.mark.parametrize("packing", ["gzip", "xz"])
def test_padding_behind_the_end(file: Callable[[bytes], Path], packing: str) -> None:
    assert contents(file(PACK[packing](TEXT) + b"\0" * 200_000)) == (TEXT, [])


@pytest.mark.parametrize("packing", PACK)
def test_something_else_behind_the_end(file: Callable[[bytes], Path], packing: str) -> None:
    found, losses = contents(file(PACK[packing](TEXT) + b"garbage"))
    assert found == TEXT
    assert [loss.code for loss in losses] == ["corrupt_chunk"]


@pytest.mark.parametrize("packing", PACK)
def test_cut(file: Callable[[bytes], Path], packing: str) -> None:
    whole = PACK[packing](os.urandom(300_000) + TEXT)
    for part in (len(whole) // 4, len(whole) * 2 // 3, len(whole) - 1):
        path = file(whole[:part])
        found, losses = contents(path)
        assert [loss.code for loss in losses] == ["truncated"]
        assert packing in losses[0].detail
        assert len(found) > 50_000
        with pytest.raises(InputError, match="ends early"):
            mapped_bytes(path)


@pytest.mark.parametrize("packing", PACK)
def test_damaged(file: Callable[[bytes], Path], packing: str) -> None:
    whole = bytearray(PACK[packing](TEXT))
    whole[len(whole) // 2 : len(whole) // 2 + 200] = bytes(200)
    _, losses = contents(file(bytes(whole)))
    assert losses
    assert losses[0].code in {"corrupt_chunk", "truncated"}
    _, losses = contents(file(PACK[packing](TEXT)[:6] + b"\xff" * 4000))
    assert [loss.code for loss in losses] == ["corrupt_chunk"]


@pytest.mark.parametrize("packing", PACK)
def test_bombs(file: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch, packing: str) -> None:
    monkeypatch.setattr(bomb, "FREE_BYTES", 1 << 20)
    path = file(PACK[packing](b"\n" * (64 << 20)))
    for read in (contents, mapped_bytes):
        with pytest.raises(InputError, match="times its size") as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_pieces_are_small(file: Callable[[bytes], Path]) -> None:
    for packing, pack in PACK.items():
        pieces = packed.read_chunks(file(pack(b"\n" * (48 << 20))), [])
        assert max(len(piece) for piece in pieces) <= 36 << 20, packing


def test_no_room(file: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(InputError, match="TMPDIR"):
        mapped_bytes(file(gzip.compress(TEXT)))


@pytest.mark.parametrize("packing", PACK)
def test_packed_traces(file: Callable[[bytes], Path], packing: str) -> None:
    where = capture("offline_unmovable") / "trace.dat"
    path = file(PACK[packing](where.read_bytes()))
    assert detect(path).kind is Kind.TRACE_DAT
    reader, plain = open_reader(path), TraceDatReader(where)
    assert reader.info.path == path
    assert reader.info.by_event == plain.info.by_event
    assert len(list(reader.stream())) == len(list(plain.stream()))
    assert open_reader(file(PACK[packing](TEXT))).info.events == 19_999


def test_nothing_is_left_open(file: Callable[[bytes], Path]) -> None:
    """A corpus of packed traces must not pile up copies."""
    path = file(gzip.compress((capture("offline_unmovable") / "trace.dat").read_bytes()))
    open_reader(path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        open_reader(path)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_packed_log(file: Callable[[bytes], Path]) -> None:
    path = file(zstd(b"[    1.000000] migrating pfn 1f46d failed ret:1\n"))
    assert read_kernel_log(path).tables["migrate_failures"]["pfn"].to_pylist() == [0x1F46D]


@pytest.mark.parametrize("data", [TEXT, gzip.compress(TEXT)])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    packed._spooled.cache_clear()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    session = tracereplay.open("-")
    (described,) = session.inputs
    assert (described.path, described.events) == ("-", 19_999)
    assert session.reader.tables()["mm_page_free"].num_rows == 19_999
    packed._spooled.cache_clear()


def test_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(TEXT,))
    writer.start()
    reader = open_reader(path)
    writer.join()
    assert reader.info.events == 19_999
    assert reader.tables()["mm_page_free"].num_rows == 19_999


def test_errors_name_the_file_given(file: Callable[[bytes], Path]) -> None:
    path = file(gzip.compress(b"\x17\x08\x44tracing6\0\0\x08"))
    with pytest.raises(InputError) as caught:
        open_reader(path)
    assert str(path) in str(caught.value)
    assert "/proc" not in str(caught.value)
    with pytest.raises(InputError, match="cannot be"):
        open_reader(path.with_name("absent"))

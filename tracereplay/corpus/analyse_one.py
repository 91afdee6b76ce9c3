"""What a child process does for one trace: tell its identity, or analyse it.

The analysis is a session's `blame()` and its result tables, nothing else. Inputs that are not local are copied into the
job's folder first.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

import tracereplay
from tracereplay.corpus.metadata import MAX_SIDECAR_BYTES, parse_sidecar
from tracereplay.corpus.tables import found_tables
from tracereplay.discovery.discover import file_system
from tracereplay.discovery.sources import Source
from tracereplay.errors import InputError
from tracereplay.inputs import sha256

PIECE_BYTES = 1 << 20
# The rooms without a say in an analysis. All other code is taken to decide it, so that a new module is never forgotten.
_WITHOUT_SAY = ("cli", "corpus", "discovery", "reports")


class ChangedError(InputError):
    """A file is not what it was when the trace was identified: what was read is not what the key stands for."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a trace is: the key of its analysis, and its metadata."""

    key: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """What came out: rows by table (tables.FOUND), and the columns of `runs` that tell of the analysis.

    tables -- those that have rows, each as an Arrow stream: pickling tables takes ten times as long.
    """

    tables: Mapping[str, bytes]
    facts: Mapping[str, Any]


@cache
def analysis_version() -> str:
    """The program's version and a digest of the code that makes an analysis: other code, other version."""
    home = Path(tracereplay.__file__).parent
    code = hashlib.sha256()
    for path in deciding_files(home):
        code.update(f"{path.relative_to(home)}\n".encode())
        code.update(path.read_bytes())
    return f"{tracereplay.__version__}-{code.hexdigest()[:12]}"


def deciding_files(home: Path) -> list[Path]:
    """The source files of a package whose code decides what an analysis says, in a fixed order."""
    rooms = (place for place in home.iterdir() if place.is_dir() and place.name not in _WITHOUT_SAY)
    # Each room is walked by itself: rglob() does not follow the links that parsers/ is in the source tree.
    return sorted([*home.glob("*.py"), *(path for room in rooms for path in room.rglob("*.py"))])


def identify(source: Source) -> Identity:
    """The key of a trace's analysis, from the content of all it reads. Raises InputError where it cannot be read."""
    metadata, notes = dict(source.metadata), None
    if "sidecar" in source.sides:
        try:
            metadata |= _read_sidecar(source.sides["sidecar"])
        except InputError as error:
            notes = str(error)
    return Identity(_key_of(source.inputs()), metadata, notes)


def _key_of(inputs: Mapping[str, str]) -> str:
    """The key of the analysis of these inputs, by role."""
    key = hashlib.sha256(analysis_version().encode())
    for role, path in sorted(inputs.items()):
        key.update(f"{role} {_content_digest(path)}\n".encode())
    return key.hexdigest()


def analyse(source: Source, key: str, folder: Path, events_url: str | None) -> Analysis:
    """One trace's analysis; folder -- for copies; events_url -- where to keep its events too, as a dataset.

    Raises InputError where the trace or something beside it cannot be read, ChangedError where one of them has changed
    since it was identified. That is looked at when all is read: whatever was written meanwhile shows.
    """
    # The parent of a child never needs these.
    from tracereplay.opening import write_dataset_of  # noqa: PLC0415
    from tracereplay.session import Session  # noqa: PLC0415

    began, cpu_began = time.monotonic(), time.process_time()
    local = {role: _local(path, folder / role) for role, path in source.inputs().items()}
    trace, sides = local["trace"], {role: path for role, path in local.items() if role != "trace"}
    try:
        result = Session([trace], **sides).blame()  # type: ignore[arg-type]  # roles are its options
        if events_url is not None:
            write_dataset_of(trace, folder / "events")
    except InputError as error:
        _refuse_change(source, local, key)
        raise _in_the_words_of(source, local, error) from error
    _refuse_change(source, local, key)
    if events_url is not None:
        _keep_events(folder / "events", f"{events_url}/{key}")
    first = result.inputs[0]
    facts: dict[str, Any] = {
        "format": first.format,
        "kernel_release": first.kernel,
        "boot_id": first.boot_id,
        "capture_level": first.capture_level,
        "events": first.events,
        "start_ns": first.start_ns,
        "end_ns": first.end_ns,
    }
    tables = {name: _packed(table) for name, table in found_tables(key, result).items() if table.num_rows}
    facts |= {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - cpu_began}
    return Analysis(tables, facts)


def _packed(table: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    packed: bytes = out.getvalue().to_pybytes()
    return packed


def _content_digest(url: str) -> str:
    """As inputs.sha256, which it is for local paths: equal content has one key wherever it is."""
    if "://" not in url:
        return sha256(Path(url))
    fs, path = file_system(url)
    try:
        if fs.isdir(path):
            names = sorted(PurePosixPath(name) for name in fs.find(path))
            lines = [f"{_file_digest(fs, str(name))}  {name.relative_to(path)}\n" for name in names]
            return hashlib.sha256("".join(lines).encode("utf-8", "replace")).hexdigest()
        return _file_digest(fs, path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=url) from error


def _file_digest(fs: Any, path: str) -> str:
    found = hashlib.sha256()
    with fs.open(path, "rb") as file:
        while piece := file.read(PIECE_BYTES):
            found.update(piece)
    return found.hexdigest()


def _read_sidecar(url: str) -> dict[str, str]:
    fs, path = file_system(url)
    try:
        with fs.open(path, "rb") as file:
            data: Any = file.read(MAX_SIDECAR_BYTES + 1)
            return parse_sidecar(data, path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=url) from error


def _local(url: str, target: Path) -> Path:
    """The file or folder itself where it is local, else a copy. Raises InputError where it cannot be copied."""
    if "://" not in url:
        return Path(url)
    fs, path = file_system(url)
    try:
        files = fs.find(path) if fs.isdir(path) else [path]
        size, room = sum(int(fs.size(name) or 0) for name in files), shutil.disk_usage(target.parent).free
        if size > room:
            raise InputError(f"has {size:,} bytes, and there is room for {room:,} in {target.parent}", path=url)
        # The name says nothing of the format, but a hand-written layout is known by being a file.
        fs.get(path, str(target), recursive=fs.isdir(path))
    except OSError as error:
        raise InputError(f"cannot be copied: {error.strerror or error}", path=url) from error
    return target


def _refuse_change(source: Source, local: Mapping[str, Path], key: str) -> None:
    """Raises ChangedError where what was read, the files themselves or their copies, does not have this key."""
    try:
        if _key_of({role: str(path) for role, path in local.items()}) == key:
            return
    except InputError:  # it has gone
        pass
    raise ChangedError("changed while the run read it", path=source.path, advice="run again")


def _keep_events(scratch: Path, url: str) -> None:
    fs, path = file_system(url)
    if fs.exists(path):  # of an analysis that was not finished
        fs.rm(path, recursive=True)
    fs.put(str(scratch), path, recursive=True)


def _in_the_words_of(source: Source, local: Mapping[str, Path], error: InputError) -> InputError:
    """The same error, naming the file where it came from instead of its copy."""
    where = str(error.path or source.path)
    for role, path in local.items():
        if where.startswith(str(path)):
            where = source.inputs()[role] + where.removeprefix(str(path))
            break
    return error.with_path(where)

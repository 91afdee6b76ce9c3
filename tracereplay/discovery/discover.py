"""Finds traces in paths, globs and URLs, and what is beside each, by names alone: nothing is opened.

A folder is walked for TRACE_NAMES; a path or a glob is taken whatever its name. Local or not: fsspec lists both.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tracereplay.discovery.local_files import LocalFiles
from tracereplay.discovery.sources import PACKED, ROLES, Entry, Source
from tracereplay.errors import UsageError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

TRACE_NAMES = ("*.dat", "*.data", "*.perf", "*.trace", "*.ftrace", "*.pftrace", "*.perfetto-trace")
# What of an entry tells that the file has changed; each file system has some of these.
_TAGS = ("size", "mtime", "ETag", "etag", "LastModified", "last_modified", "updated", "md5Hash", "crc", "CRC", "ino")
_STORE_FOLDERS = {"runs", "attempts", "culprits"}
_GLOB_SIGNS = frozenset("*?[")

Metadata = Callable[[str], Mapping[str, str]]


def discover(places: Sequence[str], metadata_of_path: Metadata, names: Sequence[str] = TRACE_NAMES) -> Iterator[Source]:
    """Every trace in these places, in a fixed order; a trace named twice comes once.

    Raises UsageError where a place cannot be listed at all or needs a file system that is not installed.
    """
    seen: set[bytes] = set()
    listed = _Listed()
    for place in places:
        for source in _Walk(place, metadata_of_path, names, listed).sources():
            mark = hashlib.blake2b(source.path.encode(errors="surrogateescape"), digest_size=16).digest()
            if mark not in seen:
                seen.add(mark)
                yield source


def file_system(place: str) -> tuple[AbstractFileSystem, str]:
    """The file system of a path or URL, and the path in it. Raises UsageError where there is none for it."""
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415
    except ImportError:
        if "://" in place or "::" in place:
            raise UsageError(f"{place}: a URL needs: pip install 'tracereplay[corpus]'") from None
        return cast("AbstractFileSystem", LocalFiles()), os.path.abspath(place)
    try:
        found: tuple[AbstractFileSystem, str] = url_to_fs(place)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{place}: no file system for this URL: {error}") from None
    return found


def trace_patterns(names: Sequence[str] = TRACE_NAMES) -> list[str]:
    """These patterns, each also packed."""
    return [f"{name}{end}" for name in names for end in PACKED]


def is_trace_folder(names: Mapping[str, Entry]) -> bool:
    """Whether a folder is one trace: a dataset, raw ring buffers, or a directory of `perf record`."""
    perf = "data" in names and any(name.startswith("data.") for name in names)
    return "dataset.json" in names or "per_cpu" in names or perf


@dataclass(slots=True)
class _Listed:
    """The folder listed last, for the next of many places in it: a shell's `*.dat` names thousands."""

    folder: str | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    traces: list[str] = field(default_factory=list)


class _Walk:
    """One place, listed folder by folder."""

    def __init__(self, place: str, metadata_of_path: Metadata, names: Sequence[str], listed: _Listed) -> None:
        self.place = place
        self.listed = listed
        self.metadata_of_path = metadata_of_path
        self.patterns = trace_patterns(names)
        self.fs, self.root = file_system(place)
        self.is_local = "file" in _protocols(self.fs)
        # `zip://a.dat::file://b.zip`: the chain after the first file system is part of every URL
        self.chain = "" if "::" not in place else "::" + place.split("::", 1)[1]

    def sources(self) -> Iterator[Source]:
        try:
            is_glob = bool(_GLOB_SIGNS & set(self.root)) and not self.fs.exists(self.root)
            for path in sorted(map(str, self.fs.glob(self.root))) if is_glob else [self.root]:
                yield from self._place(path)
        except OSError as error:
            raise UsageError(f"{self.place}: cannot be listed: {error.strerror or error}") from error

    def _place(self, path: str) -> Iterator[Source]:
        """A folder's traces, or the trace of this name; one that is not there is a source that cannot be read."""
        if self.fs.isdir(path) and not is_trace_folder(folder := self._list(path)):
            yield from self._folder(folder)
            return
        parent, name = _split(path)
        if self.listed.folder != self._shown(parent):
            entries = self._list(parent) if self.fs.isdir(parent) else {}
            self.listed.folder, self.listed.entries = self._shown(parent), entries
            self.listed.traces = self._traces(entries)
        yield self._source(parent, name, self.listed.entries, self.listed.traces)

    def _folder(self, entries: dict[str, Entry]) -> Iterator[Source]:
        """The traces in these entries of a folder, and in the folders below, however deep."""
        pending = [self._within(entries)]
        while pending:
            found = next(pending[-1], None)
            if found is None:
                pending.pop()
            elif isinstance(found, Source):
                yield found
            else:
                pending.append(self._within(found))

    def _within(self, entries: dict[str, Entry]) -> Iterator[Source | dict[str, Entry]]:
        """The traces in these entries, and the entries of the folders among them, in order of their names."""
        traces = self._traces(entries)
        for name in sorted(entries):
            entry = entries[name]
            parent = _split(str(entry["name"]))[0]
            if name in traces:
                yield self._source(parent, name, entries, traces)
            elif _is_folder(entry) and not name.startswith((".", "layout")) and not name.endswith(".layout"):
                try:
                    inner = self._list(str(entry["name"]))
                except OSError:  # listed as a trace that cannot be read, with the reason
                    yield self._source(parent, name, entries, [name])
                    continue
                if is_trace_folder(inner):
                    yield self._source(parent, name, entries, [name])
                elif not inner.keys() >= _STORE_FOLDERS:  # events kept in a store are no traces
                    yield inner

    def _traces(self, entries: Mapping[str, Entry]) -> list[str]:
        return [
            name
            for name, entry in entries.items()
            if not _is_folder(entry) and any(fnmatchcase(name, pattern) for pattern in self.patterns)
        ]

    def _source(self, parent: str, name: str, entries: Mapping[str, Entry], traces: Sequence[str]) -> Source:
        alone = set(traces) <= {name}
        beside: dict[str, Entry] = {}
        for role, words in ROLES.items():
            found = next((n for n in words.names(name, alone) if n in entries and n != name), None)
            if found is not None:
                beside[role] = entries[found]
        path = self._shown(f"{parent}/{name}" if parent else name)
        trace = entries.get(name, {})
        fingerprint, refused = self._looked_at({"trace": trace, **beside})
        return Source(
            path=path,
            sides={role: self._shown(str(entry["name"])) for role, entry in beside.items()},
            metadata=self.metadata_of_path(path),
            fingerprint=fingerprint,
            size_bytes=int(trace.get("size") or 0),
            refused=refused,
        )

    def _looked_at(self, entries: dict[str, Entry]) -> tuple[str, str]:
        """The fingerprint of these files and folders, and why they are not to be read.

        Reading a FIFO waits for a writer and takes what was meant for another reader; a device may have no end.
        """
        lines: list[str] = []
        refused = ""
        for role, entry in entries.items():
            try:
                files = self._files(entry)
            except OSError as error:  # a link that leads nowhere: the analysis will say so
                files = [{"name": str(error)}]
            lines += [f"{role} {file.get('name')} {[file.get(tag) for tag in _TAGS]}" for file in files]
            odd = next((file for file in files if file.get("type") == "other"), None)
            if odd is not None and not refused:
                refused = f"{odd['name']}: is a FIFO, a socket or a device, no file"
        mark = hashlib.blake2b("\n".join(sorted(lines)).encode(errors="replace"), digest_size=16)
        return mark.hexdigest(), refused

    def _files(self, entry: Entry) -> list[Entry]:
        """The file itself, or those of the folder."""
        if entry.get("islink"):  # its own time says nothing of what it leads to
            entry = self.fs.info(os.path.realpath(entry["name"]))
        if not _is_folder(entry):
            return [entry]
        if self.is_local:
            return list(_below(entry["name"]))
        return list(dict(self.fs.find(entry["name"], detail=True)).values())

    def _list(self, folder: str) -> dict[str, Entry]:
        entries = self.fs.ls(folder, detail=True)
        return {_split(str(entry["name"]))[1]: entry for entry in entries if str(entry["name"]).strip("/") != folder}

    def _shown(self, path: str) -> str:
        return path if self.is_local else f"{self.fs.unstrip_protocol(path)}{self.chain}"


def _below(folder: str) -> Iterator[Entry]:
    """What tells of the files in a local folder, as fsspec would say it, in a tenth of the time."""
    for at, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(at, name)
            found = os.stat(path)
            kind = "file" if stat.S_ISREG(found.st_mode) else "other"
            yield {"name": path, "size": found.st_size, "mtime": found.st_mtime, "type": kind}


def _split(path: str) -> tuple[str, str]:
    parent, _, name = path.rstrip("/").rpartition("/")
    return parent, name


def _is_folder(entry: Entry) -> bool:
    return entry.get("type") == "directory" and not entry.get("islink", False)


def _protocols(fs: AbstractFileSystem) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def absolute(place: str) -> str:
    """A place as a store may keep it: URLs as they are, paths from the root."""
    return place if "://" in place or "::" in place else str(Path(place).absolute())

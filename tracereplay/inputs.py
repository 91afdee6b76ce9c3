"""Inputs described for the result, and the book of losses; knows metadata only, opens nothing but for a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import xxhash

from tracereplay.errors import InputError
from tracereplay.losses import Loss, added_up
from tracereplay.model.result import DataLoss, Input
from tracereplay.units import to_valid_utf8

PAGE_REF_EVENTS = ("page_ref_mod", "page_ref_mod_and_test", "page_ref_mod_unless", "page_ref_set")


class TraceMetadata(Protocol):
    """What is read of a trace's metadata (parsers.base.TraceInfo)."""

    path: Path
    format: str
    kernel: str | None
    boot_id: str | None
    clock: str | None
    clock_unit: str
    origin_ns: int
    by_event: dict[str, int]
    start_ns: int | None
    end_ns: int | None
    has_stacks: bool
    content: Path | None


def sha256(path: Path) -> str:
    """SHA-256 of a file's content; of a directory's, that of its files' names and digests.

    Raises InputError where it cannot be read.
    """
    return _digest(path, hashlib.sha256)


def digest(path: Path) -> str:
    """The same by XXH3, eight times as fast: it tells one input from another, but does not withstand forgery."""
    return f"xxh3-128:{_digest(path, xxhash.xxh3_128)}"


def _digest(path: Path, algorithm: Callable[[bytes], Any]) -> str:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        lines = (f"{_digest(file, algorithm)}  {file.relative_to(path)}\n" for file in files)
        return str(algorithm("".join(lines).encode("utf-8", "replace")).hexdigest())
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: algorithm(b"")).hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error


def size_bytes(path: Path) -> int:
    """Of a file; of a directory, what its files have together."""
    files = (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files)


def capture_level(info: TraceMetadata, has_log: bool) -> int:
    """0: production tracepoints; 1: plus kernel log or stacks; 2: plus page_ref events."""
    if any(info.by_event.get(name) for name in PAGE_REF_EVENTS):
        return 2
    return 1 if has_log or info.has_stacks or info.by_event.get("console") else 0


def describe_trace(info: TraceMetadata, input_id: str, level: int) -> Input:
    """The input's row in the result, without digest."""
    capabilities = {
        "page_ref": any(info.by_event.get(name) for name in PAGE_REF_EVENTS),
        "allocations": "mm_page_alloc" in info.by_event,
        "page cache": "mm_filemap_add_to_page_cache" in info.by_event,
        "isolation tests": "test_pages_isolated" in info.by_event,
        "stacks": info.has_stacks,
        "kernel log": "console" in info.by_event,
    }
    return Input(
        id=input_id,
        path=to_valid_utf8(info.path),
        role="trace",
        format=info.format,
        kernel=info.kernel,
        boot_id=info.boot_id,
        clock=info.clock,
        clock_unit="tick" if info.clock_unit == "tick" else "ns",
        origin_ns=info.origin_ns,
        events=sum(info.by_event.values()),
        start_ns=info.start_ns,
        end_ns=info.end_ns,
        capture_level=level,
        capabilities=[name for name, has in capabilities.items() if has],
    )


@dataclass(slots=True)
class LossRegistry:
    """Every loss of every input, numbered for the result."""

    _rows: dict[tuple[str, Loss], str] = field(default_factory=dict)  # (input id, loss) -> id

    def add(self, input_id: str, losses: Iterable[Loss]) -> None:
        """Enter losses, equal ones with the sum of their counts; what was entered before is not entered again."""
        for loss in added_up(losses):
            self._rows.setdefault((input_id, loss), f"loss-{len(self._rows)}")

    def of(self, input_id: str) -> list[tuple[str, Loss]]:
        """(id, loss) of one input."""
        return [(name, loss) for (owner, loss), name in self._rows.items() if owner == input_id]

    def listed(self) -> list[DataLoss]:
        """As rows of the result, worst first."""
        ordered = sorted(self._rows.items(), key=lambda row: -row[0][1].kind.severity.rank)
        return [
            DataLoss(
                id=name,
                input_id=owner,
                code=loss.code,
                severity=loss.kind.severity.value,
                count=loss.count,
                cpu=loss.cpu,
                start_ns=loss.start_ns,
                end_ns=loss.end_ns,
                advice=loss.kind.advice,
                detail=loss.detail,
            )
            for (owner, loss), name in ordered
        ]

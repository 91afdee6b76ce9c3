"""Where the real captures are: `fixtures/captures` in the tree; more of them beside the checkout, on some machines."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures" / "captures"
SHARED = ROOT.parent / "shared"


def fixture_captures() -> list[Path]:
    """The captures of the tree, sorted by name."""
    return _captures(FIXTURES)


def shared_captures() -> list[Path]:
    """Those beside the checkout that the tree does not have; empty where they are absent."""
    have = {capture.name for capture in fixture_captures()}
    return [capture for capture in _captures(SHARED / "captures") if capture.name not in have]


def capture(name: str) -> Path:
    """A capture by name, from the tree or from beside it; the test is skipped where it is in neither."""
    for folder in (FIXTURES, SHARED / "captures"):
        if (folder / name).is_dir():
            return folder / name
    pytest.skip(f"capture {name} is not in fixtures/ and ../shared/captures is not on this machine")


def trace_of(capture: Path) -> Path:
    """Its binary trace."""
    return next(path for path in (capture / "trace.dat", capture / "perf.data") if path.exists())


@cache
def truth_of(capture: Path) -> dict[str, Any]:
    """What really happened in it. Shared between tests: not to be changed."""
    truth: dict[str, Any] = json.loads((capture / "truth.json").read_text())
    return truth


@cache
def events_of(capture: Path) -> dict[str, int]:
    """Number of events by name, as counted when it was made."""
    events: dict[str, int] = json.loads((capture / "capture_meta.json").read_text())["events"]
    return events


def has_page_ref(capture: Path) -> bool:
    """Whether page_ref events were recorded."""
    return any(event.startswith("page_ref") for event in events_of(capture))


def _captures(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("*/truth.json")) if folder.is_dir() else []

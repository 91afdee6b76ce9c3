"""What tests of Perfetto traces share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tracereplay.parsers.perfetto.reader import PerfettoReader


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def write(data: bytes) -> PerfettoReader:
        path = tmp_path / "trace.pftrace"
        path.unlink(missing_ok=True)  # a new file: the last reader may still map it
        path.write_bytes(data)
        return PerfettoReader(path)

    return write

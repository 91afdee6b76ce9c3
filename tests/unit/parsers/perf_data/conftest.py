"""What tests of perf.data share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tracereplay.parsers.perf_data.reader import PerfDataReader


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def write(data: bytes) -> PerfDataReader:
        path = tmp_path / "perf.data"
        path.write_bytes(data)
        return PerfDataReader(path)

    return write

"""What a kernel log alone says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tracereplay.model.result import Result
from tracereplay.session import Session


@pytest.fixture
def blame(tmp_path: Path) -> Any:
    def read(text: str | bytes, **options: Any) -> Result:
        path = tmp_path / "dmesg.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Session(kernel_log=path, **options).blame()

    return read

"""A golden case: a question to the command line (NAME.toml) and the transcript it must give (NAME.txt beside it).

    command = ["blame", "{capture}/trace.dat", "--layout", "{capture}/layout_before"]
    capture = "cma_pin_vmsplice"   # optional: its folder, in fixtures/captures or ../shared/captures
    columns = 80                   # optional: how wide the terminal is; 100 by default

What changes from run to run or machine to machine (version, check sums, where the tree lies) is made equal.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tracereplay
from tests.support import captures
from tracereplay.cli.main import main

CASES = Path(__file__).parent / "cases"


@dataclass(frozen=True, slots=True)
class Case:
    """One question and where its answer is kept."""

    name: str
    command: list[str]
    capture: str | None = None
    columns: int = 100

    @property
    def expected_path(self) -> Path:
        """The transcript."""
        return CASES / f"{self.name}.txt"

    @property
    def expected(self) -> str:
        """The accepted transcript; empty where there is none yet."""
        return self.expected_path.read_text(encoding="utf-8") if self.expected_path.exists() else ""

    def run(self) -> str:
        """What the command line says now. Skips the test where its capture is not on this machine."""
        folder = ""
        if self.capture is not None:
            folder = os.path.relpath(captures.capture(self.capture), captures.ROOT)
        command = [word.replace("{capture}", folder) for word in self.command]
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        with (
            contextlib.chdir(captures.ROOT),
            _environment(COLUMNS=str(self.columns), NO_COLOR="1"),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            status = main(command)
        text = f"$ tracereplay {' '.join(command)}\n{_written(out)}"
        if written := _written(err):
            text += f"--- stderr\n{written}"
        return normalise(f"{text}--- exit {status}\n", folder)


def cases() -> list[Case]:
    """All cases, found by their files."""
    return [Case(path.stem, **tomllib.loads(path.read_text(encoding="utf-8"))) for path in sorted(CASES.glob("*.toml"))]


def normalise(text: str, capture_folder: str = "") -> str:
    """The text without what differs between runs that say the same."""
    if capture_folder:
        text = text.replace(capture_folder, "CAPTURE")
    text = text.replace(f"{captures.ROOT}/", "").replace(tracereplay.__version__, "VERSION")
    return re.sub(r"\b[0-9a-f]{64}\b", "SHA256", text)


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

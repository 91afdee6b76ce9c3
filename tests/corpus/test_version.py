"""The version of an analysis covers all code that can change what it says: what has none of it is analysed again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import tracereplay
from tests.support.captures import capture
from tracereplay.corpus.analyse_one import deciding_files

HOME = Path(tracereplay.__file__).parent
ANALYSE = """
import sys
from tracereplay.opening import write_dataset_of
from tracereplay.session import Session
write_dataset_of(sys.argv[1], sys.argv[2])
Session([sys.argv[1]]).blame()
Session([sys.argv[2]]).blame()
print(*(name for name in sys.modules if name.partition(".")[0] == "tracereplay"))
"""


def test_everything_an_analysis_loads_is_covered(tmp_path: Path) -> None:
    trace = capture("offline_unmovable") / "trace.dat"
    command = [sys.executable, "-c", ANALYSE, str(trace), str(tmp_path / "events")]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    covered = {_name(path) for path in deciding_files(HOME)}
    assert {"tracereplay.dataset", "tracereplay.inventory", "tracereplay.units"} <= set(loaded) <= covered


def test_a_module_nobody_has_listed_is_covered(tmp_path: Path) -> None:
    for name in ("new.py", "session.py", "room/new.py", "room/inner/new.py", "corpus/run.py", "cli/x/y.py", "notes.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    covered = [str(path.relative_to(tmp_path)) for path in deciding_files(tmp_path)]
    assert covered == ["new.py", "room/inner/new.py", "room/new.py", "session.py"]


def _name(path: Path) -> str:
    parts = path.relative_to(HOME.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

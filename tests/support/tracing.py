"""This machine's own tracefs, for tests that record: they need root, and are skipped where there is none."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.captures import ROOT


def needs_tracing() -> None:
    """Skip without root or tracefs."""
    if os.geteuid() != 0:
        pytest.skip("recording needs root")
    if "tracefs" not in Path("/proc/filesystems").read_text():
        pytest.skip("this kernel has no tracefs")


def needs(*tools: str) -> None:
    """Skip without these programs."""
    lacking = [tool for tool in tools if shutil.which(tool) is None]
    if lacking:
        packages = "shellcheck busybox dash mksh toybox trace-cmd"
        pytest.skip(f"{', '.join(lacking)} not installed (Debian: apt-get install {packages})")


def tracereplay(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line of this tree."""
    return subprocess.run(
        [sys.executable, "-m", "tracereplay", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@contextmanager
def mounted_tracefs(folder: Path) -> Iterator[Path]:
    """tracefs, to look at what recordings leave there."""
    place = folder / "tracefs"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tracefs", "nodev", str(place)], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("tracefs cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _is_in_use(name: str) -> bool:
    """Whether the recording runs that made an instance or mount of this name: then it is of a test run beside this."""
    found = re.search(r"tracereplay[^ ]*?[_.](\d+)_\d+", name)
    return found is not None and Path("/proc", found[1]).exists()


def state_of(tracefs: Path) -> dict[str, str]:
    """What a recording might leave behind: instances, probes, settings of the global buffer."""
    names = ("tracing_on", "buffer_size_kb", "trace_clock", "set_event", "saved_cmdlines_size", "kprobe_events")
    state = {name: (tracefs / name).read_text() for name in names if (tracefs / name).exists()}
    instances = sorted(path.name for path in (tracefs / "instances").iterdir())
    state["instances"] = " ".join(name for name in instances if not _is_in_use(name))
    state["mounts"] = "\n".join(
        line
        for line in Path("/proc/mounts").read_text().splitlines()
        if "/tmp/tracereplay." in line and not _is_in_use(line)
    )
    return state

"""What a kernel and its settings have for recording: this machine's, by trying, or another's, from copies of files.

`sh record.sh --check -o DIR` makes those copies: files of tracefs, debugfs, proc and sysfs, at their paths below DIR.
"""

from __future__ import annotations

import gzip
import os
import re
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tracereplay.capture import wanted
from tracereplay.capture.btf import VMLINUX, page_layout
from tracereplay.capture.definitions import probes_for
from tracereplay.capture.instance import Instance, probed_functions
from tracereplay.capture.pointers import page_pointers
from tracereplay.capture.selftest import SelfTest, self_test
from tracereplay.capture.tracefs import DEBUGFS, PLACES, ROOT, Tracefs, hides_symbols, is_locked_down, mounted
from tracereplay.errors import CaptureError, InputError
from tracereplay.parsers.catalog.probes import RETURN_ADDRESS, PageLayout
from tracereplay.parsers.probes.pointers import struct_pages

MEMORY = "sys/devices/system/memory"
CONFIG_BYTES = 1 << 22


@dataclass(slots=True)
class Kernel:
    """What there is. tried -- on this machine, in an instance that is gone afterwards; else read from copies.

    events -- those of `wanted` that exist; page -- struct page and where that comes from, None where nothing tells;
    config -- CONFIG_ options, empty where the kernel does not tell; no_tracefs -- why there is none.
    """

    release: str
    machine: str
    tried: bool = True
    privileged: bool = True
    locked_down: bool = False
    tracefs: str = ""
    no_tracefs: str = ""
    events: frozenset[str] = frozenset()
    kprobes: bool = False
    probes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    page: tuple[PageLayout, str] | None = None
    self_test: SelfTest | None = None
    cma_debugfs: bool = False
    page_owner: bool = False
    hidden_symbols: bool = False
    memory_blocks: int = 0
    config: Mapping[str, str] = field(default_factory=dict)


def kernel_here() -> Kernel:
    """Of this machine; without root, that alone."""
    uname = os.uname()
    kernel = Kernel(uname.release, uname.machine, privileged=os.geteuid() == 0, locked_down=is_locked_down(ROOT))
    if not kernel.privileged or kernel.locked_down:
        return kernel
    try:
        with mounted() as (tracefs, debug):
            kernel.tracefs = str(tracefs.root)
            _try(tracefs, kernel)
            if debug is not None:
                _look_at_debugfs(debug, kernel)
    except CaptureError as error:
        kernel.no_tracefs = str(error)
    _look_at_files(ROOT, kernel)
    return kernel


def kernel_in(folder: Path) -> Kernel:
    """Of another machine, from copies of its files. Raises InputError where the folder holds none."""
    words = _text(folder / "kernel.txt").split()
    if len(words) < 2:
        raise InputError("it has no kernel.txt", path=folder, advice="copy it by: sh record.sh --check -o DIR")
    kernel = Kernel(words[0], words[1], tried=False, locked_down=is_locked_down(folder))
    place = next((one for one in PLACES if (folder / one.relative_to(ROOT)).is_dir()), None)
    if place is None:
        kernel.no_tracefs = "no tracefs"
    else:
        tracefs = Tracefs(folder / place.relative_to(ROOT))
        kernel.tracefs = str(place)
        kernel.events = frozenset(tracefs.read("available_events").replace(":", "/").split()) & frozenset(_EVENTS)
        kernel.kprobes = tracefs.has("kprobe_events")
        found = probes_for(probed_functions(tracefs, folder / "proc/kallsyms")) if kernel.kprobes else []
        kernel.probes = [one.name for one in found if not one.caller or kernel.machine in RETURN_ADDRESS]
    if (btf := folder / VMLINUX.relative_to(ROOT)).exists():
        kernel.page = page_layout(btf)
    _look_at_debugfs(folder / DEBUGFS.relative_to(ROOT), kernel)
    _look_at_files(folder, kernel)
    return kernel


_EVENTS = (*wanted.ATTEMPTS, *wanted.PAGES, *wanted.CONSOLE, *wanted.REFERENCES)


def _try(tracefs: Tracefs, kernel: Kernel) -> None:
    with Instance(tracefs) as instance, tempfile.TemporaryDirectory() as folder:
        instance.enable(_EVENTS, None)
        kernel.events = frozenset(instance.events)
        tracefs.try_write(f"{instance.place}/events/enable", "0")
        kernel.kprobes = tracefs.has("kprobe_events")
        if not kernel.kprobes:
            return
        kernel.page = page_layout()
        instance.enable_probes(kernel.page[0])
        kernel.probes, kernel.refused = list(instance.probes), list(instance.refused)
        vmemmap = struct_pages(page_pointers(tracefs, f"{instance.name}_watch"))
        base = None if vmemmap is None or vmemmap.size_bytes != kernel.page[0].size else vmemmap.base
        kernel.self_test = self_test(instance, kernel.page[0], Path(folder), base)


def _look_at_debugfs(debug: Path, kernel: Kernel) -> None:
    kernel.cma_debugfs = (debug / "cma").is_dir()
    kernel.page_owner = (debug / "page_owner").exists()


def _look_at_files(root: Path, kernel: Kernel) -> None:
    kernel.memory_blocks = len(list((root / MEMORY).glob("memory[0-9]*")))
    kernel.hidden_symbols = hides_symbols(root)
    kernel.config = _configuration(root, kernel.release)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _configuration(root: Path, release: str) -> Mapping[str, str]:
    """CONFIG_ options, empty where no file tells them."""
    for place in (root / "proc/config.gz", root / f"boot/config-{Path(release).name}"):
        try:
            with gzip.open(place) if place.suffix == ".gz" else place.open("rb") as file:
                text = file.read(CONFIG_BYTES).decode("utf-8", "replace")
        except (OSError, EOFError, zlib.error):
            continue
        return dict(re.findall(r"^(CONFIG_\w+)=(.*)$", text, re.MULTILINE))
    return {}

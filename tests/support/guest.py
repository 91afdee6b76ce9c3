"""A machine under QEMU's software emulation: boots a kernel with busybox, runs a job, gives out a folder."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.captures import SHARED

GUESTS = Path(__file__).parents[1] / "guests"
MODULES = ("virtio_pci", "virtio_blk")  # what the disks need where it is not built in
DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")  # in the section .modinfo
BOOT_SECONDS = 1800
STARTS = 4
# Of a guest that the emulation failed. Code that one virtual CPU patches (static keys, kprobes) is now and then
# executed half-patched by the other; and on a busy machine the timer of a CPU may stop while it boots.
HALF_PATCHED = "Oops: int3"
NO_TIMER, NO_TIMER_TIMES = "timer wakeup didn't happen", 3
# Under emulation on a busy machine the timer check fails now and then.
TIMER = "no_timer_check"
# Memory that can go offline is offline at first: no kernel memory is in it.
OFFLINE = "memhp_default_state=offline"
LAB = {"lab-6.12": "bzImage-6.12.117", "lab-7.2": "bzImage-7.2.13"}
INSTRUCTION_NS = 4  # shift=2
# No waiting where all sleep: the clock goes on at once.
COUNTED = ("-accel", "tcg,thread=single", "-smp", "1", "-icount", "shift=2,sleep=off")
OUT_BYTES = 512 << 20
SLOW_BYTES_PER_SECOND = 2800  # of the second disk: after the first, a read of 8 pages takes 11 s


@dataclass(frozen=True, slots=True)
class Architecture:
    """How QEMU makes a machine: 512 MiB at boot, and 256 MiB that can be made movable and go offline.

    first_block -- number of the first memory block of those 256 MiB; modules -- what they need, if not built in.
    """

    qemu: str
    cc: str
    arguments: tuple[str, ...]
    console: str
    first_block: int
    modules: tuple[str, ...] = ()

    @property
    def tools(self) -> tuple[str, ...]:
        """Programs that its guests need here."""
        return (self.qemu, self.cc, "busybox", "cpio")


X86_64 = Architecture(
    "qemu-system-x86_64",
    "gcc",
    # Without cmpxchg16b: QEMU 7.2 emulates it wrongly, and Debian's 6.12 dies of that in its slab allocator.
    ("-M", "q35", "-cpu", "max,cx16=off", "-device", "pc-dimm,id=dimm1,memdev=mb1"),
    "ttyS0",
    32,
)
# Memory of boot time cannot go offline there, and a DIMM needs ACPI: virtio-mem needs neither.
ARM64 = Architecture(
    "qemu-system-aarch64",
    "aarch64-linux-gnu-gcc",
    ("-M", "virt", "-cpu", "max,pauth-impdef=on", "-device", "virtio-mem-pci,memdev=mb1,requested-size=256M"),
    "ttyAMA0",
    16,
    ("virtio_mem",),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """A kernel and how it is booted; modules -- its lib/modules/RELEASE, None where all it needs is built in.

    busybox -- a static one for the architecture, None = this machine's own;
    counted -- one CPU whose clock counts instructions: what takes time there is alike on a busy machine.
    """

    kernel: Path
    modules: Path | None = None
    append: str = ""
    counted: bool = False
    architecture: Architecture = X86_64
    busybox: Path | None = None

    def run(self, job: str, files: Sequence[Path], out: Path, seconds: int = BOOT_SECONDS) -> str:
        """Run a shell script in the guest, beside these files; what it puts into /out is in `out`. Returns its log.

        A guest that the emulation failed is started again.
        """
        out.mkdir(parents=True, exist_ok=True)
        console = out / "console.log"
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            initrd = self._initrd(place, f"first_block={self.architecture.first_block}\n{job}", files)
            for _ in range(STARTS):
                disk, slow = place / "out.disk", place / "slow.disk"
                for path, size in ((disk, OUT_BYTES), (slow, 1 << 20)):
                    path.unlink(missing_ok=True)
                    path.touch()
                    os.truncate(path, size)
                command = self._command(initrd, disk, slow, console)
                console.write_text("")
                has_stalled = _watched(command, console, seconds)
                if _unpack(disk, out):
                    return (out / "job.log").read_text(errors="replace")
                if not has_stalled and HALF_PATCHED not in console.read_text(errors="replace"):
                    break
        return console.read_text(errors="replace")[-4000:]

    def _command(self, initrd: Path, disk: Path, slow: Path, console: Path) -> list[str]:
        return [
            "nice", self.architecture.qemu, "-no-reboot",
            *(COUNTED if self.counted else ("-accel", "tcg,thread=multi", "-smp", "2")),
            "-m", "512M,slots=4,maxmem=8G",
            "-object", "memory-backend-ram,id=mb1,size=256M", *self.architecture.arguments,
            "-kernel", str(self.kernel), "-initrd", str(initrd),
            "-append", f"console={self.architecture.console} panic=1 {OFFLINE} {self.append}",
            "-drive", f"file={disk},if=virtio,format=raw,cache=unsafe",
            "-drive", f"file={slow},if=virtio,format=raw,throttling.bps-total={SLOW_BYTES_PER_SECOND}",
            "-serial", f"file:{console}", "-monitor", "none", "-display", "none", "-nic", "none",
        ]  # fmt: skip

    def _initrd(self, place: Path, job: str, files: Sequence[Path]) -> Path:
        """busybox, the first process, the modules and the job, as an initramfs."""
        root = place / "root"
        for name in ("bin", "modules", "job"):
            (root / name).mkdir(parents=True)
        shutil.copy2(self.busybox or os.path.realpath(str(shutil.which("busybox"))), root / "bin" / "busybox")
        shutil.copy2(GUESTS / "init.sh", root / "init")
        (root / "init").chmod(0o755)
        for file in files:
            shutil.copy2(file, root / "job")
        (root / "job" / "job.sh").write_text(job)
        loaded = _modules(self.modules, (*MODULES, *self.architecture.modules)) if self.modules else {}
        for name, data in loaded.items():
            (root / "modules" / f"{name}.ko").write_bytes(data)
        (root / "modules" / "list").write_text("".join(f"{name}.ko\n" for name in loaded))
        listed = "\n".join(str(path.relative_to(root)) for path in [root, *sorted(root.rglob("*"))])
        made = subprocess.run(
            ["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=listed.encode(), capture_output=True, check=True
        )
        packed = place / "initrd.gz"
        packed.write_bytes(gzip.compress(made.stdout, 1))
        return packed


def _watched(command: Sequence[str], console: Path, seconds: int) -> bool:
    """Run a guest until it ends, at most so long; True where its timer stopped, then it is ended at once."""
    ends = time.monotonic() + seconds
    null = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=null, stdout=null, stderr=null) as child:
        try:
            while child.poll() is None and time.monotonic() < ends:
                if console.read_text(errors="replace").count(NO_TIMER) >= NO_TIMER_TIMES:
                    return True
                time.sleep(1)
        finally:
            child.kill()
    return False


def _unpack(disk: Path, out: Path) -> bool:
    """Extract the tar that the guest wrote to the disk; False where it wrote none."""
    with contextlib.suppress(tarfile.TarError), tarfile.open(disk, "r:") as made:
        made.extractall(out, filter="data")
    return (out / "job.log").exists()


def _modules(place: Path, names: Sequence[str]) -> dict[str, bytes]:
    """These modules and those that they depend on, in the order to load them."""
    files = {path.name.partition(".ko")[0].replace("-", "_"): path for path in place.rglob("*.ko*")}
    loaded: dict[str, bytes] = {}

    def load(name: str) -> None:
        if name not in files or name in loaded:
            return
        data = files[name].read_bytes()
        data = lzma.decompress(data) if files[name].suffix == ".xz" else data
        found = DEPENDS.search(data)
        for needed in found[1].decode().split(",") if found else ():
            load(needed)
        loaded[name] = data

    for name in names:
        load(name)
    return loaded


@cache
def machines() -> dict[str, Machine]:
    """The kernels at hand, by name."""
    found = {
        name: Machine(SHARED / "lab" / image, append=f"cma=256M page_owner=on {TIMER}")
        for name, image in LAB.items()
        if (SHARED / "lab" / image).exists()
    }
    for folder in filter(None, os.environ.get("TRACEREPLAY_GUEST_KERNELS", "").split(":")):
        for kernel in sorted(Path(folder).glob("boot/vmlinuz-*")):
            name, machine = _debian(Path(folder), kernel)
            found[name] = machine
    return found


def _debian(folder: Path, kernel: Path) -> tuple[str, Machine]:
    """A kernel out of its package; busybox for another architecture than this machine's is beside it."""
    release = kernel.name.removeprefix("vmlinuz-")
    version = re.match(r"\d+\.\d+", release)
    roots = [folder / place / release for place in ("lib/modules", "usr/lib/modules")]
    modules = next((root for root in roots if root.is_dir()), None)
    name = f"debian-{version[0] if version else release}"
    if release.endswith("arm64"):
        return f"{name}-arm64", Machine(kernel, modules, architecture=ARM64, busybox=folder / "bin" / "busybox")
    return name, Machine(kernel, modules, append=TIMER)

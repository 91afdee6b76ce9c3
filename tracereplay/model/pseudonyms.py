"""Names to tokens: one token for a name throughout a document; a word that is not known is taken for a name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import TypeVar

import msgspec

from tracereplay.losses import LOSS_KINDS
from tracereplay.model.allowlist import KERNEL_FUNCTIONS, KERNEL_TASKS, WORDS
from tracereplay.model.result import Allocation, DataLoss, File, Input, Process, Task

_INODE = re.compile(r"\b(ino|inode)([ =:]+)(0x[0-9a-f]+|[0-9]+)")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+")
_WORD = re.compile(rf"{_NUMBER.pattern}|[^\W\d][\w.\-]*")
_KERNEL_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")
_FRAME = re.compile(r"(?P<name>[^\s+\[]+)(?P<offset>\+0x[0-9a-f]+(/0x[0-9a-f]+)?)?(\s*\[(?P<module>[^\]]*)\])?")
_KEPT_AREAS = ("reserved", "linux,cma")  # names the kernel itself gives
_BLOCK = re.compile(r"memory[0-9]+")
_INPUT_ID = re.compile(r"trace-[0-9]+")  # as the document's own inputs are called

NamedT = TypeVar("NamedT", Task, Allocation)


def _container(value: str, path: str) -> str | None:
    """What `value` is to an input found in it: `folder` or `archive`; None where the input is not in it.

    A folder may have been named relative to the directory of that time, so the end of the input's folder decides.
    """
    if value and path.startswith(f"{value}!"):
        return "archive"
    parts = [part for part in PurePosixPath(value).parts if part != "."]
    folders = PurePosixPath(path).parts[:-1]
    ends = len(parts) and folders[-len(parts) :] == tuple(parts)
    return "folder" if ends or value in (".", "./") else None


class Pseudonymizer:
    """The tokens given so far.

    comms -- names of tasks in fields of their own, which free text may repeat; names -- (kind, name) of others.
    """

    def __init__(self, comms: Iterable[str | None], names: Iterable[tuple[str, str | None]] = ()) -> None:
        self.pseudonyms: dict[tuple[str, str], str] = {}
        self.given: Counter[str] = Counter()
        self.paths: dict[str, str] = {}  # tokens of inputs by their paths
        self.secrets = {comm: self.comm(comm) for comm in comms if comm}
        self.secrets |= {name: self.token(kind, name) for kind, name in names if name}
        longest_first = sorted(self.secrets, key=len, reverse=True)
        self.secret = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first)) or '(?!)'})(?!\w)")

    def token(self, kind: str, name: str) -> str:
        """The token of a name of this kind, a new one where it has none yet."""
        if (kind, name) not in self.pseudonyms:
            self.given[kind] += 1
            self.pseudonyms[kind, name] = f"{kind}-{self.given[kind]}"
        return self.pseudonyms[kind, name]

    def input(self, source: Input) -> None:
        """Replace its path, what identifies the machine, and what only one kernel build has."""
        token = self.paths[source.path] = self.token(source.role, source.path)
        source.path = token
        source.digest = source.sha256 = source.boot_id = None
        if source.kernel is not None:
            version = _KERNEL_VERSION.match(source.kernel)
            source.kernel = version[0] if version else None
        source.clock = None if source.clock is None else self.text(source.clock)

    def loss(self, loss: DataLoss) -> None:
        """What the input lacks: details may quote it."""
        loss.advice = LOSS_KINDS[loss.code].advice if loss.code in LOSS_KINDS else self.text(loss.advice)
        loss.detail = self.text(loss.detail)

    def argument(self, argument: str, place: int) -> str:
        """The verb and the names of options stay, inputs are named as in the document; other values do not stay."""
        if place == 0 and argument in WORDS:
            return argument
        if argument.startswith("--"):
            name, equals, value = argument.partition("=")
            return f"{self.text(name[2:], prefix='--')}{equals}{self.value(value) if equals else ''}"
        return argument if re.fullmatch(r"-[a-z]", argument) else self.value(argument)

    def value(self, value: str) -> str:
        """An input by its token, so that the command can still be read; VALUE for anything else.

        A folder or an archive is named by the first of the inputs that were found in it.
        """
        if value in self.paths:
            return self.paths[value]
        within = ((_container(value, path), token) for path, token in self.paths.items())
        return next((f"{kind}-of-{token}" for kind, token in within if kind is not None), "VALUE")

    def task(self, task: NamedT | None) -> NamedT | None:
        """A task, or who allocated a page; its numbers stay."""
        if task is None:
            return None
        comm = None if task.comm is None else self.comm(task.comm)
        return msgspec.structs.replace(task, comm=comm, part_of=self.named("unit", task.part_of))

    def named(self, kind: str, name: str | None) -> str | None:
        """The token of a name that may be unknown."""
        return None if name is None else self.token(kind, name)

    def process(self, process: Process) -> Process:
        """What a snapshot lists of a process; its number stays."""
        return Process(
            pid=process.pid,
            comm=None if process.comm is None else self.comm(process.comm),
            cmdline=self.named("command", process.cmdline),
            cgroup=self.named("cgroup", process.cgroup),
            part_of=self.named("unit", process.part_of),
        )

    def comm(self, comm: str) -> str:
        """The name of a task; the kernel's own keep theirs."""
        return comm if KERNEL_TASKS.fullmatch(comm) else self.token("task", comm)

    def file(self, file: File) -> File:
        """A file: its inode number and its file system stay distinguishable from others."""
        ino = None if file.ino is None else int(self.token("ino", str(file.ino)).removeprefix("ino-"))
        return File(
            dev=file.dev,
            ino=ino,
            index=file.index,
            fs=None if file.fs is None else self.text(file.fs),
            device=self.named("device", file.device),
            mount=self.named("mount", file.mount),
            path=self.named("path", file.path),
            block_dev=file.block_dev,
        )

    def area(self, name: str) -> str:
        """A CMA area, memory block or zone; names that the kernel itself gives stay."""
        if name in _KEPT_AREAS or _BLOCK.fullmatch(name) or self.is_zone(re.sub(r"@0x[0-9a-f]+$", "", name)):
            return name
        return self.token("area", name)

    def is_zone(self, name: str) -> bool:
        """Whether the kernel calls a zone so."""
        return name in ("DMA", "DMA32", "Normal", "HighMem", "Movable", "Device")

    def holder(self, name: str | None) -> str | None:
        """As `model.blame.holder_label` made it: a task's name, or the name of a driver or file."""
        if name is None:
            return None
        return self.secrets.get(name) or self.text(name)

    def frame(self, frame: str) -> str:
        """A frame of a stack: functions of the core kernel stay, a module's do not."""
        found = _FRAME.fullmatch(frame.strip())
        if found is None:
            return self.token("function", frame)
        name, module = found["name"], found["module"]
        known = module is None and (KERNEL_FUNCTIONS.fullmatch(name) or _NUMBER.fullmatch(name))
        shown = name if known else self.token("function", name)
        return shown + (found["offset"] or "") + (f" [{self.token('module', module)}]" if module is not None else "")

    def text(self, text: str, prefix: str = "") -> str:
        """Free text: known names become their tokens, words that are not known become tokens too."""
        pieces = []
        at = 0
        for found in self.secret.finditer(text):
            pieces += [self.words(text[at : found.start()]), self.secrets[found[0]]]
            at = found.end()
        return prefix + "".join([*pieces, self.words(text[at:])])

    def words(self, text: str) -> str:
        """Free text that names no known task."""
        text = _INODE.sub(lambda found: found[1] + found[2] + self.inode(found[3]), text)
        return _WORD.sub(lambda found: self.word(found[0]), text)

    def inode(self, number: str) -> str:
        """The token of an inode number, as a number."""
        return self.token("ino", str(int(number, 16 if number.startswith("0x") else 10))).removeprefix("ino-")

    def word(self, word: str) -> str:
        """One word: kept if this project or every kernel uses it."""
        core = word.rstrip(".-")
        known = core in WORDS or core.lower() in WORDS or _NUMBER.fullmatch(word) or _INPUT_ID.fullmatch(core)
        return word if known else self.token("name", core) + word[len(core) :]

"""The result without what identifies a machine or its owner, for passing on.

Names of tasks, files, areas, inputs and functions outside the core kernel become tokens (`task-1`, `module-2`), the
same name the same token throughout the document. In free text only words that this project or every kernel uses are
kept, so a text that quotes the input in a new way loses words instead of giving them away. Numbers stay (PFNs, times,
counts, tids), inode numbers do not.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from tracereplay.losses import LOSS_KINDS
from tracereplay.model.known_words import KERNEL_FUNCTIONS, KERNEL_TASKS, WORDS
from tracereplay.model.result import Allocation, Attempt, Culprit, File, Input, Result, Task

_INODE = re.compile(r"\b(ino|inode)([ =:]+)(0x[0-9a-f]+|[0-9]+)")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+")
_WORD = re.compile(rf"{_NUMBER.pattern}|[^\W\d][\w.\-]*")
_KERNEL_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")
_FRAME = re.compile(r"(?P<name>[^\s+\[]+)(?P<offset>\+0x[0-9a-f]+(/0x[0-9a-f]+)?)?(\s*\[(?P<module>[^\]]*)\])?")
_KEPT_AREAS = ("reserved", "linux,cma")  # names the kernel itself gives
_BLOCK = re.compile(r"memory[0-9]+")

NamedT = TypeVar("NamedT", Task, Allocation)


def confidential(result: Result) -> Result:
    """A copy with tokens for names; its shape, its numbers and its verdicts are those of `result`."""
    return _Scrubber(result).document()


class _Scrubber:
    def __init__(self, result: Result) -> None:
        self.result = msgspec.convert(msgspec.to_builtins(result), Result)
        self.tokens: dict[tuple[str, str], str] = {}
        self.secrets: dict[str, str] = {}  # names found in fields of their own, which free text may repeat
        for attempt in self.result.attempts:
            for named in (attempt.task, *(n for c in attempt.culprits for n in (c.holder, c.allocated_by))):
                if named is not None and named.comm:
                    self.secrets[named.comm] = self.comm(named.comm)
        names = sorted(self.secrets, key=len, reverse=True)
        self.secret = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names)) or '(?!)'})(?!\w)")

    def document(self) -> Result:
        result = self.result
        for source in result.inputs:
            self.input(source)
        for loss in result.data_loss:
            loss.advice = LOSS_KINDS[loss.code].advice if loss.code in LOSS_KINDS else self.text(loss.advice)
            loss.detail = self.text(loss.detail)
        if result.layout is not None:
            result.layout.source = self.text(result.layout.source)
            for area in result.layout.cma_areas:
                area.name = self.area(area.name)
        for stack in result.stacks:
            stack.frames = [self.frame(frame) for frame in stack.frames]
        for attempt in result.attempts:
            self.attempt(attempt)
        for counter in result.counters:
            counter.scope, counter.name = self.area(counter.scope), self.text(counter.name)
        for blame in result.blame:
            blame.holder = self.holder(blame.holder)
        result.tool.argv = [self.argument(argument, place) for place, argument in enumerate(result.tool.argv)]
        return result

    def token(self, kind: str, name: str) -> str:
        number = sum(1 for known, _ in self.tokens if known == kind) + 1
        return self.tokens.setdefault((kind, name), f"{kind}-{number}")

    def input(self, source: Input) -> None:
        source.path = self.token(source.role, source.path)
        source.sha256 = source.boot_id = None
        if source.kernel is not None:
            version = _KERNEL_VERSION.match(source.kernel)
            source.kernel = version[0] if version else None

    def argument(self, argument: str, place: int) -> str:
        """The verb and the names of options stay; what is given to them does not."""
        if place == 0 and argument in WORDS:
            return argument
        if argument.startswith("--"):
            name, equals, _ = argument.partition("=")
            return f"{self.text(name[2:], prefix='--')}{equals}{'VALUE' if equals else ''}"
        return argument if re.fullmatch(r"-[a-z]", argument) else "VALUE"

    def attempt(self, attempt: Attempt) -> None:
        attempt.area = None if attempt.area is None else self.area(attempt.area)
        attempt.task = self.task(attempt.task)
        attempt.capture_next = [self.text(step) for step in attempt.capture_next]
        for culprit in attempt.culprits:
            self.culprit(culprit)

    def culprit(self, culprit: Culprit) -> None:
        culprit.holder = self.task(culprit.holder)
        culprit.allocated_by = self.task(culprit.allocated_by)
        culprit.holder_name = None if culprit.holder_name is None else self.text(culprit.holder_name)
        culprit.mechanism = None if culprit.mechanism is None else self.text(culprit.mechanism)
        culprit.capture_next = [self.text(step) for step in culprit.capture_next]
        if culprit.file is not None:
            culprit.file = self.file(culprit.file)
        for item in culprit.evidence:
            item.text = self.text(item.text)

    def task(self, task: NamedT | None) -> NamedT | None:
        if task is None or task.comm is None:
            return task
        return msgspec.structs.replace(task, comm=self.comm(task.comm))

    def comm(self, comm: str) -> str:
        return comm if KERNEL_TASKS.fullmatch(comm) else self.token("task", comm)

    def file(self, file: File) -> File:
        ino = None if file.ino is None else int(self.token("ino", str(file.ino)).removeprefix("ino-"))
        return File(dev=file.dev, ino=ino, index=file.index, fs=None if file.fs is None else self.text(file.fs))

    def area(self, name: str) -> str:
        if name in _KEPT_AREAS or _BLOCK.fullmatch(name) or self.is_zone(re.sub(r"@0x[0-9a-f]+$", "", name)):
            return name
        return self.token("area", name)

    def is_zone(self, name: str) -> bool:
        return name in ("DMA", "DMA32", "Normal", "HighMem", "Movable", "Device")

    def holder(self, name: str | None) -> str | None:
        """As `model.blame.holder_label` made it: a task's name, or the name of a driver or file."""
        if name is None:
            return None
        return self.secrets.get(name) or self.text(name)

    def frame(self, frame: str) -> str:
        found = _FRAME.fullmatch(frame.strip())
        if found is None:
            return self.token("function", frame)
        name, module = found["name"], found["module"]
        known = module is None and (KERNEL_FUNCTIONS.fullmatch(name) or _NUMBER.fullmatch(name))
        shown = name if known else self.token("function", name)
        return shown + (found["offset"] or "") + (f" [{self.token('module', module)}]" if module is not None else "")

    def text(self, text: str, prefix: str = "") -> str:
        """Free text: known names become their tokens, words nobody knows become tokens too."""
        pieces = []
        at = 0
        for found in self.secret.finditer(text):
            pieces += [self.words(text[at : found.start()]), self.secrets[found[0]]]
            at = found.end()
        return prefix + "".join([*pieces, self.words(text[at:])])

    def words(self, text: str) -> str:
        text = _INODE.sub(lambda found: found[1] + found[2] + self.inode(found[3]), text)
        return _WORD.sub(lambda found: self.word(found[0]), text)

    def inode(self, number: str) -> str:
        return self.token("ino", str(int(number, 16 if number.startswith("0x") else 10))).removeprefix("ino-")

    def word(self, word: str) -> str:
        core = word.rstrip(".-")
        known = core in WORDS or core.lower() in WORDS or _NUMBER.fullmatch(word)
        return word if known else self.token("name", core) + word[len(core) :]

"""A page_owner dump and the files that belong to it, distinguished by their content.

Since 6.19 a dump may name its stacks by `handle: N`; page_owner_stacks/show_stacks_handles has the frames of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.detect import Kind, detect
from tracereplay.parsers.snapshots.page_owner import Stacks, page_owner_dump, read_stack_handles
from tracereplay.parsers.snapshots.record_dump import Row, Span


@dataclass(frozen=True)
class PageOwnerFiles:
    """One dump, and the files with stacks by handle."""

    dump: Path
    stack_files: tuple[Path, ...] = ()

    @classmethod
    def of(cls, paths: Iterable[str | Path]) -> PageOwnerFiles:
        """Tells which of the files is the dump. Raises InputError where none is, or several are."""
        named = [Path(path) for path in paths]
        dumps = [path for path in named if detect(path).kind is Kind.PAGE_OWNER]
        if len(dumps) != 1:
            what = "is no page_owner dump" if not dumps else f"is a second page_owner dump, beside {dumps[0].name}"
            advice = "pass one copy of /sys/kernel/debug/page_owner, and page_owner_stacks/show_stacks_handles with it"
            raise InputError(what, path=(dumps or named)[-1], advice=advice)
        return cls(dumps[0], tuple(path for path in named if path != dumps[0]))

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them, the dump first."""
        return self.dump, *self.stack_files

    @cached_property
    def _stacks(self) -> tuple[Stacks, list[Loss]]:
        stacks: dict[int, tuple[str, ...]] = {}
        losses: list[Loss] = []
        for path in self.stack_files:
            found, lost = read_stack_handles(path)
            stacks = found | stacks
            losses += lost
        return stacks, losses

    def rows(self, spans: Iterable[Span], losses: list[Loss]) -> Iterator[Row]:
        """Records (schema.PAGE_OWNER_COLUMNS) of the allocations that touch the spans, in the order of the dump.

        What is missing is appended to `losses` at the end. Errors, when read: InputError.
        """
        stacks, lost = self._stacks
        dump = page_owner_dump(self.dump, spans, stacks)
        for table in dump:
            yield from table.to_pylist()
        losses += [*lost, *dump.counts.losses]

"""What causes ask of kprobe events, whoever reads them (parsers.probes.lookup does)."""

from __future__ import annotations

# Protocol members have docstrings for bodies.
# pyright: reportReturnType=false
from collections.abc import Sequence
from typing import Protocol

from tracereplay.schema import Op


class ProbeEvent(Protocol):
    """One event of a probe: its name as recorded, the function probed, and what it says."""

    @property
    def name(self) -> str:
        """Name of the event, as recorded."""

    @property
    def function(self) -> str:
        """The function probed."""

    @property
    def time_ns(self) -> int:
        """When."""

    @property
    def tid(self) -> int:
        """Task."""

    @property
    def cpu(self) -> int:
        """CPU."""

    @property
    def text(self) -> str:
        """What it says, in words."""

    @property
    def longterm(self) -> bool:
        """Whether it took a reference with FOLL_LONGTERM."""


class Refusal(Protocol):
    """A migration that was refused."""

    @property
    def event(self) -> ProbeEvent:
        """The event that read the count."""

    @property
    def count(self) -> int:
        """_refcount without the isolation's own."""

    @property
    def mapcount(self) -> int:
        """Raw _mapcount."""


class ProbeEvents(Protocol):
    """Looks up the recorded events of entries of the page stream."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the events of references: where some were lost, a release may be."""

    def event_at(self, time_ns: int, tid: int, op: Op) -> ProbeEvent | None:
        """The event that became this entry."""

    def refusals(self, pfn: int, start_ns: int, end_ns: int) -> Sequence[Refusal]:
        """The first and the last refused migration of this folio between these times."""

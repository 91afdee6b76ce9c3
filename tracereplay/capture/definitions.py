"""Probe rows of the catalogue -> lines of kprobe_events (Documentation/trace/kprobetrace.rst)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict

from tracereplay.parsers.catalog.probes import PROBES, Fetch, PageLayout, Probe, Slot


def fetches_of(fetches: Sequence[Fetch], page: PageLayout) -> str:
    """NAME=EXPRESSION ..., with the offsets of this kernel's struct page."""
    offsets = {name: f"{value:#x}" for name, value in asdict(page).items()}
    return " ".join(f"{fetch.name}={fetch.expression.format_map(offsets)}" for fetch in fetches)


def alternatives(probe: Probe) -> Iterator[Sequence[Fetch]]:
    """What to fetch, best first: kernels refuse what they lack (arguments at the return; vmemmap_base on arm64)."""
    yield probe.fetches
    without_base = [fetch for fetch in probe.fetches if fetch.slot is not Slot.BASE]
    if len(without_base) < len(probe.fetches):
        yield without_base
    if probe.else_fetches is not None:
        yield probe.else_fetches


def definitions(probe: Probe, group: str, page: PageLayout) -> Iterator[str]:
    """Lines that define the probe, best first."""
    kind = "r" if probe.returns else "p"
    for fetches in alternatives(probe):
        yield f"{kind}:{group}/{probe.name} {probe.function} {fetches_of(fetches, page)}".rstrip()


def probes_for(functions: Collection[str]) -> list[Probe]:
    """The rows that go with these functions, one for each name."""
    found: dict[str, Probe] = {}
    for probe in PROBES:
        wanted = not probe.only_with or probe.only_with in functions
        unwanted = bool(probe.not_with) and probe.not_with in functions
        if probe.function in functions and wanted and not unwanted:
            found.setdefault(probe.name, probe)
    return list(found.values())

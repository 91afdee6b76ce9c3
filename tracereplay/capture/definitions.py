"""Probe rows of the catalogue -> lines of kprobe_events (Documentation/trace/kprobetrace.rst)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict

from tracereplay.parsers.catalog.probes import PROBES, RETURN_ADDRESS, Fetch, PageLayout, Probe, Slot


def fetches_of(fetches: Sequence[Fetch], page: PageLayout, caller: str) -> str:
    """NAME=EXPRESSION ..., with the offsets of this kernel's struct page; caller -- where the return address is."""
    offsets = {name: f"{value:#x}" for name, value in (*asdict(page).items(), ("next_head", page.next_head))}
    return " ".join(f"{fetch.name}={fetch.expression.format_map({**offsets, 'caller': caller})}" for fetch in fetches)


def alternatives(probe: Probe) -> Iterator[Sequence[Fetch]]:
    """What to fetch, best first: kernels refuse what they lack (arguments at the return; vmemmap_base on arm64)."""
    yield probe.fetches
    without_base = [fetch for fetch in probe.fetches if fetch.slot is not Slot.BASE]
    if len(without_base) < len(probe.fetches):
        yield without_base
    if probe.else_fetches is not None:
        yield probe.else_fetches


def definitions(probe: Probe, group: str, page: PageLayout, machine: str = "x86_64") -> Iterator[str]:
    """Lines that define the probe, best first; none where it takes a return address that this machine does not give."""
    kind = "r" if probe.returns else "p"
    caller = RETURN_ADDRESS.get(machine, "")
    for fetches in alternatives(probe) if caller or not probe.caller else ():
        yield f"{kind}:{group}/{probe.name} {probe.function} {fetches_of(fetches, page, caller)}".rstrip()


def caller_filters(function: str, kallsyms: Iterable[str]) -> list[str]:
    """Event filters that keep calls from this function, best first: by address, by name (6.3) if addresses are hidden.

    kallsyms -- its lines, in the order of addresses.
    """
    found: list[str] = []
    low = None
    for line in kallsyms:
        address, _, rest = line.partition(" ")
        if low is not None:
            if int(address, 16) > low > 0:
                found.append(f"caller >= {low:#x} && caller < 0x{address}")
            break
        name = rest.split()[1] if rest.count(" ") else ""
        if name == function or name.startswith((f"{function}.isra.", f"{function}.constprop.")):
            low = int(address, 16)
    return [*found, f"caller.function == {function}"]


def probes_for(functions: Collection[str]) -> list[Probe]:
    """The rows that go with these functions, one for each name."""
    found: dict[str, Probe] = {}
    for probe in PROBES:
        wanted = not probe.only_with or probe.only_with in functions
        unwanted = bool(probe.not_with) and probe.not_with in functions
        if probe.function in functions and wanted and not unwanted:
            found.setdefault(probe.name, probe)
    return list(found.values())

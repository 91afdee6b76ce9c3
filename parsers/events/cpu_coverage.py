"""CPUs that recorded nothing, begin late or stop early: whether they idled or were not recorded, no event tells."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tracereplay.losses import Loss
from tracereplay.units import NS_PER_S

# How long a CPU must be silent at either end of the trace to be noted. Idle CPUs are silent, too: so it must be longer
# than a second and than SILENCE_FACTOR times any other silence of this CPU. Measured over 59 captures of Linux 6.12 and
# 7.2 on two CPUs, 1 to 84 s long: silences of up to 13.8 s in between, and at the end at most 0.7 times the longest of
# those, so that none is noted. Cut off at 60 times each, in 3 % of the cuts (the factor 1: 5 %; a tenth of the trace
# instead of a second: 8 %). A CPU of a short trace is silent for half a second all the time.
# An excerpt shorter than a second cannot be measured so: there an end counts from a tenth of it on.
MIN_SILENCE_NS = NS_PER_S
SILENCE_FACTOR = 2
FRACTION = 10  # of an excerpt shorter than a second, and of a trace whose clock has no known unit
MAX_SILENT_ROWS = 8  # beyond, one row tells of all silent CPUs


@dataclass(frozen=True, slots=True)
class CpuActivity:
    """When a CPU recorded: its first and last event, and the longest time without any between them."""

    first_ns: int
    last_ns: int
    silence_ns: int

    def joined(self, other: CpuActivity) -> CpuActivity:
        """Of two buffers that recorded at once. The longest silence of both is at most the shorter one."""
        silence_ns = min(self.silence_ns, other.silence_ns)
        return CpuActivity(min(self.first_ns, other.first_ns), max(self.last_ns, other.last_ns), silence_ns)


def coverage_losses(
    active: Mapping[int, CpuActivity],
    cpus: Collection[int],
    count: int | None = None,
    *,
    known_losses: Sequence[Loss] = (),
    ticks: bool = False,
) -> list[Loss]:
    """Losses `cpu_silent`, `cpu_starts_late` and `cpu_ends_early`.

    active -- the CPUs with events; cpus -- those known to have been recorded; count -- how many there were, where only
    that is known. known_losses -- losses that are known: an end of a CPU that one of them covers is not noted again.
    """
    if not active:
        return []
    start_ns = min(cpu.first_ns for cpu in active.values())
    end_ns = max(cpu.last_ns for cpu in active.values())
    tenth_ns = (end_ns - start_ns) // FRACTION
    least_ns = tenth_ns if ticks else MIN_SILENCE_NS
    short = end_ns - start_ns < MIN_SILENCE_NS
    losses = _silent(active.keys(), cpus, count, start_ns, end_ns)
    for number, cpu in sorted(active.items()):
        before_ns, after_ns = cpu.first_ns - start_ns, end_ns - cpu.last_ns
        least_after_ns = tenth_ns if short else least_ns
        if before_ns <= least_ns and after_ns <= least_after_ns:
            continue
        mine = [loss for loss in known_losses if loss.cpu in (number, None) and loss.kind.hides_events]
        begin_known, end_known = (any(getattr(loss, end) is None for loss in mine) for end in ("start_ns", "end_ns"))
        if not begin_known and _stands_out(before_ns, max(cpu.silence_ns, after_ns), least_ns):
            losses.append(Loss("cpu_starts_late", None, number, start_ns, cpu.first_ns))
        measured = not short or cpu.silence_ns > 0  # one event alone shows no pace
        if not end_known and measured and _stands_out(after_ns, max(cpu.silence_ns, before_ns), least_after_ns):
            losses.append(Loss("cpu_ends_early", None, number, cpu.last_ns, end_ns))
    return losses


def _stands_out(silence_ns: int, other_ns: int, least_ns: int) -> bool:
    return silence_ns > least_ns and silence_ns > SILENCE_FACTOR * other_ns


def _silent(
    active: Collection[int], cpus: Collection[int], count: int | None, start_ns: int, end_ns: int
) -> list[Loss]:
    """The CPUs without events. Where only their number is known and ids have gaps, one row without a CPU."""
    silent = sorted(set(cpus) - set(active))
    missing = (count or 0) - len(active) - len(silent)
    if missing > 0:
        ids = sorted(set(range(max(count or 0, *active))) - set(active) - set(silent))
        if len(ids) != missing:
            return [Loss("cpu_silent", len(silent) + missing, None, start_ns, end_ns)]
        silent = sorted([*silent, *ids])
    if len(silent) > MAX_SILENT_ROWS:
        return [Loss("cpu_silent", len(silent), None, start_ns, end_ns, f"CPUs {_ranges(silent)}")]
    return [Loss("cpu_silent", None, cpu, start_ns, end_ns) for cpu in silent]


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as the kernel lists CPUs: 0-3,6."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{low}-{high}" if low < high else str(low) for low, high in runs)

"""What changes along a trend: an ordinal association of having a thing with the order of groups (Somers' D)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tracereplay.corpus.significance import SIGNIFICANT, corrected
from tracereplay.model.corpus import Group, Series

MIN_TRACES = 5  # with a thing: fewer show no trend
MAX_SERIES = 200


def series_of(counts: Mapping[tuple[Any, ...], Sequence[int]], groups: Sequence[Group]) -> list[Series]:
    """A series for each (subject, cause, holder) met often enough; counts -- traces with it, by group."""
    from scipy import stats  # noqa: PLC0415  (one second, which a report without a trend need not pay)

    number = [group.traces for group in groups]
    often = [key for key, n in counts.items() if sum(n) >= MIN_TRACES]
    often.sort(key=lambda key: (-sum(counts[key]), *map(str, key)))
    found: list[Series] = []
    for subject, cause, holder in often[:MAX_SERIES]:
        with_it = list(counts[subject, cause, holder])
        one = Series(subject=subject, cause=cause, holder=holder, traces=with_it)
        found.append(one)
        table = [
            [n - k for n, k in zip(number, with_it, strict=True) if n],
            [k for k, n in zip(with_it, number, strict=True) if n],
        ]
        if len(table[0]) > 1 and any(table[0]):
            test = stats.somersd(table)
            one.association, one.p_value = float(test.statistic), float(test.pvalue)
    tested = [(one, p) for one in found if (p := one.p_value) is not None and not math.isnan(p)]
    for (one, _), q_value in zip(tested, corrected([p for _, p in tested]), strict=True):
        one.q_value = q_value
        if q_value < SIGNIFICANT:
            place = _turn(one.traces, number)
            one.since = groups[place].value
            one.share_before = sum(one.traces[:place]) / sum(number[:place])
            one.share_since = sum(one.traces[place:]) / sum(number[place:])
    return sorted(found, key=lambda one: (1.0 if one.q_value is None else one.q_value, -abs(one.association or 0)))


def _turn(with_it: Sequence[int], number: Sequence[int]) -> int:
    """The place that splits the groups best in two: the highest likelihood of one share before and another since."""
    places = [p for p in range(1, len(number)) if sum(number[:p]) and sum(number[p:])]
    return max(
        places, key=lambda p: _log_likelihood(with_it[:p], number[:p]) + _log_likelihood(with_it[p:], number[p:])
    )


def _log_likelihood(with_it: Sequence[int], number: Sequence[int]) -> float:
    """Of a binomial with the share these groups have together."""
    k, n = sum(with_it), sum(number)
    return sum(m * math.log(m / n) for m in (k, n - k) if m)

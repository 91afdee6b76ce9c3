"""Runs of page frames: (start_pfn, pages)."""

from __future__ import annotations

from collections.abc import Iterable

from tracereplay.model.result import Culprit


def join_runs(runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """In order, neighbours and overlaps joined."""
    joined: list[tuple[int, int]] = []
    for start, pages in sorted(set(runs)):
        if joined and start <= sum(joined[-1]):
            first = joined[-1][0]
            joined[-1] = (first, max(sum(joined[-1]), start + pages) - first)
        else:
            joined.append((start, pages))
    return joined


def runs_of(culprits: Iterable[Culprit]) -> list[tuple[int, int]]:
    """The run of each culprit whose page frames are known."""
    return [(c.start_pfn, c.pages) for c in culprits if c.start_pfn is not None]


def distinct_pages(culprits: Iterable[Culprit]) -> int:
    """Pages of all, each counted once; those whose page frames are not known are taken for different ones."""
    culprits = list(culprits)
    known = sum(pages for _, pages in join_runs(runs_of(culprits)))
    return known + sum(c.pages for c in culprits if c.start_pfn is None)

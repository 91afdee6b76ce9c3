"""Runs of page frames as plain numbers: [start, end)."""

from __future__ import annotations

from collections.abc import Iterable

Spans = tuple[tuple[int, int], ...]


def without(spans: Iterable[tuple[int, int]], taken: Iterable[tuple[int, int]]) -> Spans:
    """The parts of the spans that lie in none of `taken`."""
    left = list(spans)
    for low, high in taken:
        parts = (part for start, end in left for part in ((start, min(end, low)), (max(start, high), end)))
        left = [(start, end) for start, end in parts if start < end]
    return tuple(left)


def merge_spans(spans: Iterable[tuple[int, int]]) -> Spans:
    """Union of [start, end) spans, in order."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def overlap(spans: Spans, others: Spans) -> Spans:
    """The parts of the spans that lie in one of the others, which do not overlap."""
    return merge_spans(part for low, high in others for part in within(spans, low, high))


def within(spans: Spans, start_pfn: int, end_pfn: int) -> Spans:
    """The parts of the spans that lie in [start_pfn, end_pfn)."""
    parts = ((max(low, start_pfn), min(high, end_pfn)) for low, high in spans)
    return tuple((low, high) for low, high in parts if low < high)

"""Work on another core: unpacking, digests and compiled loops run without the GIL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def prefetch(items: Iterator[T]) -> Iterator[T]:
    """The same items; while one is used the next is made in a thread. Errors come out where they would have."""
    end = object()
    with ThreadPoolExecutor(1, "prefetch") as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item  # type: ignore[misc]  # not `end`


@contextmanager
def in_background(make: Callable[[], T]) -> Iterator[Callable[[], T]]:
    """`make` runs in a thread while the body does; the body calls for its result, or its error, when it needs it."""
    with ThreadPoolExecutor(1, "background") as pool:
        yield pool.submit(make).result

"""Working on another core changes neither what is made nor where errors come out."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tracereplay.concurrency import in_background, prefetch


def test_the_items_are_the_same() -> None:
    assert list(prefetch(iter(range(5)))) == [0, 1, 2, 3, 4]
    assert list(prefetch(iter([]))) == []
    assert list(prefetch(iter([None, False]))) == [None, False]


def test_an_error_comes_out_behind_the_items_before_it() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("damaged")

    items = prefetch(broken())
    assert next(items) == 1
    with pytest.raises(ValueError, match="damaged"):
        next(items)


def test_it_works_in_another_thread_and_leaves_none_behind() -> None:
    def where() -> Iterator[str]:
        while True:
            yield threading.current_thread().name

    items = prefetch(where())
    assert next(items) != threading.current_thread().name
    items.close()  # type: ignore[attr-defined]  # a generator
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def test_meanwhile_the_body_runs() -> None:
    go_on = threading.Event()

    def make() -> str:
        assert go_on.wait(10)
        return threading.current_thread().name

    with in_background(make) as made:
        go_on.set()  # would never be reached, did the body wait for it
        assert made() != threading.current_thread().name


def test_what_went_wrong_meanwhile_is_told_where_it_is_needed() -> None:
    def broken() -> int:
        raise ValueError("damaged")

    with in_background(broken) as made, pytest.raises(ValueError, match="damaged"):
        made()

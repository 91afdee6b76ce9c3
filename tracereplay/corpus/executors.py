"""Where pieces of work run: one seam, concurrent.futures.Executor.

Each thread of the local executor drives a child process. An engine for more machines is one more function here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tracereplay.corpus.batches import close_sandboxes, stop_sandboxes
from tracereplay.errors import UsageError

RETRIES = 3  # of a piece whose worker died
CONNECT_S = 15


@dataclass(frozen=True, slots=True)
class Workers:
    """An executor, and how many pieces it can work on at once; with machines that join and leave, that changes."""

    executor: Executor
    width: Callable[[], int]


@contextmanager
def local_workers(jobs: int) -> Iterator[Workers]:
    """`jobs` traces at once on this machine. What still runs at the end is stopped."""
    executor = ThreadPoolExecutor(jobs, "corpus")
    try:
        yield Workers(executor, lambda: jobs)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        stop_sandboxes()
        executor.shutdown(wait=True)
        close_sandboxes()


@contextmanager
def dask_workers(address: str) -> Iterator[Workers]:
    """The workers of a dask.distributed scheduler. Raises UsageError without dask, or where no scheduler answers."""
    try:
        from distributed import Client  # noqa: PLC0415
    except ImportError:
        raise UsageError("dask.distributed is not installed: pip install 'tracereplay[dask]'") from None
    try:
        client: Any = Client(address, timeout=CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(f"no dask scheduler at {address}: {error}") from error
    with client:
        yield Workers(
            client.get_executor(pure=False, retries=RETRIES),
            lambda: max(sum(client.nthreads().values()), 1),
        )

"""A child process of `guard.Sandbox`: does one request after the other, and ends with its parent.

    python -m tracereplay.corpus.sandbox_child FD

A request is (name of a function in REQUESTS, its arguments); the answer (status, result or reason).
"""

from __future__ import annotations

import gc
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from tracereplay.corpus.analyse_one import ChangedError, analyse, identify
from tracereplay.corpus.tables import ANALYSED, CHANGED
from tracereplay.errors import TraceReplayError, no_room

if TYPE_CHECKING:
    from tracereplay.corpus.analysed import Job


def page(job: Job) -> str:
    """`pages.page_of`, whose modules no other request needs."""
    from tracereplay.corpus.pages import page_of  # noqa: PLC0415

    return page_of(job)


REQUESTS: Mapping[str, Callable[..., Any]] = {"identify": identify, "analyse": analyse, "page": page}


def main(fd: int) -> None:
    """Serve until the parent closes its end."""
    connection = Connection(fd)
    requests: queue.SimpleQueue[tuple[str, tuple[Any, ...]]] = queue.SimpleQueue()

    # Read in a thread of its own: the end of the parent ends this process, also in the middle of a request.
    def listen() -> None:
        try:
            while True:
                requests.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    gc.freeze()
    while True:
        connection.send(_answer(*requests.get()))


def _answer(name: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    try:
        return ANALYSED, REQUESTS[name](*arguments)
    except MemoryError:
        return "out_of_memory", "the system refused more memory"
    except ChangedError as error:
        return CHANGED, " ".join(str(error).split())
    except Exception as error:
        if (full := no_room(error)) is not None:  # of this machine, not of the trace: worth another try
            return "crashed", f"a file of its analysis cannot be written: {full}"
        if isinstance(error, TraceReplayError):
            return "unreadable", " ".join(str(error).split())
        return "crashed", f"a bug in tracereplay ({type(error).__name__}: {' '.join(str(error).split())})"


if __name__ == "__main__":
    main(int(sys.argv[1]))

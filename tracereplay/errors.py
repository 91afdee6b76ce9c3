"""The one family of errors a user sees: what, where, what to do. Raised anywhere, printed once, in `cli.main`."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

# The disk is full, or this user's or process' share of it.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean X or Y?`: the known name most like the word, and those it begins; "" where none is like it."""
    import difflib  # noqa: PLC0415 (for errors alone)

    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1)
    begun = sorted(name for name in by_lower if len(word) > 2 and name.startswith(word.lower()))
    names = [by_lower[name] for name in dict.fromkeys([*near, *begun])][:3]
    return f"; did you mean {' or '.join(names)}?" if names else ""


class TraceReplayError(Exception):
    """Something the user can act on; `exit_code` is the process's exit status."""

    exit_code = 2


class UsageError(TraceReplayError):
    """The request is not possible with these options."""


class InputError(TraceReplayError):
    """An input cannot be read.

    what -- what is wrong, with the offending value; path and offset_bytes -- where; advice -- what to do.
    """

    def __init__(
        self, what: str, *, path: str | Path | None = None, offset_bytes: int | None = None, advice: str = ""
    ) -> None:
        what = " ".join(what.split())  # one line, whatever a library says
        self.what, self.path, self.offset_bytes, self.advice = what, path, offset_bytes, advice
        where = f"{path}: " if path is not None else ""
        at = f" (at byte {offset_bytes})" if offset_bytes is not None else ""
        then = f"; {advice}" if advice else ""
        super().__init__(f"{where}{what}{at}{then}")

    def with_path(self, path: str | Path) -> InputError:
        """The same error, naming the file."""
        return InputError(self.what, path=path, offset_bytes=self.offset_bytes, advice=self.advice)

    def at_least_path(self, path: str | Path) -> InputError:
        """The error, naming this file unless it names one."""
        return self if self.path else self.with_path(path)


@contextmanager
def path_in_errors(path: str | Path) -> Iterator[None]:
    """An InputError raised within names this file, unless it names one."""
    try:
        yield
    except InputError as error:
        raise error.at_least_path(path) from None


class CaptureError(TraceReplayError):
    """This machine cannot record that. advice -- what to do."""

    def __init__(self, what: str, *, advice: str = "") -> None:
        super().__init__(f"{what}; {advice}" if advice else what)


def no_room(error: BaseException) -> str | None:
    """What the system said, and of which file, where the error comes of a full disk; None: it does not."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in NO_ROOM:
            where = f" ({cause.filename})" if cause.filename else ""
            return f"{cause.strerror}{where}; make room, or name another place"
        cause = cause.__cause__
    return None

"""The command that gives the same answer again: the verb and what it read, without where its report went."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

_WITH_VALUE = ("--format", "--output", "-o", "--out")
_ALONE = ("--quiet", "-q", "--no-progress", "--redact", "--confidential")


def reproducing_words(argv: Sequence[str]) -> list[str]:
    """`tracereplay blame trace.dat --layout DIR`, as words."""
    return ["tracereplay", *_kept(argv)]


def reproducing_command(argv: Sequence[str]) -> str:
    """The same as a line that a shell takes."""
    return shlex.join(reproducing_words(argv))


def _kept(argv: Sequence[str]) -> Iterator[str]:
    words = iter(argv)
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif word not in _ALONE and not word.startswith(tuple(f"{name}=" for name in _WITH_VALUE if len(name) > 2)):
            yield word

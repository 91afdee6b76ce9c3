"""The words about one cause, for a reader who has to act on it."""

from __future__ import annotations

from msgspec import Struct


class Explanation(Struct, frozen=True, kw_only=True):
    """The words for one cause code: sentences, commands, and the kernel versions that matter."""

    title: str  # a few words, for tables
    says: str  # one sentence, for the report
    proves: str  # which events settle it
    suggests: str  # which only point to it
    confused_with: str  # what looks alike, and how to tell it apart
    what_to_do: tuple[str, ...]  # the most useful step first
    capture_next: tuple[str, ...] = ()  # what to record for a conclusive answer

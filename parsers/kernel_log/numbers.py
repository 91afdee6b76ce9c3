"""Numbers of a kernel log: untrusted text must become the right number or none."""

from __future__ import annotations

import re


def signed(text: str | None, bits: int = 64) -> int | None:
    """A decimal number, or None where it is absent or does not fit: damaged text must not become a wrong number."""
    if text is None:
        return None
    value = int(text)
    return value if -(1 << (bits - 1)) <= value < 1 << (bits - 1) else None


def unsigned(text: str | None, bits: int = 63) -> int | None:
    """A hexadecimal number, or None where it is absent or does not fit."""
    if text is None:
        return None
    value = int(text, 16)
    return value if value < 1 << bits else None


def pointer(text: str) -> int | None:
    """A pointer as %p and %px print it; None for `(____ptrval____)`."""
    if text in {"(null)", "(nil)"}:
        return 0
    return unsigned(text.removeprefix("0x"), 64) if re.fullmatch(r"(?:0x)?[0-9a-f]{1,16}", text) else None

"""How a report is to look, and the one way text renderers turn rich's renderables into a string."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_NOT_PLAIN = re.compile(r"[^\n\x20-\x7e]")
_JSON_ESCAPE = re.compile(r'\\[^"\\]')  # JSON writes control characters so
NO_BREAK = "\ue000"  # stands for a space while rich breaks lines, which takes U+00A0 for a place to break
DocumentT = TypeVar("DocumentT", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Style:
    """Width in columns, whether colours may be used, and whether to show everything instead of the essence."""

    width: int = 100
    color: bool = False
    full: bool = False


def render_blocks(blocks: list[RenderableType], style: Style) -> str:
    """The blocks as text, one after the other."""
    from rich.console import Console  # noqa: PLC0415  (50 ms that `--help` need not pay)

    out = io.StringIO()
    console = Console(
        file=out,
        width=max(style.width, 40),
        force_terminal=style.color,
        color_system="standard" if style.color else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    for block in blocks:
        console.print(block)
    return "".join(line.rstrip(" ").replace(NO_BREAK, " ") + "\n" for line in out.getvalue().split("\n")[:-1])


def flow(items: Iterable[str]) -> str:
    """Items side by side, two spaces between; lines break between items only."""
    return "  ".join(item.replace(" ", NO_BREAK) for item in items)


def hanging(word: Text, text: Text) -> RenderableType:
    """A word and what is said of it, wrapped beside the word."""
    from rich.table import Table  # noqa: PLC0415

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(word, text)
    return grid


def bullets(steps: Iterable[str]) -> RenderableType:
    """A list, wrapped under its dashes."""
    from rich.padding import Padding  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table.grid(padding=(0, 1, 0, 0))
    for step in steps:
        grid.add_row("-", Text(step))
    return Padding(grid, (0, 0, 0, 2))


def escape_control_chars(document: DocumentT) -> DocumentT:
    """The same document for a terminal: control characters in any of its texts are shown as escapes.

    Names, paths and messages come from traces, and an escape sequence in one could steer the terminal.
    """
    text = msgspec.json.encode(document).decode()
    if text.isprintable() and not _JSON_ESCAPE.search(text):
        return document  # the usual case, in a fraction of the time
    return msgspec.convert(_clean(msgspec.to_builtins(document)), type(document))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return escape_unprintable(value)
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, (list, tuple)) else value


def escape_unprintable(text: str) -> str:
    """The text with what does not print as its escape, `\\x1b`."""
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def escape_unprintable_json(text: str) -> str:
    """JSON with what does not print as its escape, `\\u202e`: the document says the same, and steers no terminal.

    JSON itself has control characters below 0x20 escaped, not those of C1 and not those that turn the direction.
    """
    if text.isascii() and "\x7f" not in text:
        return text  # the usual case
    return _NOT_PLAIN.sub(lambda match: match[0] if match[0].isprintable() else _json_escape(match[0]), text)


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be").hex()  # of a character beyond U+FFFF two
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))

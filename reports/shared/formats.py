"""A format: a function of a document and a style that gives the text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from tracereplay.reports.shared.style import Style

Renderer = Callable[[Any, Style], str]


def loaded_when_used(module: str, name: str) -> Renderer:
    """The renderer `name` of tracereplay.reports.`module`: `--help` loads no rich, a text report no jinja2."""

    def render(document: Any, style: Style) -> str:
        found: Renderer = getattr(import_module(f"tracereplay.reports.{module}"), name)
        return found(document, style)

    return render


@dataclass(frozen=True)
class Format:
    """A format of the result. `purpose` is its line in the README, in Markdown; `render` makes the text."""

    purpose: str
    render: Renderer

    def __call__(self, document: Any, style: Style) -> str:
        """The text of a document."""
        return self.render(document, style)

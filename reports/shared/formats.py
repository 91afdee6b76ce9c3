"""A format: a function of a document and a style that gives the text."""

from __future__ import annotations

from collections.abc import Callable
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

"""The result model -> text, JSON, HTML, Markdown, JUnit, tables. Computes nothing of its own."""

from __future__ import annotations

from collections.abc import Callable

from tracereplay.model.result import Result
from tracereplay.reports.shared.style import Style

Renderer = Callable[[Result, Style], str]


# Renderers are imported when used: `--help` need not know rich, nor a text report what HTML takes.
def _text(result: Result, style: Style) -> str:
    from tracereplay.reports.text.report import render_text  # noqa: PLC0415

    return render_text(result, style)


def _json(result: Result, style: Style) -> str:  # noqa: ARG001
    from tracereplay.reports.json import render_json  # noqa: PLC0415

    return render_json(result)


def _html(result: Result, style: Style) -> str:  # noqa: ARG001
    from tracereplay.reports.html.report import render_html  # noqa: PLC0415

    return render_html(result)


def _md(result: Result, style: Style) -> str:
    from tracereplay.reports.markdown import render_markdown  # noqa: PLC0415

    return render_markdown(result, style)


def _junit(result: Result, style: Style) -> str:  # noqa: ARG001
    from tracereplay.reports.junit import render_junit  # noqa: PLC0415

    return render_junit(result)


def _mail(result: Result, style: Style) -> str:
    from tracereplay.reports.mail import render_mail  # noqa: PLC0415

    return render_mail(result, style)


def _github(result: Result, style: Style) -> str:
    from tracereplay.reports.github import render_github  # noqa: PLC0415

    return render_github(result, style)


FORMATS: dict[str, Renderer] = {
    "text": _text,
    "json": _json,
    "html": _html,
    "md": _md,
    "mail": _mail,
    "github": _github,
    "junit": _junit,
}

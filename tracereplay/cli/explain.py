"""`explain [CODE]`: what a cause or a premise means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tracereplay.cli.output import style_for, write_report
from tracereplay.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracereplay.reports.shared.style import Style

ALL_PREMISES = "premises"


def _complete(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names that begin so, for completion in a shell; errnos in capitals, as people write them."""
    from tracereplay.model.explain.names import ERRNOS  # noqa: PLC0415

    spelled = (name.upper() if name in ERRNOS else name for name in _names())
    return [name for name in spelled if name.lower().startswith(incomplete.lower())]


@click.command(
    short_help="What a cause means, what proves it, what to do.",
    context_settings={"ignore_unknown_options": True},  # -EBUSY and -16, as the kernel writes them
)
@click.argument("code", required=False, shell_complete=_complete)
def explain(code: str | None) -> int:
    """Explain CODE: a cause (what it means, what proves it, what it is confused with, what to do), a premise of a
    verdict `proved`, an errno (EBUSY, -16) or a kernel function (test_pages_isolated), in any case. `premises` lists
    the premises; without CODE the causes are listed."""
    from tracereplay.model.explain import EXPLANATIONS  # noqa: PLC0415
    from tracereplay.model.explain.names import ERRNOS, plain_name  # noqa: PLC0415
    from tracereplay.model.premises import PREMISES  # noqa: PLC0415
    from tracereplay.reports.text.explain import render_causes, render_meaning, render_premises  # noqa: PLC0415

    style = style_for(None)
    code = None if code is None else plain_name(code)
    if code is None:
        text = render_causes(EXPLANATIONS, style)
    elif code == ALL_PREMISES:
        text = render_premises(style)
    elif code in EXPLANATIONS:
        text = _cause(code, style)
    elif code in PREMISES:
        text = _premise(code, style)
    elif (causes := _meant_by(code)) is not None:
        text = render_meaning(code.upper() if code in ERRNOS else code, *causes, style)
    else:
        near = did_you_mean(code, list(_names()))
        hint = near or "; `tracereplay explain` lists the causes"
        raise UsageError(f"no cause, premise, errno or function {code!r}{hint}")
    write_report(text, None)
    return 0


def _names() -> Iterator[str]:
    """Everything that can be explained, by its name in lower case; mechanisms have names of several words."""
    from tracereplay.culprits.mechanisms import MECHANISMS  # noqa: PLC0415
    from tracereplay.model.explain import EXPLANATIONS  # noqa: PLC0415
    from tracereplay.model.explain.names import ERRNOS, FUNCTIONS  # noqa: PLC0415
    from tracereplay.model.premises import PREMISES  # noqa: PLC0415

    yield from (*EXPLANATIONS, *PREMISES, ALL_PREMISES, *ERRNOS, *FUNCTIONS)
    for one in MECHANISMS:
        yield from (one.name.lower(), *(function.lower() for function in one.functions))


def _meant_by(name: str) -> tuple[str, tuple[str, ...]] | None:
    """What an errno or a kernel function says, and the causes it points to; None for any other word."""
    from tracereplay.culprits.mechanisms import MECHANISMS  # noqa: PLC0415
    from tracereplay.model.explain.names import ERRNOS, FUNCTIONS  # noqa: PLC0415

    found = ERRNOS.get(name) or FUNCTIONS.get(name)
    if found is not None:
        return found
    for one in MECHANISMS:
        if name in (one.name.lower(), *(function.lower() for function in one.functions)):
            causes = ("pin_longterm",) if one.longterm else ("pin_short", "task_reference")
            return f"On the stack of a reference it shows how the page was taken: {one.name}.", causes
    return None


def _cause(code: str, style: Style) -> str:
    from tracereplay.culprits.table import BY_CODE  # noqa: PLC0415
    from tracereplay.reports.text.explain import render_cause  # noqa: PLC0415

    cause = BY_CODE[code]
    return render_cause(code, cause.words, style, ceiling=cause.ceiling, needs=cause.needs, premises=cause.premises)


def _premise(code: str, style: Style) -> str:
    from tracereplay.culprits.table import CAUSES  # noqa: PLC0415
    from tracereplay.model.premises import PREMISES  # noqa: PLC0415
    from tracereplay.reports.text.explain import render_premise  # noqa: PLC0415

    causes = [cause.code for cause in CAUSES if code in cause.premises]
    return render_premise(PREMISES[code], style, causes=causes)

"""What `info` says: what the inputs are, what they lack, and which causes they can and cannot prove."""

from __future__ import annotations

from msgspec import Struct, field

from tracereplay.model.result import DataLoss, Input, Tool

SCHEMA = "tracereplay.info/1"


class InputInfo(Input, kw_only=True):
    """One input, and how many of each event it holds."""

    by_event: dict[str, int] = field(default_factory=dict)


class CannotProve(Struct, kw_only=True):
    """A cause that stays a suggestion with these inputs, and what is missing for more."""

    cause: str
    missing: str


class InfoResult(Struct, kw_only=True):
    """The whole answer."""

    schema: str = SCHEMA
    tool: Tool | None = None
    inputs: list[InputInfo] = field(default_factory=list)
    data_loss: list[DataLoss] = field(default_factory=list)
    can_prove: list[str] = field(default_factory=list)
    cannot_prove: list[CannotProve] = field(default_factory=list)
    capture_next: list[str] = field(default_factory=list)

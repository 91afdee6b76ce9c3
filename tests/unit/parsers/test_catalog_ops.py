"""Operations of the page stream: each is declared once, and the catalogue's tracepoints agree with it."""

from __future__ import annotations

from tracereplay.parsers.catalog import SPECS
from tracereplay.schema import OP_INFO, Op


def test_every_operation_has_its_row() -> None:
    assert list(OP_INFO) == list(Op)


def test_operations_bear_the_name_of_their_tracepoint() -> None:
    names: dict[Op, set[str]] = {}
    for name, spec in SPECS.items():
        names.setdefault(spec.op, set()).add(name)
    for op, info in OP_INFO.items():
        if op is not Op.NONE and info.event is not None:
            assert info.event in names[op]


def test_what_acts_on_a_block_of_pages_has_an_order() -> None:
    for op, info in OP_INFO.items():
        specs = [spec for spec in SPECS.values() if spec.op is op]
        if info.covers_order:
            assert specs
            assert all("order" in spec.args for spec in specs)

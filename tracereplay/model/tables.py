"""A result as Arrow tables: the same names as in the JSON document, one row per object, keys instead of nesting.

Columns and their types come from the annotations in result.py: a nested object (task, holder, request ...) is a
struct column, a list of objects is a table of its own. Rows keep the document's order.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
import pyarrow as pa

from tracereplay.model import result as model
from tracereplay.model.frames import pandas_frames, polars_frames
from tracereplay.model.result import Result

if TYPE_CHECKING:
    import pandas
    import polars

DocumentT = TypeVar("DocumentT")
KeyedObject = tuple[dict[str, Any], msgspec.Struct]  # an object that a row shows, after the keys of that row

_SCALARS: dict[type, pa.DataType] = {str: pa.string(), int: pa.int64(), bool: pa.bool_(), float: pa.float64()}


@dataclass(frozen=True, slots=True)
class Spec(Generic[DocumentT]):
    """One table: the struct its rows are, the key columns put before it, fields renamed to keys, fields left out."""

    struct: type[msgspec.Struct]
    rows: Callable[[DocumentT], Iterator[KeyedObject]]
    keys: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    def columns(self) -> list[tuple[str, str, pa.DataType]]:
        """(column, name in the JSON document, type) of each column that comes from the struct."""
        return [(self.renamed.get(n, n), n, type_) for n, type_ in _fields(self.struct) if n not in self.without]

    def table(self, result: DocumentT) -> pa.Table:
        """The rows of this document."""
        columns = self.columns()
        schema = pa.schema(
            [(key, pa.string()) for key in self.keys] + [(column, type_) for column, _, type_ in columns]
        )
        rows = []
        for keys, item in self.rows(result):
            values = msgspec.to_builtins(item)
            rows.append(keys | {column: values[name] for column, name, _ in columns})
        return pa.Table.from_pylist(rows, schema=schema)


def _attempts(result: Result) -> Iterator[KeyedObject]:
    return (({}, attempt) for attempt in result.attempts)


def _of_attempts(name: str) -> Callable[[Result], Iterator[KeyedObject]]:
    def rows(result: Result) -> Iterator[KeyedObject]:
        return (({"attempt_id": a.id}, item) for a in result.attempts for item in getattr(a, name))

    return rows


def _evidence(result: Result) -> Iterator[KeyedObject]:
    return (
        ({"attempt_id": a.id, "culprit_id": c.id}, evidence)
        for a in result.attempts
        for c in a.culprits
        for evidence in c.evidence
    )


def _top(name: str) -> Callable[[Result], Iterator[KeyedObject]]:
    return lambda result: (({}, item) for item in getattr(result, name))


SPECS: dict[str, Spec[Result]] = {
    "inputs": Spec(model.Input, _top("inputs"), renamed={"id": "input_id"}),
    "attempts": Spec(
        model.Attempt, _attempts, renamed={"id": "attempt_id"}, without=("tries", "map", "uses", "culprits")
    ),
    "tries": Spec(model.Try, _of_attempts("tries"), keys=("attempt_id",), renamed={"index": "try_index"}),
    "culprits": Spec(
        model.Culprit,
        _of_attempts("culprits"),
        keys=("attempt_id",),
        renamed={"id": "culprit_id"},
        without=("evidence",),
    ),
    "evidence": Spec(model.Evidence, _evidence, keys=("attempt_id", "culprit_id")),
    "map": Spec(model.MapRun, _of_attempts("map"), keys=("attempt_id",), renamed={"try": "try_index"}),
    "uses": Spec(model.UseRun, _of_attempts("uses"), keys=("attempt_id",)),
    "counters": Spec(model.Counter, _top("counters")),
    "blame": Spec(model.Blame, _top("blame")),
    "data_loss": Spec(model.DataLoss, _top("data_loss"), renamed={"id": "loss_id"}),
    "processes": Spec(model.Process, _top("processes")),
    "stacks": Spec(model.Stack, _top("stacks"), renamed={"id": "stack_id"}),
}


class Tables(dict[str, pa.Table]):
    """The tables of one result by name, in the order of SPECS."""

    def to_polars(self) -> dict[str, polars.DataFrame]:
        """As polars frames. Raises UsageError where polars is not installed."""
        return polars_frames(self)

    def to_pandas(self) -> dict[str, pandas.DataFrame]:
        """As pandas frames with Arrow types, so that an absent PFN stays null and integers stay integers.

        Raises UsageError where pandas is not installed.
        """
        return pandas_frames(self)


def result_tables(result: Result) -> Tables:
    """All tables of a result, unabridged."""
    return Tables((name, spec.table(result)) for name, spec in SPECS.items())


@cache
def _fields(struct: type[msgspec.Struct]) -> list[tuple[str, pa.DataType]]:
    """(name in the JSON document, type) of each field; worked out once, since annotations are slow to evaluate."""
    hints = get_type_hints(struct)
    return [(f.encode_name, _arrow_type(hints[f.name])) for f in msgspec.structs.fields(struct)]


def _arrow_type(hint: Any) -> pa.DataType:
    """The Arrow type of an annotation: `X | None` is a nullable X, a Struct is a struct, a Literal is a string."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (only,) = [arg for arg in args if arg is not type(None)]
        return _arrow_type(only)
    if origin is Literal:
        return pa.string()
    if origin is list:
        return pa.list_(_arrow_type(args[0]))
    if origin is dict:
        return pa.map_(_arrow_type(args[0]), _arrow_type(args[1]))
    if origin is tuple:  # (first, last) and the like: one type, fixed length
        return pa.list_(_arrow_type(args[0]), len(args))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        hints = get_type_hints(hint)
        return pa.struct([(f.encode_name, _arrow_type(hints[f.name])) for f in msgspec.structs.fields(hint)])
    return _SCALARS[hint]

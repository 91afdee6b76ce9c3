"""Batches of events as rows of binary records, and tables without what Perfetto does not record."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.parsers.binary.record_batch import SPARE_WORDS, RecordRows
from tracereplay.parsers.events.tables import numbers_array
from tracereplay.parsers.perfetto import event_kernels as kernels
from tracereplay.parsers.perfetto.events import Batch
from tracereplay.schema import integers


def rows_of(batch: Batch, keeps: npt.NDArray[np.uint8], data: npt.NDArray[np.uint8]) -> RecordRows:
    """The batch as `EventTableBuilder` takes it.

    keeps uint8[kinds] -- whether an event has texts, for which its payload is copied. The second byte of `common`,
    where other containers have the preemption depth, tells whether the first is known.
    """
    kept = keeps[batch.kind]
    n_bytes = int(batch.payload[kept > 0, 1].sum())
    blob = np.zeros(n_bytes // 4 + 1 + SPARE_WORDS, np.uint32)
    blob_at = np.empty((len(batch), 2), np.int64)
    kernels.copy_payloads(data, batch.payload, kept, blob.view(np.uint8), blob_at)
    common = np.stack([np.maximum(batch.flags, 0), batch.flags >= 0], axis=1).astype(np.uint8)
    return RecordRows(batch.time_ns, batch.cpu, batch.tid, batch.kind, common, batch.fields, blob, blob_at)


def without_unknown_flags(table: pa.Table) -> pa.Table:
    """The table with null where flags, tasks and preemption depths are not recorded."""
    unknown = integers(table.column("preempt_count")) == 0
    flags = integers(table.column("common_flags")).astype(np.uint8)
    tids = integers(table.column("tid")).astype(np.int32)
    columns = {
        "common_flags": numbers_array(flags, pa.uint8(), unknown),
        "preempt_count": numbers_array(np.zeros(len(flags), np.uint8), pa.uint8(), np.ones(len(flags), np.bool_)),
        "tid": numbers_array(tids, pa.int32(), tids < 0),
    }
    for name, column in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, table.schema.field(name), column)
    return table

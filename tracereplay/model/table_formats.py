"""In which file formats tables are written; light, so that `--help` can name them."""

from __future__ import annotations

TABLE_FORMATS = ("parquet", "arrow", "csv")

"""Rows of a file, a BigQuery table or a query, one at a time, as the text of one job each."""

from ops.rows.row import Row
from ops.rows.source import Rows, Source, open_rows

__all__ = ["Row", "Rows", "Source", "open_rows"]

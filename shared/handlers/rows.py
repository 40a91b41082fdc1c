"""Inserts one row, and says what an answer of BigQuery means for the message that the row was made of."""

from collections.abc import Mapping
from typing import Any

from ..outcome import Done, Failed, Outcome, Retry
from ..warehouse import RowRejectedError, Warehouse, WarehouseUnavailableError


async def insert(warehouse: Warehouse, row: Mapping[str, Any], row_id: str, *, subject: str = "") -> Outcome:
    """Insert ``row``. The arguments are those of ``Warehouse.insert``, and the person that the message is about."""
    try:
        await warehouse.insert(row, row_id)
    except RowRejectedError as error:
        return Failed(
            error_class="row_rejected",
            reason=error.reason,
            field=error.field,
            message=error.message,
            subject=subject,
        )
    except WarehouseUnavailableError as error:
        return Retry(
            status=503,
            reason=error.reason,
            upstream_status=error.status,
            needs_operator=error.needs_operator,
            subject=subject,
        )
    return Done(subject=subject)

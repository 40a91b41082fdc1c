"""Track API v2: one operation (`entity`) or many (`batch`).

The answer is 200 `{}`, 207 naming the bad operations of a batch, or 400 when the whole request is invalid.
Rules: https://docs.customer.io/integrations/api/track/
"""

from typing import Any

import msgspec

from local.customerio import limits
from local.customerio.exchange import ApiRequest, ApiResponse, BatchError, ItemError, encode
from local.customerio.gateway import Routes
from local.customerio.items import check
from local.customerio.workspace import Workspace


class _Batch(msgspec.Struct):
    """The operations as raw JSON, because the size limit counts their bytes as sent."""

    batch: list[msgspec.Raw]


_decode_batch = msgspec.json.Decoder(_Batch).decode
_decode_item = msgspec.json.Decoder(Any).decode


def add_routes(routes: Routes) -> None:
    routes.add("POST", "/api/v2/entity", _entity)
    routes.add("POST", "/api/v2/batch", _batch)


def _entity(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    try:
        item = _decode_item(request.body)
    except msgspec.DecodeError:
        return _invalid(ItemError("invalid", "", "the body is not JSON"))
    errors = _apply(request, workspace, 0, request.body, item)
    return _invalid(*errors, items=1) if errors else ApiResponse(items=1)


def _batch(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    if len(request.body) > limits.MAX_BATCH_BYTES:
        return _invalid(ItemError("invalid", "batch", f"cannot be larger than {limits.MAX_BATCH_BYTES} bytes"))
    try:
        batch = _decode_batch(request.body).batch
        # A raw operation is not validated by the decoder above, and bad JSON condemns the whole request.
        items = [bytes(raw) for raw in batch]
        decoded = [_decode_item(item) for item in items]
    except msgspec.DecodeError:
        return _invalid(ItemError("invalid", "batch", "the body is not a JSON object with a list batch"))
    if not items:
        return _invalid(ItemError("invalid", "batch", "cannot be empty"))
    refused: list[BatchError] = []
    for index, item in enumerate(items):
        errors = _apply(request, workspace, index, item, decoded[index])
        refused.extend(BatchError(index, error.reason, error.field, error.message) for error in errors)
    if not refused:
        return ApiResponse(items=len(items))
    return ApiResponse(207, encode({"errors": refused}), len(items), tuple(refused))


def _apply(request: ApiRequest, workspace: Workspace, index: int, data: bytes, item: Any) -> list[ItemError]:
    """Apply one operation. Returns why it was refused, nothing if it was applied."""
    if len(data) > limits.MAX_ITEM_BYTES:
        errors = [ItemError("invalid", "", f"cannot be larger than {limits.MAX_ITEM_BYTES} bytes")]
    else:
        errors = check(item)
    if not errors and request.reject is not None and (injected := request.reject(index, data)) is not None:
        errors = [injected]
    if errors:
        workspace.state.counts.rejected(1)
    else:
        workspace.state.apply(item)
    return errors


def _invalid(*errors: ItemError, items: int | None = None) -> ApiResponse:
    return ApiResponse(400, encode({"errors": errors}), items, errors)

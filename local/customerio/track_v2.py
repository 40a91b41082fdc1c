"""Track API v2: `/api/v2/entity` and `/api/v2/batch`.

Rules: https://docs.customer.io/integrations/api/track/
"""

from typing import Any

import msgspec

from local.customerio import limits
from local.customerio.items import check
from local.customerio.wire import Answer, BatchError, Call, ItemError, encode, meta_error, unauthorized
from local.customerio.world import World


class _Batch(msgspec.Struct):
    """Operations stay raw at first: the size limit is on their bytes as sent."""

    batch: list[msgspec.Raw]


_decode_batch = msgspec.json.Decoder(_Batch).decode
_decode_item = msgspec.json.Decoder(Any).decode


def answer(call: Call, world: World) -> Answer:
    """200 `{}`, 207 naming the bad operations of a batch, 400 when the whole request is invalid, 401."""
    match call.method, call.parts:
        case "POST", ("api", "v2", "entity"):
            return unauthorized() if call.auth != "ok" else _entity(call, world)
        case "POST", ("api", "v2", "batch"):
            return unauthorized() if call.auth != "ok" else _batch(call, world)
        case _:
            return meta_error(404, "not found")


def _entity(call: Call, world: World) -> Answer:
    try:
        item = _decode_item(call.body)
    except msgspec.DecodeError:
        return _invalid(ItemError("invalid", "", "the body is not JSON"))
    errors = _take(call, world, 0, call.body, item)
    return _invalid(*errors, items=1) if errors else Answer(items=1)


def _batch(call: Call, world: World) -> Answer:
    if len(call.body) > limits.BATCH_BYTES:
        return _invalid(ItemError("invalid", "batch", f"cannot be larger than {limits.BATCH_BYTES} bytes"))
    try:
        batch = _decode_batch(call.body).batch
        # A raw operation is not validated by the decoder above, and bad JSON condemns the whole request.
        items = [bytes(raw) for raw in batch]
        decoded = [_decode_item(item) for item in items]
    except msgspec.DecodeError:
        return _invalid(ItemError("invalid", "batch", "the body is not a JSON object with a list batch"))
    if not items:
        return _invalid(ItemError("invalid", "batch", "cannot be empty"))
    refused: list[BatchError] = []
    for index, item in enumerate(items):
        errors = _take(call, world, index, item, decoded[index])
        refused.extend(BatchError(index, error.reason, error.field, error.message) for error in errors)
    if not refused:
        return Answer(items=len(items))
    return Answer(207, encode({"errors": refused}), len(items), tuple(refused))


def _take(call: Call, world: World, index: int, data: bytes, item: Any) -> list[ItemError]:
    """Apply one operation, or say why not."""
    if len(data) > limits.ITEM_BYTES:
        errors = [ItemError("invalid", "", f"cannot be larger than {limits.ITEM_BYTES} bytes")]
    else:
        errors = check(item)
    if not errors and call.reject is not None and (injected := call.reject(index, data)) is not None:
        errors = [injected]
    if errors:
        world.counts.rejected(1)
    else:
        world.apply(item)
    return errors


def _invalid(*errors: ItemError, items: int | None = None) -> Answer:
    return Answer(400, encode({"errors": errors}), items, errors)

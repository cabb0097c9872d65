"""Reads request bodies within limits."""

import gzip
import io
import json
from typing import Any

from starlette.requests import Request

from wandb_registry.errors import BadInput, TooLarge


async def whole_body(request: Request, largest: int) -> bytes:
    """The body, unpacked if it is gzip. Raises TooLarge above `largest` bytes, packed or unpacked, and BadInput."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > largest:
            raise _too_large(largest)
    if request.headers.get("content-encoding", "").lower() != "gzip":
        return bytes(body)
    try:
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(body)).read(largest + 1)
    except (OSError, EOFError):
        raise BadInput("The request's body is not gzip, as its header says.") from None
    if len(unpacked) > largest:
        raise _too_large(largest)
    return unpacked


async def json_body(request: Request, largest: int) -> Any:
    """The body as JSON. Raises as `whole_body`, and BadInput for anything but JSON."""
    try:
        return json.loads(await whole_body(request, largest))
    except (ValueError, RecursionError):
        raise BadInput("The request's body is not JSON.") from None


def _too_large(largest: int) -> TooLarge:
    return TooLarge(f"The request has more than {largest // 1024:,} KiB, the most that is taken here.")

"""Pages of a list, in the shape that all connections of the schema share. Cursors are opaque to clients."""

import base64
from collections.abc import Callable
from typing import Any

from wandb_registry.errors import BadInput

Rows = list[dict[str, Any]]
LARGEST_PAGE = 10_000


def connection(
    first: int | None, after: str | None, fetch: Callable[[int, int], Rows], count: Callable[[], int] | None = None
) -> dict[str, Any]:
    """The page that begins behind `after`. `fetch(limit, offset)` gives rows; `count()` is asked only if selected."""
    offset = _offset(after) if after else 0
    size = LARGEST_PAGE if first is None else min(first, LARGEST_PAGE)
    if size < 0:
        raise BadInput(f"A page of {first} can't be.")
    rows = fetch(size + 1, offset)
    edges = [{"node": row, "cursor": _cursor(offset + i + 1)} for i, row in enumerate(rows[:size])]
    return {
        "edges": edges,
        "page_info": {"end_cursor": edges[-1]["cursor"] if edges else None, "has_next_page": len(rows) > size},
        "total_count": count,
    }


def of_list(rows: Rows, first: int | None = None, after: str | None = None) -> dict[str, Any]:
    """A page of rows that are all at hand."""
    return connection(first, after, lambda limit, offset: rows[offset : offset + limit], lambda: len(rows))


def _cursor(offset: int) -> str:
    return base64.b64encode(f"at:{offset}".encode()).decode()


def _offset(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor, validate=True).decode("ascii").removeprefix("at:"))
    except ValueError:
        raise BadInput(f"'{cursor}' is not a cursor of this registry.") from None

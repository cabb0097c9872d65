"""Pages of a list as GraphQL connections, after the Relay specification. Cursors are opaque to clients."""

import base64
from collections.abc import Callable
from typing import Any

from wandb_registry.errors import BadInput

Rows = list[dict[str, Any]]
LARGEST_PAGE = 10_000


def connection(
    first: int | None, after: str | None, fetch: Callable[[int, int], Rows], count: Callable[[], int] | None = None
) -> dict[str, Any]:
    """The page of `first` rows after the cursor `after`. Raises BadInput for a wrong size or cursor.

    Without `first` all rows, since who asks for no page may not look for the next. Raises BadInput for too many.
    `fetch(limit, offset)` returns rows. `count()` is called only if the request selects totalCount.
    """
    offset = _offset(after) if after else 0
    size = LARGEST_PAGE if first is None else min(first, LARGEST_PAGE)
    if size < 0:
        raise BadInput(f"A page of {first} can't be.")
    rows = fetch(size + 1, offset)
    if first is None and len(rows) > size:
        raise BadInput(
            f"This list has more than {LARGEST_PAGE:,} members: ask for pages of it, by 'first' and 'after'."
        )
    edges = [{"node": row, "cursor": _cursor(offset + i + 1)} for i, row in enumerate(rows[:size])]
    return {
        "edges": edges,
        "page_info": {"end_cursor": edges[-1]["cursor"] if edges else None, "has_next_page": len(rows) > size},
        "total_count": count,
    }


def of_list(rows: Rows, first: int | None = None, after: str | None = None) -> dict[str, Any]:
    """A page of a list that is in memory."""
    return connection(first, after, lambda limit, offset: rows[offset : offset + limit], lambda: len(rows))


def _cursor(offset: int) -> str:
    return base64.b64encode(f"at:{offset}".encode()).decode()


def _offset(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor, validate=True).decode("ascii").removeprefix("at:"))
    except ValueError:
        raise BadInput(f"'{cursor}' is not a cursor of this registry.") from None

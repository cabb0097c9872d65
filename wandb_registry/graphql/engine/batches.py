"""Rows that were read together are asked about together: one query for all of them, where each would take one."""

from collections.abc import Callable
from typing import Any

from wandb_registry.graphql.engine.context import Context

Row = dict[str, Any]
Load = Callable[[Context, list[int]], dict[int, Any]]
KEY = "together"


class RowBatches:
    """The ids of rows that one listing read, and what was found for them since."""

    def __init__(self, ids: list[int]):
        self._ids = ids
        self._found: dict[Load, dict[int, Any]] = {}

    def of(self, context: Context, number: int, load: Load) -> Any:
        if load not in self._found:
            self._found[load] = load(context, self._ids)
        return self._found[load].get(number)


def together(rows: list[Row]) -> list[Row]:
    """The rows of a listing, each of which knows the others."""
    shared = RowBatches([row["id"] for row in rows])
    return [row | {KEY: shared} for row in rows]


def of(context: Context, row: Row, load: Load) -> Any:
    """What `load` finds for this row, read for all rows of its listing when the first of them is asked."""
    shared = row.get(KEY) or RowBatches([row["id"]])
    return shared.of(context, row["id"], load)

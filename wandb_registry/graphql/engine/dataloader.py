"""A data loader: reads what a field needs for all rows of a listing in one SQL query, instead of one query per row."""

from collections.abc import Callable
from typing import Any

from wandb_registry.graphql.engine.context import Context

Row = dict[str, Any]
Batch = Callable[[Context, list[int]], dict[int, Any]]  # reads the values of many ids at once
KEY = "loader"


class DataLoader:
    """Loads values for the rows of one listing, and keeps them."""

    def __init__(self, ids: list[int]):
        self._ids = ids
        self._values: dict[Batch, dict[int, Any]] = {}

    def load(self, context: Context, number: int, batch: Batch) -> Any:
        if batch not in self._values:
            self._values[batch] = batch(context, self._ids)
        return self._values[batch].get(number)


def attach(rows: list[Row]) -> list[Row]:
    """The rows of a listing, each with the loader that they share."""
    loader = DataLoader([row["id"] for row in rows])
    return [row | {KEY: loader} for row in rows]


def load(context: Context, row: Row, batch: Batch) -> Any:
    """The value of a row. The first row that asks makes `batch` read the values of all rows of its listing."""
    loader = row.get(KEY) or DataLoader([row["id"]])
    return loader.load(context, row["id"], batch)

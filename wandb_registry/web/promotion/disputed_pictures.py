"""The pictures on which two models disagree, by which of them is right: a table that the run logged which decided.

It is known by its columns: `label`, `champion`, `candidate` and one with pictures, as `stages/predictions.py` logs it.
"""

from dataclasses import dataclass
from typing import Any

from wandb_registry.errors import BadInput
from wandb_registry.storage.table_databases import TableQuery, open_table
from wandb_registry.web import addresses
from wandb_registry.web.media import logged_tables
from wandb_registry.web.media.logged_tables import Place
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]
ANSWERS = ("label", "champion", "candidate")
MOST_ROWS = 200_000  # of a table that is looked at: as many as the SDK logs in a version
MOST_PICTURES = 100  # of a table on the page
Pictures = list[tuple[str, Row]]  # (address, answers)


@dataclass(frozen=True)
class Disputed:
    """The first pictures of the table `key`, by who is right, how many it has, and the address of its page."""

    key: str
    page: str
    only_candidate: Pictures
    only_champion: Pictures
    neither: Pictures
    total: int

    @property
    def shown(self) -> int:
        """How many of them are shown."""
        return len(self.only_candidate) + len(self.only_champion) + len(self.neither)


def of_run(request: PageRequest, run: Row, logged: list[tuple[str, Any]]) -> Disputed | None:
    """Those in the first table of that kind among what a run `logged`; None where it has none."""
    for key, value in logged:
        rows = value.get("nrows") if value.get("_type") == logged_tables.TYPE else None
        place = logged_tables.place_of(request, run, key) if isinstance(rows, int) and rows <= MOST_ROWS else None
        if place and (found := _in_table(request, key, place)):
            return found
    return None


def _in_table(request: PageRequest, key: str, place: Place) -> Disputed | None:
    """Those in one table; None for a table of another kind, or none that can be read."""
    try:
        opened = open_table(request.store.folder, [(request.store.blobs.local(place.md5), place.md5)])
    except (BadInput, FileNotFoundError):
        return None
    with opened as table:
        column = {one.name: at for at, one in enumerate(table.columns)}
        picture = next((at for at, one in enumerate(table.columns) if one.kind == "picture"), None)
        if picture is None or not column.keys() >= set(ANSWERS):
            return None
        shown = [
            (addresses.file(place.raw, str(cells[picture])), {name: cells[column[name]] for name in ANSWERS})
            for _, cells in table.rows(TableQuery(), MOST_PICTURES, 0)
            if cells[picture]
        ]
        return _by_who_is_right(key, place.page, shown, table.count(TableQuery()))


def _by_who_is_right(key: str, page: str, shown: Pictures, total: int) -> Disputed:
    groups: dict[str, Pictures] = {"candidate": [], "champion": [], "neither": []}
    for address, answers in shown:
        right = [name for name in ("candidate", "champion") if answers[name] == answers["label"]]
        groups[right[0] if len(right) == 1 else "neither"].append((address, answers))
    return Disputed(key, page, groups["candidate"], groups["champion"], groups["neither"], total)

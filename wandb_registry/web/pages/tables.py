"""A W&B Table, of a version or of a run: rows with their pictures, sorted, filtered, page by page."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from wandb_registry.errors import NotFound
from wandb_registry.model.runs import run_files
from wandb_registry.storage.table_databases import SORTED, Table, TableQuery, open_table
from wandb_registry.web import addresses, lookups
from wandb_registry.web.pager import pager
from wandb_registry.web.pages import files
from wandb_registry.web.shell import Export, Page, Visit

Row = dict[str, Any]
MANY = 50
GRID = 200  # pictures a page
TABS = 20  # of the tables beside this one
SUFFIX = ".table.json"


def of_run(visit: Visit) -> Page | Export:
    """A table that a run logged."""
    place, run = lookups.run(visit)
    name = run_files.clean_name(visit.path["path"])
    rows = run_files.page(visit.db, run["id"], [name], None, 1, 0)
    base = run["address"]
    file = {"path": name, "md5": rows[0]["md5"] if rows else None}
    steps = [(run["display_name"], base), ("Files", f"{base}/files")]
    beside = [row["name"] for row in run_files.page(visit.db, run["id"], None, f"%{SUFFIX}", TABS, 0)]
    return shown(visit, place, file, base, steps, beside)


def shown(
    visit: Visit, place: Row, file: Row, base: str, steps: list[tuple[str, str]], beside: list[str]
) -> Page | Export:
    """The page of a table, or its rows as CSV; `base` is the address of what holds it and the tables `beside` it."""
    if file["md5"] is None:
        raise NotFound(f"There is no table '{file['path']}'.")
    title, raw = _title(file["path"]), f"{base}/raw"
    grid = visit.query.get("view") == "grid"
    with _opened(visit, file) as table:
        sought = _sought(visit, table)
        if visit.query.get("view") == "csv":
            return Export(_csv(visit, file, sought), f"{title}.csv", "text/csv")
        pages = pager(visit, table.count(sought), GRID if grid else MANY)
        rows = table.rows(sought, pages.size, pages.offset)
        pictures = [at for at, column in enumerate(table.columns) if column.kind == "picture"]
        return Page(
            "table.html",
            {
                "title": title,
                "project": place,
                "steps": steps,
                "tabs": [
                    (_title(path), files.at(f"{base}/files", path), None, path == file["path"]) for path in beside
                ],
                "rows_in_all": table.count(TableQuery()),
                "columns": [_head(visit, at, column, sought) for at, column in enumerate(table.columns)],
                "rows": [
                    (number, [_cell(table, at, value, raw) for at, value in enumerate(cells)]) for number, cells in rows
                ],
                "pages": pages,
                "grid": pictures[0] if grid and pictures else None,
                "has_pictures": bool(pictures),
                "views": [
                    (words, _with(visit, view=view), (view == "grid") == grid)
                    for words, view in (("Rows", None), ("Grid", "grid"))
                ],
                "facets": [_facet(visit, at, column) for at, column in enumerate(table.columns) if column.counts],
                "q": visit.query.get("q", ""),
                "kept": [(key, value) for key, value in visit.query.multi_items() if key not in ("q", "page")],
                "clear": visit.address.partition("?")[0],
                "filtered": bool(sought.equal or sought.contains),
                "download": files.at(raw, file["path"]),
                "csv": _with(visit, view="csv"),
            },
        )


def _title(path: str) -> str:
    return PurePosixPath(path).name.removesuffix(SUFFIX)


def _opened(visit: Visit, file: Row) -> Table:
    return open_table(visit.store.folder, visit.store.blobs.path(file["md5"]), file["md5"])


def _csv(visit: Visit, file: Row, sought: TableQuery) -> Iterator[str]:
    with _opened(visit, file) as table:
        yield from table.csv(sought)


def _sought(visit: Visit, table: Table) -> TableQuery:
    numbers = {f"c{at}": at for at in range(len(table.columns))}
    sort = visit.query.get("sort", "")
    equal = [text.partition(":") for text in visit.query.getlist("is")]
    return TableQuery(
        sort=numbers.get(sort.lstrip("-")),
        descending=sort.startswith("-"),
        equal=tuple((numbers[key], value) for key, _, value in equal if key in numbers),
        contains=visit.query.get("q", "").strip()[:100],
    )


def _head(visit: Visit, at: int, column: Any, sought: TableQuery) -> Row:
    now = ("descending" if sought.descending else "ascending") if sought.sort == at else None
    sorts = _with(visit, sort=f"-c{at}" if now == "ascending" else f"c{at}")
    sortable = column.kind in SORTED
    kind = f"{column.kind} {column.shape}".strip()
    return {"name": column.name, "kind": kind, "order": now, "sorts": sorts if sortable else None}


def _facet(visit: Visit, at: int, column: Any) -> Row:
    """The values of a column, each a filter that is put on or taken off."""
    on = visit.query.getlist("is")
    values = []
    for value, count in column.counts:
        mark = f"c{at}:{value}"
        others = [one for one in on if not one.startswith(f"c{at}:")]
        values.append((value, count, _with(visit, **{"is": others if mark in on else [*others, mark]}), mark in on))
    return {"name": column.name, "values": values}


def _with(visit: Visit, **changed: Any) -> str:
    kept = {key: visit.query.getlist(key) for key in visit.query if key != "page"}
    return addresses.with_query(visit.address.partition("?")[0], kept | changed)


def _cell(table: Table, at: int, value: Any, raw: str) -> Row:
    kind = table.columns[at].kind
    if kind == "picture" and value:
        return {"kind": kind, "address": files.at(raw, str(value))}
    return {"kind": kind, "value": value}

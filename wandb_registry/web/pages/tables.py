"""The page of a W&B Table of a version or a run: its rows with pictures, sorted, filtered and paged."""

import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, TypeGuard

from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model.runs import run_files
from wandb_registry.storage.table_databases import SORTED, Side, Table, TableQuery, open_joined, open_table
from wandb_registry.web import addresses, lookups
from wandb_registry.web.pager import beginning, paginate
from wandb_registry.web.views import Export, Page, PageRequest

Row = dict[str, Any]
ROWS = 50  # on a page
COLUMNS = 50  # on a page
PICTURES = 200  # on a page of the grid
FIRST_ROWS, FIRST_COLUMNS = 6, 8  # of a table that stands in another page
SHOWN = 500  # characters of a cell; the page of its row has all of them
TABS = 20  # links to tables in the same folder, before somebody asks for all
SUFFIX = ".table.json"


def table_of_run(request: PageRequest) -> Page | Export:
    """The page of a table among a run's files."""
    project, run = lookups.find_run(request)
    name = run_files.clean_name(request.path["path"])
    rows = run_files.page(request.db, run["id"], [name], None, 1, 0)
    base = run["address"]
    file = {"path": name, "md5": rows[0]["md5"] if rows else None}
    parts = [file["md5"]] if rows else []
    steps = [(run["display_name"], base), ("Files", f"{base}/files")]
    beside = [row["name"] for row in run_files.page(request.db, run["id"], None, f"%{SUFFIX}", -1, 0)]
    return table_page(request, project, file, parts, base, steps, beside)


def table_page(
    request: PageRequest,
    project: Row,
    file: Row,
    parts: list[str] | list[Side],
    base: str,
    steps: list[tuple[str, str]],
    beside: list[str],
    raws: list[str] | None = None,
) -> Page | Export:
    """The page of a table, or its rows as CSV. Raises NotFound.

    `parts` are the md5s of its increments, or of its only file, or the tables that it joins; `base` is the address of
    its version or run, `beside` are the paths of the tables in its folder. `raws` has the addresses where the files of
    each joined table are, if they aren't all below `base`. A `file` without md5 is stored nowhere: it is joined on this
    page, by what the page offers.
    """
    if not parts:
        raise NotFound(f"There is no table '{file['path']}'.")
    shown_title, raw = title(file["path"]), f"{base}/raw"
    grid = request.query.get("view") == "grid"
    tabs = beginning(request, "tabs", len(beside), TABS)
    with _opened(request, parts) as table:
        query = _table_query(request, table)
        if request.query.get("view") == "csv":
            return Export(_csv(request, parts, query), f"{shown_title}.csv", "text/csv")
        pager = paginate(request, table.count(query), PICTURES if grid else ROWS)
        rows = table.rows(query, pager.size, pager.offset)
        pictures = [at for at, column in enumerate(table.columns) if column.kind == "picture"]
        of_columns = paginate(request, len(table.columns), COLUMNS, "columns")
        window = list(range(of_columns.offset, of_columns.last))
        if grid and pictures:
            window = [pictures[0], *(at for at in window if at != pictures[0])]
        return Page(
            "table.html",
            {
                "title": shown_title,
                "project": project,
                "steps": steps,
                "tabs": [
                    (title(path), addresses.file(f"{base}/files", path), None, path == file["path"])
                    for path in _with_own(beside, tabs.shown, file["path"])
                ],
                "all_tabs": tabs,
                "joined_by": _join_choices(table, parts) if "md5" not in file and _are_sides(parts) else [],
                "increments": 1 if _are_sides(parts) else len(parts),
                "rows_in_all": table.count(TableQuery()),
                "columns": [_head(request, at, table.columns[at], query) for at in window],
                "of_columns": of_columns,
                "rows": [
                    (
                        number,
                        [_cell(table, at, cells[at], raws[table.columns[at].side] if raws else raw) for at in window],
                        _with(request, row=number),
                    )
                    for number, cells in rows
                ],
                "shown": None if query.row else SHOWN,
                "arrays": [column.name for column in table.columns if column.kind == "array"],
                "pager": pager,
                "grid": grid and bool(pictures),
                "has_pictures": bool(pictures),
                "views": [
                    (label, _with(request, view=view), (view == "grid") == grid)
                    for label, view in (("Rows", None), ("Grid", "grid"))
                ],
                "facets": [_facet(request, at, table.columns[at]) for at in window if table.columns[at].counts],
                "q": request.query.get("q", ""),
                "kept": [(key, value) for key, value in request.query.multi_items() if key not in ("q", "page", "row")],
                "clear": request.address.partition("?")[0],
                "filtered": bool(query.equal or query.contains or query.row),
                "download": addresses.file(raw, file["path"]) if "md5" in file else None,
                "csv": _with(request, view="csv"),
            },
        )


def beginning_of(request: PageRequest, md5: str, raw: str) -> Row | None:
    """The first rows and columns of a table, to stand in another page; None for a file that is no table.

    `raw` is the address below which the files are that its cells name.
    """
    try:
        with open_table(request.store.folder, [(request.store.blobs.local(md5), md5)]) as table:
            shown = range(min(FIRST_COLUMNS, len(table.columns)))
            return {
                "columns": [table.columns[at] for at in shown],
                "rows": [
                    [_cell(table, at, cells[at], raw) for at in shown]
                    for _, cells in table.rows(TableQuery(), FIRST_ROWS, 0)
                ],
                "rows_in_all": table.count(TableQuery()),
                "columns_in_all": len(table.columns),
            }
    except (BadInput, FileNotFoundError):
        return None


def _with_own(paths: list[str], most: int, own: str) -> list[str]:
    """The first paths; the last of them is the page's own if that comes later."""
    return paths[:most] if own in paths[:most] else [*paths[: most - 1], own]


def title(path: str) -> str:
    """What a table is called where its path is too long."""
    return PurePosixPath(path).name.removesuffix(SUFFIX)


def side_of(request: PageRequest, md5: str, label: str, key: str | None) -> Side:
    """A table to be joined by the values of a column, or by the numbers of rows if there is none."""
    return Side(request.store.blobs.local(md5), md5, label, key)


def _are_sides(parts: list[str] | list[Side]) -> TypeGuard[list[Side]]:
    return isinstance(parts[0], Side)


def _join_choices(table: Table, sides: list[Side]) -> list[tuple[str, str, bool]]:
    """(value, label, chosen) of what may join the rows: their numbers, or a column that all tables have."""
    names = [[] for _ in sides]
    for column in table.columns:
        names[column.side].append(column.name.removeprefix(f"{sides[column.side].label}: "))
    common = [name for name in names[0] if all(name in others for others in names)]
    return [("", "row number", not sides[0].key), *((name, name, name == sides[0].key) for name in common)]


def _opened(request: PageRequest, parts: list[str] | list[Side]) -> Table:
    if _are_sides(parts):
        return open_joined(request.store.folder, parts)
    md5s = [part for part in parts if isinstance(part, str)]
    return open_table(request.store.folder, [(request.store.blobs.local(md5), md5) for md5 in md5s])


def _csv(request: PageRequest, parts: list[str] | list[Side], query: TableQuery) -> Iterator[str]:
    with _opened(request, parts) as table:
        yield from table.csv(query)


def _table_query(request: PageRequest, table: Table) -> TableQuery:
    numbers = {f"c{at}": at for at in range(len(table.columns))}
    sort = request.query.get("sort", "")
    equal = [text.partition(":") for text in request.query.getlist("is")]
    return TableQuery(
        sort=numbers.get(sort.lstrip("-")),
        descending=sort.startswith("-"),
        equal=tuple((numbers[key], value) for key, _, value in equal if key in numbers),
        contains=request.query.get("q", "").strip(),
        row=int(row) if (row := request.query.get("row", "")).isascii() and row.isdigit() and len(row) < 16 else None,
    )


def _head(request: PageRequest, at: int, column: Any, query: TableQuery) -> Row:
    order = ("descending" if query.descending else "ascending") if query.sort == at else None
    address = _with(request, sort=f"-c{at}" if order == "ascending" else f"c{at}")
    sortable = column.kind in SORTED
    kind = f"{column.kind} {column.shape}".strip()
    return {"name": column.name, "kind": kind, "order": order, "sort_address": address if sortable else None}


def _facet(request: PageRequest, at: int, column: Any) -> Row:
    """The values of a column. Each has an address that sets or clears the filter for it."""
    on = request.query.getlist("is")
    values = []
    for value, count in column.counts:
        mark = f"c{at}:{value}"
        others = [other for other in on if not other.startswith(f"c{at}:")]
        shown = _shown(column.kind, value)
        values.append((shown, count, _with(request, **{"is": others if mark in on else [*others, mark]}), mark in on))
    return {"name": column.name, "values": values}


def _with(request: PageRequest, **changed: Any) -> str:
    kept = {key: request.query.getlist(key) for key in request.query if key != "page"}
    return addresses.with_query(request.address.partition("?")[0], kept | changed)


def _cell(table: Table, at: int, value: Any, raw: str) -> Row:
    kind = table.columns[at].kind
    if kind == "picture" and value:
        return {"kind": kind, "address": addresses.file(raw, str(value))}
    return {"kind": kind, "value": _shown(kind, value)}


def _shown(kind: str, value: Any) -> Any:
    """A number is a text where SQLite can't hold it."""
    return json.loads(value) if kind == "number" and isinstance(value, str) else value

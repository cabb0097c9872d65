"""A run: what it was given, what it measured, printed, used and made. While it goes on, its page grows."""

from typing import Any

from registry.errors import NotFound
from registry.model import history, lineage, runfiles, runs
from registry.web import addresses, curves, find, media
from registry.web.pager import pager
from registry.web.shell import Content, Page, Visit

Row = dict[str, Any]
LINES = 1000  # console lines a page: the last ones, unless the address asks for others
FILES = 100
TABS = ("overview", "logs", "system", "files")


def run(visit: Visit) -> Page:
    """The run of the address, and the part of it that the address names."""
    place, found = find.run(visit)
    tab = visit.path.get("tab", "overview")
    if tab not in TABS:
        raise NotFound(f"A run has no page '{tab}'. There are: {', '.join(TABS)}.")
    state = runs.state(found)
    address = addresses.run(place["entity_name"], place["name"], found["name"])
    shown = {
        "title": found["display_name"],
        "project": place,
        "run": found | {"state": state, "tags": runs.loads(found["tags"])},
        "live": state == "running",
        "address": address,
        "tab": tab,
        "tabs": _tabs(visit, found, address, tab),
        "group": _group_address(place, found),
    }
    return Page(
        "run.html",
        shown | {"overview": _overview, "logs": _logs, "system": _system, "files": _files}[tab](visit, found),
    )


def raw(visit: Visit) -> Content:
    """A file of a run: pictures are shown, all else is downloaded."""
    _, found = find.run(visit)
    name = runfiles.clean_name(visit.path["path"])
    rows = runfiles.page(visit.db, found["id"], [name], None, 1, 0)
    if not rows:
        raise NotFound(f"The run '{found['display_name']}' has no file '{name}'.")
    return Content(rows[0]["md5"], name.rpartition("/")[2])


def compared(visit: Visit) -> Page:
    """Several runs in the same charts, and where their parameters and results differ."""
    from registry.web.runs import facts

    place = find.project(visit)
    wanted = list(dict.fromkeys(visit.query.getlist("run")))[:8]
    rows = [row for name in wanted for row in [_named(visit, place, name)] if row]
    found = find.runs(visit, rows)
    all_facts = [facts(row) for row in found]
    keys = sorted({key for one in all_facts for key in one})
    charts, total = curves.of_runs(visit, found)
    return Page(
        "runs_compared.html",
        {
            "title": "Compare runs",
            "project": place,
            "runs": [row | {"state": runs.state(row)} for row in found],
            "facts": [_row(key, [one.get(key) for one in all_facts]) for key in keys],
            "charts": charts,
            "total": total,
            "axis": curves.axis_of(visit),
            "smoothing": curves.smoothing_of(visit),
            "kept": [("run", name) for name in wanted],
            "all": addresses.join(place["entity_name"], place["name"], "runs"),
        },
    )


def _row(key: str, values: list[Any]) -> tuple[str, list[Any], bool]:
    """A key, what each run has of it, and whether they differ."""
    return key, values, any(value != values[0] for value in values)


def _named(visit: Visit, place: Row, name: str) -> Row | None:
    return visit.db.one(
        "select * from run where project_id = :project and name = :name", project=place["id"], name=name
    )


def _tabs(visit: Visit, found: Row, address: str, tab: str) -> list[tuple]:
    counts = {
        "logs": history.console_count(visit.db, found),
        "files": runfiles.count(visit.db, found["id"]),
    }
    return [
        (name.capitalize(), address if name == "overview" else f"{address}/{name}", counts.get(name), name == tab)
        for name in TABS
    ]


def _group_address(place: Row, found: Row) -> str | None:
    path = addresses.join(place["entity_name"], place["name"], "runs")
    return addresses.with_query(path, {"group": found["group_name"]}) if found["group_name"] else None


def _overview(visit: Visit, found: Row) -> Row:
    config = {key: entry.get("value") for key, entry in runs.loads(found["config"]).items() if isinstance(entry, dict)}
    summary = {key: value for key, value in runs.loads(found["summary"]).items() if not key.startswith("_")}
    charts, total = curves.of_runs(visit, [found])
    return {
        "config": dict(_flat({key: value for key, value in config.items() if key != "_wandb"})),
        "summary": {key: value for key, value in _flat(summary) if not media.is_media(value)},
        "media": media.of_run(visit, found, summary),
        "charts": charts,
        "total": total,
        "axis": curves.axis_of(visit),
        "smoothing": curves.smoothing_of(visit),
        "inputs": find.versions(visit, lineage.inputs(visit.db, found["id"])),
        "outputs": find.versions(visit, lineage.outputs(visit.db, found["id"])),
    }


def _flat(values: Row, path: str = ""):
    for key, value in values.items():
        if isinstance(value, dict) and value and "_type" not in value:
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _logs(visit: Visit, found: Row) -> Row:
    total = history.console_count(visit.db, found)
    pages = pager(visit, total, LINES)
    offset = pages.offset if "page" in visit.query else max(0, total - LINES)  # first its end
    lines = history.console_lines(visit.db, found, LINES, offset)
    return {"lines": lines, "first": offset + 1, "lines_total": total, "pages": pages if total > LINES else None}


def _system(visit: Visit, found: Row) -> Row:
    charts, total = curves.of_runs(visit, [found], "events")
    return {"charts": charts, "total": total, "axis": "time", "metrics": history.system_metrics(visit.db, found)}


def _files(visit: Visit, found: Row) -> Row:
    pages = pager(visit, runfiles.count(visit.db, found["id"]), FILES)
    rows = runfiles.page(visit.db, found["id"], None, None, pages.size, pages.offset)
    base = addresses.join(visit.path["entity"], visit.path["project"], "runs", visit.path["run"], "raw")
    shown = [row | {"raw": f"{base}{addresses.join(*row['name'].split('/'))}"} for row in rows]
    return {"rows": shown, "pages": pages}

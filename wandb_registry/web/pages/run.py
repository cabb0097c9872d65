"""A run: what it was given, what it measured, printed, used and made. While it goes on, its page grows."""

from typing import Any

from wandb_registry.errors import NotFound
from wandb_registry.model.accounts import users
from wandb_registry.model.artifacts import lineage
from wandb_registry.model.nested_keys import leaves
from wandb_registry.model.runs import history, run_files, runs
from wandb_registry.web import addresses, console, lookups, media, media_overlays
from wandb_registry.web.charts import metric_charts
from wandb_registry.web.pager import pager
from wandb_registry.web.pages import code, files, tables
from wandb_registry.web.shell import ContentResponse, Export, Page, Visit

Row = dict[str, Any]
LINES = 500  # console lines a page: the last ones, unless the address asks for others
FILES = 100
FIRST_CHARTS = 6  # on the overview
TABS = {
    "overview": "Overview", "charts": "Charts", "media": "Media", "logs": "Console", "system": "System",
    "files": "Files", "artifacts": "Artifacts",
}  # fmt: skip
ALSO = {"workspace": "overview", "code": "files"}  # what W&B calls some of them


def run(visit: Visit) -> Page:
    """The run of the address, and the part of it that the address names."""
    place, found = lookups.run(visit)
    asked = visit.path.get("tab", "overview")
    tab = ALSO.get(asked, asked)
    if tab not in TABS:
        raise NotFound(f"A run has no page '{tab}'. There are: {', '.join(TABS)}.")
    state = runs.state(found)
    address = found["address"]
    about = code.of_run(visit, found)
    shown = {
        "title": found["display_name"],
        "project": place,
        "run": found | {"state": state, "tags": runs.loads(found["tags"]), "seconds": runs.seconds(found)},
        "by": users.by_id(visit.db, found["user_id"])["username"] if found["user_id"] else None,
        "about": about,
        "live": state in runs.UNDER_WAY,
        "address": address,
        "compare": addresses.with_query(
            addresses.join(place["entity_name"], place["name"], "runs"), {"with": found["name"]}
        ),
        "tab": tab,
        "tabs": _tabs(visit, found, address, tab),
        "group": _group_address(place, found),
    }
    views = {
        "overview": _overview, "charts": _charts, "media": _media, "logs": _logs, "system": _system,
        "files": _files, "artifacts": _artifacts,
    }  # fmt: skip
    return Page("run.html", shown | views[tab](visit, found))


def file(visit: Visit) -> Page | Export:
    """A file of a run with as much of it as can be shown; a table as a table."""
    place, found = lookups.run(visit)
    row = _file(visit, found)
    if row["name"].endswith(tables.SUFFIX):
        return tables.of_run(visit)
    base = found["address"]
    steps = [(found["display_name"], base), ("Files", f"{base}/files")]
    return files.page(
        visit, place, row | {"path": row["name"], "ref": None}, files.at(f"{base}/raw", row["name"]), steps
    )


def raw(visit: Visit) -> ContentResponse:
    """A file of a run: media are shown, all else is downloaded."""
    _, found = lookups.run(visit)
    row = _file(visit, found)
    return ContentResponse(row["md5"], row["name"].rpartition("/")[2])


def _file(visit: Visit, found: Row) -> Row:
    name = run_files.clean_name(visit.path["path"])
    rows = run_files.named(visit.db, found["id"], [name])
    if not rows:
        raise NotFound(f"The run '{found['display_name']}' has no file '{name}'.")
    return rows[0]


def _tabs(visit: Visit, found: Row, address: str, tab: str) -> list[tuple]:
    counts = {
        "media": len(media.counts(found)),
        "files": run_files.count(visit.db, found["id"]),
    }
    return [
        (words, address if name == "overview" else f"{address}/{name}", counts.get(name), name == tab)
        for name, words in TABS.items()
        if name != "media" or counts["media"] or tab == "media"
    ]


def _group_address(place: Row, found: Row) -> str | None:
    path = addresses.join(place["entity_name"], place["name"], "runs")
    return addresses.with_query(path, {"group": found["group_name"]}) if found["group_name"] else None


def _overview(visit: Visit, found: Row) -> Row:
    entries = runs.loads(found["config"]).items()
    config = {key: entry.get("value") for key, entry in entries if isinstance(entry, dict) and key != "_wandb"}
    in_dvc = config.pop("dvc", None)
    summary = _summary(found)
    return {
        "config": dict(sorted(leaves(config))),
        "in_dvc": dict(leaves({"dvc": in_dvc})) if in_dvc else {},
        "summary": {key: summary[key] for key in sorted(summary) if not media.is_media(summary[key])},
        "media": media.of_run(visit, found, media.among(summary)),
        "overlays": media_overlays.tables(),
        "counts": media.counts(found),
        **_drawn(visit, found, metric_charts.metric_charts(visit, [found], most=FIRST_CHARTS)),
        **_artifacts(visit, found),
    }


def _summary(found: Row) -> Row:
    return dict(leaves({key: value for key, value in runs.loads(found["summary"]).items() if not key.startswith("_")}))


def _drawn(visit: Visit, found: Row, drawn: metric_charts.MetricCharts) -> Row:
    return {
        "drawn": drawn,
        "axes": metric_charts.possible_axes(found),
        "axis": metric_charts.chosen_axis(visit),
        "smoothing": metric_charts.chosen_smoothing(visit),
    }


def _charts(visit: Visit, found: Row) -> Row:
    return _drawn(visit, found, metric_charts.metric_charts(visit, [found]))


def _media(visit: Visit, found: Row) -> Row:
    """The last of all keys, or all steps of one."""
    shown = {"overlays": media_overlays.tables(), "counts": media.counts(found), "of_key": None}
    if key := visit.query.get("key"):
        return shown | {"media": [], "of_key": media.steps_of(visit, found, key)}
    return shown | {"media": media.of_run(visit, found, media.among(_summary(found)))}


def _artifacts(visit: Visit, found: Row) -> Row:
    ways = {"inputs": lineage.inputs, "outputs": lineage.outputs}
    return {
        name: lookups.with_dvc(visit, lookups.versions(visit, read(visit.db, found["id"])))
        for name, read in ways.items()
    }


def _logs(visit: Visit, found: Row) -> Row:
    total = history.console_count(visit.db, found)
    pages = pager(visit, total, LINES, unsaid=0)
    last = "page" not in visit.query  # first its end
    offset = max(0, total - LINES) if last else pages.offset
    rows = history.console_lines(visit.db, found, LINES, offset, last)
    lines = [row | {"spans": console.spans(row["line"])} for row in rows]
    return {
        "lines": lines,
        "first": offset + 1,
        "lines_total": total,
        "pages": pages if total > LINES else None,
        "last": last,
    }


def _system(visit: Visit, found: Row) -> Row:
    return {"drawn": metric_charts.metric_charts(visit, [found], "events")}


def _files(visit: Visit, found: Row) -> Row:
    pages = pager(visit, run_files.count(visit.db, found["id"]), FILES)
    rows = run_files.page(visit.db, found["id"], None, None, pages.size, pages.offset)
    shown = [
        row | {way: files.at(f"{found['address']}/{way}", row["name"]) for way in ("files", "raw")} for row in rows
    ]
    return {"rows": shown, "pages": pages}

"""The pages of a run: its config, metrics, media, console, files and artifacts. They update while it is running."""

from collections.abc import Callable, Iterator
from typing import Any

from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model import access
from wandb_registry.model.accounts import users
from wandb_registry.model.artifacts import lineage
from wandb_registry.model.nested_keys import leaves
from wandb_registry.model.runs import history, run_files, runs
from wandb_registry.web import addresses, alerts, console, lookups
from wandb_registry.web.activity import run_lines
from wandb_registry.web.charts.metric_charts import metric_charts, toggled
from wandb_registry.web.media import custom_charts, kinds, overlays
from wandb_registry.web.media.logged_media import (
    in_panels,
    is_media,
    last_media,
    media_by_step,
    media_counts,
    media_of_run,
    media_of_step,
    page_of_media,
)
from wandb_registry.web.pager import Beginning, paginate
from wandb_registry.web.pages import files, questions, tables
from wandb_registry.web.pages.code import code_of_run
from wandb_registry.web.views import Export, Framed, Page, PageRequest, Redirect, StoredFile

Row = dict[str, Any]
LINES = 500  # console lines on a page: the last ones, unless the address asks for others
FILES = 100  # on a page
FIRST_CHARTS = 6  # on the overview
LARGEST_INLINE = 2**18  # bytes of a table whose first rows stand among media
FIRST_MEDIA = 24  # keys of media, there
TABS = {
    "overview": "Overview", "charts": "Charts", "media": "Media", "logs": "Console", "system": "System",
    "files": "Files", "artifacts": "Artifacts",
}  # fmt: skip
SYNONYMS = {"workspace": "overview", "code": "files"}  # what W&B calls some of them


def run_page(request: PageRequest) -> Page | Redirect | Export:
    """The tab of a run that the address names."""
    project, run = lookups.find_run(request)
    if switched := toggled(request):
        return switched
    if what := questions.asked(request, questions.OF_RUN):
        steps = [(run["display_name"], run["address"])]
        return questions.page(request, project, questions.of_run(request, run, what), run["address"], steps, "projects")
    if request.path.get("tab") == "logs" and request.query.get("view") == "text":
        return Export(_console_text(request, run), f"{run['name']}.log", "text/plain")
    may_change = access.project_role(request.db, request.viewer, project) >= access.Role.MEMBER
    name = request.path.get("tab", "overview")
    tab = SYNONYMS.get(name, name)
    if tab not in TABS:
        raise NotFound(f"A run has no page '{name}'. There are: {', '.join(TABS)}.")
    state = runs.state(run)
    table = addresses.join(project["entity_name"], project["name"], "runs")
    return Page(
        "run.html",
        {
            "title": run["display_name"],
            "project": project,
            "run": run | {"state": state, "tags": runs.loads(run["tags"]), "seconds": runs.seconds(run)},
            "by": users.by_id(request.db, run["user_id"])["username"] if run["user_id"] else None,
            "code": code_of_run(request, run),
            "live": state in runs.UNDER_WAY,
            "may_change": may_change,
            "refused": request.refused,
            "activity": run_lines(request, run, may_change),
            "address": run["address"],
            "compare": addresses.with_query(table, {"with": run["name"]}),
            "tab": tab,
            "tabs": _tabs(request, run, tab),
            **alerts.shown(request, project, run),
            "group": addresses.with_query(table, {"group": run["group_name"]}) if run["group_name"] else None,
            **VIEWS[tab](request, run | {"project": project}),
        },
    )


def file(request: PageRequest) -> Page | Export:
    """The page of a run's file, with a preview if there can be one; of a table, its rows."""
    project, run = lookups.find_run(request)
    file = _find_file(request, run)
    base, note = run["address"], ""
    if file["name"].endswith(tables.SUFFIX):
        try:
            return tables.table_of_run(request)
        except BadInput as error:  # a table that can't be shown as one gets the page of a file
            note = str(error)
    steps = [(run["display_name"], base), ("Files", f"{base}/files")]
    shown = file | {"path": file["name"], "ref": None}
    raw = addresses.file(f"{base}/raw", file["name"])
    return files.file_page(
        request, project, shown, raw, steps, frame=addresses.file(f"{base}/frame", file["name"]), note=note
    )


def raw_file(request: PageRequest) -> StoredFile:
    """The content of a run's file. Media are shown; anything else is a download."""
    _, run = lookups.find_run(request)
    file = _find_file(request, run)
    return StoredFile(file["md5"], file["name"].rpartition("/")[2])


def framed_file(request: PageRequest) -> Framed:
    """A file of the run as a page for a sandboxed frame. Raises NotFound for a file that is shown in none."""
    _, run = lookups.find_run(request)
    file = _find_file(request, run)
    if key := request.query.get("plot"):
        return custom_charts.framed(request, run, file, key)
    return files.framed(file["md5"], file["name"], request)


def _find_file(request: PageRequest, run: Row) -> Row:
    name = run_files.clean_name(request.path["path"])
    rows = run_files.named(request.db, run["id"], [name])
    if not rows:
        raise NotFound(f"The run '{run['display_name']}' has no file '{name}'.")
    return rows[0]


def _tabs(request: PageRequest, run: Row, tab: str) -> list[tuple]:
    counts = {"media": len(media_counts(run)), "files": run_files.count(request.db, run["id"])}
    address = run["address"]
    return [
        (label, address if name == "overview" else f"{address}/{name}", counts.get(name), name == tab)
        for name, label in TABS.items()
        if name != "media" or counts["media"] or tab == "media"
    ]


# ---- what the tabs show ----


def _overview(request: PageRequest, run: Row) -> Row:
    entries = runs.loads(run["config"]).items()
    config = {key: entry.get("value") for key, entry in entries if isinstance(entry, dict) and key != "_wandb"}
    in_dvc = config.pop("dvc", None)
    summary = _summary(run)
    logged = last_media(request, run, summary)
    return {
        "config": dict(sorted(leaves(config))),
        "in_dvc": dict(leaves({"dvc": in_dvc})) if in_dvc else {},
        "summary": {key: summary[key] for key in sorted(summary) if not is_media(summary[key])},
        "media": in_panels(media_of_run(request, run, logged[:FIRST_MEDIA])),
        "first_media": FIRST_MEDIA,
        "media_keys": len(logged),
        "mask_colors": overlays.mask_colors(),
        "counts": media_counts(run),
        "drawn": metric_charts(request, run["project"], [run], most=FIRST_CHARTS),
        **_artifacts(request, run),
    }


def _summary(run: Row) -> Row:
    return dict(leaves({key: value for key, value in runs.loads(run["summary"]).items() if not key.startswith("_")}))


def _charts(request: PageRequest, run: Row) -> Row:
    return {"drawn": metric_charts(request, run["project"], [run])}


def _media(request: PageRequest, run: Row) -> Row:
    """The last media of all keys, or those of one key at all steps or at one."""
    shown = {"mask_colors": overlays.mask_colors(), "counts": media_counts(run), "of_key": None}
    key, step = request.query.get("key"), request.query.get("step")
    if key and step:
        return shown | {"media": [], "of_key": media_of_step(request, run, key, step)}
    if key:
        return shown | {"media": [], "of_key": media_by_step(request, run, key)}
    kept = [(name, value) for name, value in request.query.multi_items() if name != "together"]
    part = request.query.get("part", "").strip()
    logged = last_media(request, run, _summary(run))
    named = [(key, value) for key, value in logged if part.casefold() in key.casefold()]
    kind = kinds.chosen(request)
    found = [(key, value) for key, value in named if not kind or kinds.kind_of(run, key, value) == kind]
    shown |= {"kept": kept, "together": bool(request.query.get("together")), "part": part, "media_keys": len(logged)}
    shown |= {"kinds": kinds.options(run, named), "kind": kind}
    page = page_of_media(request, run, found)
    for one in page["media"]:
        if one["kind"] == "table" and one["content"] and one["size"] <= LARGEST_INLINE:
            one["beginning"] = tables.beginning_of(request, one["content"].md5, one["content"].raw)
    return shown | page


def _logs(request: PageRequest, run: Row) -> Row:
    if text := request.query.get("find", "").strip():
        return _found_lines(request, run, text)
    return {"find": ""} | _lines(request, run)


def _found_lines(request: PageRequest, run: Row, text: str) -> Row:
    """The console lines that hold a text, each with the place where it stands among the others."""
    total, _ = history.console_found(request.db, run, text, 1, 0)
    pager = paginate(request, total, LINES)
    _, rows = history.console_found(request.db, run, text, pager.size, pager.offset)
    logs = f"{run['address']}/logs"
    found = [
        row
        | {
            "spans": console.styled_spans(console.seen(row["line"])),
            "at": row["number"] + 1,
            "address": f"{logs}?page={row['number'] // LINES + 1}#L{row['number'] + 1}",
        }
        for row in rows
    ]
    return {"find": text, "found": found, "pager": pager}


def _console_text(request: PageRequest, run: Row) -> Iterator[str]:
    """The whole console as it was printed, read piece by piece while it is sent."""
    offset = 0
    while True:
        with request.store.db.read() as db:
            rows = history.console_lines(db, run, LINES, offset)
        if not rows:
            return
        yield "".join(f"{row['line']}\n" for row in rows)
        offset += LINES


def _lines(request: PageRequest, run: Row) -> Row:
    total = history.console_count(request.db, run)
    pager = paginate(request, total, LINES, default=0)
    last = "page" not in request.query  # the end of the console comes first
    offset = max(0, total - LINES) if last else pager.offset
    if only := _number(request.query.get("line", ""), total):
        pager, last, offset = paginate(request, total, 1, "line"), False, only - 1
    rows = history.console_lines(request.db, run, 1 if only else LINES, offset, last)
    most = None if only else console.LONGEST_LINE
    return {
        "lines": [_log_line(request, number, row["line"], most) | row for number, row in enumerate(rows, offset + 1)],
        "first": offset + 1,
        "lines_total": total,
        "pager": pager if pager.page_count > 1 else None,
        "last": last,
        "among": f"{run['address']}/logs?page={(only - 1) // LINES + 1}#L{only}" if only else None,
    }


def _log_line(request: PageRequest, number: int, line: str, most: int | None) -> Row:
    """A console line's first `most` characters with their colours, and where all of it is."""
    line, address = console.seen(line), addresses.with_query(request.address.partition("?")[0], {"line": number})
    shown = len(line) if most is None else min(most, len(line))
    return {"spans": console.styled_spans(line[:shown]), "all": Beginning(shown, len(line), address)}


def _number(text: str, most: int) -> int | None:
    """A number from 1 to `most`; None for any other text."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    return number if 0 < number <= most else None


def _system(request: PageRequest, run: Row) -> Row:
    return {"drawn": metric_charts(request, run["project"], [run], streams=["system"])}


def _files(request: PageRequest, run: Row) -> Row:
    pager = paginate(request, run_files.count(request.db, run["id"]), FILES)
    rows = run_files.page(request.db, run["id"], None, None, pager.size, pager.offset)
    shown = [
        row | {way: addresses.file(f"{run['address']}/{way}", row["name"]) for way in ("files", "raw")} for row in rows
    ]
    return {"rows": shown, "pager": pager}


def _artifacts(request: PageRequest, run: Row) -> Row:
    reads = {"inputs": lineage.inputs, "outputs": lineage.outputs}
    return {
        name: lookups.with_dvc_names(request, lookups.visible_versions(request, read(request.db, run["id"])))
        for name, read in reads.items()
    }


VIEWS: dict[str, Callable[[PageRequest, Row], Row]] = {
    "overview": _overview,
    "charts": _charts,
    "media": _media,
    "logs": _logs,
    "system": _system,
    "files": _files,
    "artifacts": _artifacts,
}

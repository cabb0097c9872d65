"""The search: runs, artifacts, models, versions and projects by any part of what they are called, or by an md5."""

import json
from collections.abc import Callable
from typing import Any

from wandb_registry.model import access, projects
from wandb_registry.model.accounts import members
from wandb_registry.model.artifacts import artifacts, dvc_md5
from wandb_registry.model.search import everything, overview
from wandb_registry.web import addresses, lookups
from wandb_registry.web.formats import cut
from wandb_registry.web.pager import Beginning, beginning, paginate
from wandb_registry.web.views import Page, PageRequest, Redirect

Row = dict[str, Any]
FIRST = 8  # hits of each kind, where all kinds are shown
ROWS = 50  # on a page of one kind
LONGEST = 120  # characters of a note beside a hit
LABELS = {
    "runs": "Runs", "artifacts": "Artifacts", "models": "Registered models", "versions": "Versions",
    "projects": "Projects",
}  # fmt: skip


def search(request: PageRequest) -> Page | Redirect:
    """Finds a text anywhere in names, tags, notes and descriptions. A single hit leads to its page."""
    text, only = request.query.get("q", "").strip(), request.query.get("kind", "")
    ids = _visible(request)
    groups = [_group(request, kind, text, ids, only == kind) for kind in LABELS if text and only in ("", kind)]
    groups = [group for group in groups if group["total"]]
    by_md5, all_by_md5 = _of_md5(request, text) if text and not only else ([], None)
    hits = [*by_md5, *(hit for group in groups for hit in group["hits"])]
    if len(hits) == 1 and not only:
        return Redirect(hits[0]["address"])
    return Page(
        "search.html",
        {"title": "Search", "text": text, "groups": groups, "by_md5": by_md5, "all_by_md5": all_by_md5, "only": only},
    )


def _visible(request: PageRequest) -> list[int]:
    """The ids of all projects that the viewer may see."""
    rows = request.db.all("select * from project")
    return [row["id"] for row in access.visible_projects(request.db, request.viewer, rows)]


def _group(request: PageRequest, kind: str, text: str, ids: list[int], alone: bool) -> Row:
    """The hits of one kind in these projects: the first, or a page of all."""
    total = everything.count(request.db, kind, ids, text)
    pager = paginate(request, total, ROWS if alone else FIRST)
    rows = everything.page(request.db, kind, ids, text, pager.size, pager.offset if alone else 0)
    return {
        "kind": kind,
        "label": LABELS[kind],
        "total": total,
        "hits": [HITS[kind](row) | {"found": _found(row, text)} for row in rows],
        "pager": pager if alone else None,
        "all": addresses.with_query(addresses.at("/search"), {"q": text, "kind": kind}),
    }


def _found(row: Row, text: str) -> str:
    """Where the text was found, if its name doesn't show it: a tag, a note, a description."""
    folded = text.casefold()
    if folded in (row.get("display_name") or row["name"]).casefold():
        return ""
    tags = json.loads(row["tags"]) if "tags" in row else (row.get("tag_names") or "").split("\n")
    if tagged := [str(tag) for tag in tags if folded in str(tag).casefold()]:
        return f"tag {tagged[0]}"
    for name, label in FIELDS.items():
        if folded in str(row.get(name) or "").casefold():
            return f"{label} {cut(_around(str(row[name]), folded), LONGEST)}"
    return ""


FIELDS = {
    "notes": "notes:", "description": "description:", "group_name": "group", "job_type": "job type",
    "git_commit": "commit", "name": "id",
}  # fmt: skip


def _around(text: str, folded: str) -> str:
    """The text from a little before what was found."""
    at = text.casefold().find(folded)
    return " ".join((text if at < LONGEST // 2 else f"…{text[at - LONGEST // 4 :]}").split())


def _run(row: Row) -> Row:
    address = addresses.run(row["entity_name"], row["project_name"], row["name"])
    return {"name": row["display_name"], "address": address, "kind": "run", "where": _project(row)}


def _collection(row: Row) -> Row:
    project = {"entity_name": row["entity_name"], "name": row["project_name"]}
    kind = f"registered {row['type_name']}" if row["kind"] == "PORTFOLIO" else row["type_name"]
    address = addresses.page_of_collection(row, project, row["type_name"])
    return {"name": row["name"], "address": address, "kind": kind, "where": _project(row)}


def _version(row: Row) -> Row:
    project, number = {"entity_name": row["entity_name"], "name": row["project_name"]}, f"v{row['version_index']}"
    address = addresses.page_of_version(row, project, row["type_name"], number)
    return {"name": f"{row['name']}:{number}", "address": address, "kind": row["type_name"], "where": _project(row)}


def _whole_project(row: Row) -> Row:
    address = addresses.project(row["entity_name"], row["name"])
    return {"name": row["name"], "address": address, "kind": "project", "where": row["entity_name"]}


def _project(row: Row) -> str:
    return f"{row['entity_name']}/{row['project_name']}"


HITS: dict[str, Callable[[Row], Row]] = {
    "runs": _run, "artifacts": _collection, "models": _collection, "versions": _version, "projects": _whole_project,
}  # fmt: skip


def _of_md5(request: PageRequest, text: str) -> tuple[list[Row], Beginning]:
    """Versions that have this digest, a file of this md5, or this md5 in DVC: the newest, and where all are."""
    db, digest = request.db, dvc_md5.md5_of_alias(text)
    rows = artifacts.by_ids(db, overview.versions_with_digest(db, digest))
    visible = access.visible(db, request.viewer, sorted(rows.values(), key=lambda row: -row["id"]))
    some = beginning(request, "md5", len(visible), ROWS)
    return [
        {
            "kind": row["type"],
            "name": row["name"],
            "address": row["address"],
            "where": members.path(projects.by_id(db, row["project_id"])),
            "found": f"md5 {digest}",
        }
        for row in lookups.visible_versions(request, visible[: some.shown])
    ], some

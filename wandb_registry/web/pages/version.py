"""The page of a version, in its own collection or in a registered model."""

import json
from typing import Any

from wandb_registry.model import access, projects
from wandb_registry.model.access import Role
from wandb_registry.model.accounts import users
from wandb_registry.model.artifacts import artifacts, collections, dvc_md5, folder_listing, lineage, memberships, tags
from wandb_registry.model.nested_keys import leaves
from wandb_registry.model.runs import version_metrics
from wandb_registry.model.search import overview
from wandb_registry.web import addresses, lookups
from wandb_registry.web.activity import activity_line
from wandb_registry.web.pager import beginning, paginate
from wandb_registry.web.pages import questions
from wandb_registry.web.promotion import page as promotion_page
from wandb_registry.web.promotion import statements
from wandb_registry.web.usage import usage_snippets
from wandb_registry.web.views import Page, PageRequest

Row = dict[str, Any]
FILES = 50  # on a page
BESIDE = 30  # versions in the list beside it
MOST_USERS = 20  # runs that used it
MOST_FACTS = 500  # of its metadata
MOST_METRICS = 8
EVENTS = 8
SUGGESTED_ALIASES = ("production", "staging", "candidate")
FILE_LIST = ("file", "files", "folder")  # parameters of the list of files


def version_page(request: PageRequest, project: Row, collection: Row, alias: str) -> Page:
    """The page of the version that an alias or number names in a collection. Raises NotFound."""
    db, viewer = request.db, request.viewer
    membership = lookups.find_membership(request, collection, alias)
    number = memberships.version(membership)
    artifact = artifacts.by_id(db, membership["artifact_id"])
    type_name = collections.type_of(db, collection)["name"]
    registered = collection["kind"] == "PORTFOLIO"
    here = addresses.page_of_version(collection, project, type_name, number)
    if what := questions.asked(request, questions.OF_VERSION):
        steps, section = [(f"{collection['name']}:{number}", here)], "models" if registered else "projects"
        question = questions.of_version(request, collection, membership, what)
        return questions.page(request, project, question, here, steps, section)
    may_change = access.project_role(db, viewer, project) >= Role.MEMBER
    versions = beginning(request, "beside", memberships.count(db, collection["id"]), BESIDE)
    newer = overview.count_newer(db, collection["id"], membership["version_index"])
    offset = max(0, newer - BESIDE // 2) if versions.shown < versions.total else 0
    beside = version_rows(request, collection, versions.shown, offset)
    for row in beside:
        row["address"] = addresses.page_of_version(collection, project, type_name, row["version"])
    previous = _previous(beside, membership)
    # only models have metrics
    by_version = version_metrics.of_versions(db, viewer, [artifact["id"]]) if type_name == "model" else {}
    measured = by_version.get(artifact["id"], version_metrics.NO_METRICS)
    metrics = beginning(request, "metrics", len(measured.metrics), MOST_METRICS)
    metadata = list(leaves(json.loads(artifact["metadata"] or "{}")))
    facts = beginning(request, "metadata", len(metadata), MOST_FACTS)
    used = lookups.visible_runs(request, overview.uses(db, artifact["id"]))
    users_shown = beginning(request, "used-by", len(used), MOST_USERS)
    events = beginning(request, "activity", overview.event_count(db, collection["id"]), EVENTS)
    own = lookups.visible_version(request, artifact)
    files_at = addresses.version(project["entity_name"], project["name"], type_name, collection["name"], number)
    return Page(
        "version.html",
        {
            "title": f"{collection['name']}:{number}",
            "section": "models" if registered else "projects",
            "project": project,
            "collection": collection,
            "type": type_name,
            "registered": registered,
            "version": number,
            "full_name": f"{project['entity_name']}/{project['name']}/{collection['name']}:{number}",
            "artifact": artifact,
            "membership": membership,
            "aliases": lookups.alias_names(request, membership["id"]),
            "waiting": [
                row
                for row in promotion_page.open_lines(request, project, collection)
                if row["membership_id"] == membership["id"]
            ],
            "tags": [tag["name"] for tag in tags.of_artifact(db, artifact["id"])],
            "may_change": may_change,
            "asks": f"{here}{'&' if '?' in here else '?'}ask=",
            "models": _models(request, type_name),
            "may_tag": access.project_role(db, viewer, projects.by_id(db, artifact["project_id"])) >= Role.MEMBER,
            "suggested": SUGGESTED_ALIASES,
            "beside": beside,
            "all_versions": versions,
            "previous": previous,
            "comparison": addresses.comparison(collection, project, type_name, previous, number) if previous else None,
            "maker": lookups.visible_run(request, lineage.maker(db, artifact)),
            "made_by": users.by_id(db, artifact["user_id"])["username"] if artifact["user_id"] else None,
            "source": own if registered else None,
            "links": [] if registered else _links(request, artifact["id"]),
            "statements": statements.about(request, artifact["id"]),
            "dvc_match": dvc_md5.of_version(db, artifact),
            "metrics": dict(list(measured.metrics.items())[: metrics.shown]),
            "all_metrics": metrics,
            "measured_by": lookups.visible_run(request, measured.run),
            "metadata": dict(metadata[: facts.shown]),
            "all_metadata": facts,
            "usage": usage_snippets(request, project, collection, type_name, number, artifact),
            "files": _files(request, artifact, own["address"] if own else files_at),
            "users": used[: users_shown.shown],
            "all_users": users_shown,
            "activity": [
                activity_line(request, row, may_change)
                for row in overview.events_of(db, collection["id"], events.shown)
            ],
            "all_activity": events,
            "lineage": f"{own['address']}/lineage" if own else None,
            "refused": request.refused,
        },
    )


def version_rows(request: PageRequest, collection: Row, limit: int, offset: int) -> list[Row]:
    """A collection's versions, newest first; `dvc` is the entry of DVC in each one's metadata, or None."""
    return [
        row | {"dvc": _dvc_metadata(row["metadata"])}
        for row in overview.versions(request.db, collection["id"], limit, offset)
    ]


def _dvc_metadata(metadata: str | None) -> Row | None:
    dvc = json.loads(metadata or "{}").get("dvc")
    return dvc if isinstance(dvc, dict) and isinstance(dvc.get("md5"), str) else None


def _previous(beside: list[Row], membership: Row) -> str | None:
    older = [row["version_index"] for row in beside if row["version_index"] < membership["version_index"]]
    return f"v{max(older)}" if older else None


def _models(request: PageRequest, type_name: str) -> list[str]:
    """The registered models that a version of this type may be linked to, as ENTITY/PROJECT/NAME."""
    db, viewer = request.db, request.viewer
    entities = [access.entity(db, viewer, name, Role.VIEWER)["id"] for name in access.entities_of(db, viewer)]
    writable = [row for row in overview.projects(db, entities) if access.project_role(db, viewer, row) >= Role.MEMBER]
    rows = [
        row for row in overview.registered(db, [row["id"] for row in writable], "") if row["type_name"] == type_name
    ]
    return [f"{row['entity_name']}/{row['project_name']}/{row['name']}" for row in rows]


def _links(request: PageRequest, artifact_id: int) -> list[Row]:
    """The registered models that hold a version."""
    rows = [row for row in overview.memberships_of(request.db, artifact_id) if row["kind"] == "PORTFOLIO"]
    return [
        row
        | {
            "label": f"{row['name']}:v{row['version_index']}",
            "address": addresses.registered(
                row["entity_name"], row["project_name"], row["name"], f"v{row['version_index']}"
            ),
            "aliases": lookups.alias_names(request, row["id"]),
        }
        for row in access.visible(request.db, request.viewer, rows)
    ]


# ---- files ----


def _files(request: PageRequest, artifact: Row, address: str) -> Row:
    """The list of a folder of the version, or of the files whose path contains a text."""
    db, number = request.db, artifact["id"]
    path_filter, folder = request.query.get("file", "").strip(), request.query.get("folder", "")
    folder = f"{folder.rstrip('/')}/" if folder.strip("/") else ""
    if path_filter:
        pager = paginate(request, folder_listing.count_named(db, number, path_filter), FILES, "files")
        rows, folders = folder_listing.named(db, number, path_filter, pager.size, pager.offset), []
        folder_count = 0
    else:
        inside = request.store.folders.contents(db, number, folder)
        folder_count = len(inside.folders)
        pager = paginate(request, folder_count + inside.files, FILES, "files")
        folders = inside.folders[pager.offset : pager.offset + pager.size]
        rest = pager.size - len(folders) if inside.files else 0  # to find no file all would be read
        rows = folder_listing.files(db, number, folder, rest, max(0, pager.offset - folder_count)) if rest else []
    return {
        "rows": [row | _file_addresses(address, row) for row in rows],
        "folder_count": folder_count,
        "folders": [(inner, _list_address(request, inner.path)) for inner in folders],
        "pager": pager,
        "path_filter": path_filter,
        "folder": folder,
        "up": _list_address(request, folder.rstrip("/").rpartition("/")[0]) if folder else None,
        "kept": [(key, value) for key, value in request.query.multi_items() if key not in FILE_LIST],
    }


def _list_address(request: PageRequest, folder: str) -> str:
    kept = {key: value for key, value in request.query.items() if key not in FILE_LIST}
    return addresses.with_query(request.address.partition("?")[0], kept | {"folder": folder}) + "#files"


def _file_addresses(address: str, row: Row) -> Row:
    path = row["path"]
    return {
        "page": addresses.file(f"{address}/files", path),
        "raw": addresses.file(f"{address}/raw", path),
        "is_table": path.endswith(".table.json"),
    }

"""The page of a request to put an alias on a version: who asks and why, the verdict, its numbers and pictures."""

import json
from dataclasses import dataclass
from typing import Any

from wandb_registry.errors import NotFound
from wandb_registry.model import access, names, promotion_requests
from wandb_registry.model.access import Role
from wandb_registry.model.artifacts import artifacts, collections, lineage, manifests, memberships, protected_aliases
from wandb_registry.model.nested_keys import leaves
from wandb_registry.model.promotion_requests import OPEN
from wandb_registry.model.runs import runs, version_metrics
from wandb_registry.web import addresses, lookups
from wandb_registry.web.media.logged_media import last_media, media_of_run
from wandb_registry.web.media.types import playable_type
from wandb_registry.web.pager import beginning
from wandb_registry.web.promotion import disputed_pictures, gate, statements
from wandb_registry.web.promotion.disputed_pictures import Disputed
from wandb_registry.web.views import Page, PageRequest

Row = dict[str, Any]
VIEW = "request"
MOST_REQUESTS = 20  # in the list of those so far, before somebody asks for all
MOST_FILES = 8  # pictures and tables of the verdict
TEXTS = ("decision", "decided_by", "commit", "committed_by", "measured_on")  # of the facts; the others are numbers


@dataclass(frozen=True)
class Evidence:
    """What the run that decided left to look at: pictures in dispute, those of its outputs, and what it logged."""

    run: Row | None
    pictures: list[tuple[str, str]]  # (path, address)
    logged: list[Row]
    more: int = 0  # files and logged media beyond those
    disputed: Disputed | None = None


def request_page(request: PageRequest, project: Row, collection: Row) -> Page:
    """The page of the request that the query names, else of the one that is open, else of the last. Raises NotFound."""
    db, viewer = request.db, request.viewer
    requests = beginning(request, "requests", promotion_requests.count(db, collection["id"]), MOST_REQUESTS)
    shown = promotion_requests.of_collection(db, collection["id"], requests.shown)
    asked = _asked(request, collection, shown)
    role = access.project_role(db, viewer, project)
    found = _described(request, project, collection, asked) if asked else {"asked": None}
    return Page(
        "request.html",
        {
            "title": f"Who decides on {collection['name']}",
            "project": project,
            "collection": collection,
            "here": address_of(project, collection),
            "requests": shown,
            "all_requests": requests,
            "rules": protected_aliases.rules_of(db, collection["id"]),
            "may_ask": role >= Role.MEMBER,
            "is_admin": role >= Role.ADMIN,
            "refused": request.refused,
            **found,
        },
    )


def address_of(project: Row, collection: Row, number: int | None = None) -> str:
    """The page of a request; without a number, of the one that is open."""
    base = addresses.registered(project["entity_name"], project["name"], collection["name"])
    return f"{base}&view={VIEW}" + (f"&request={number}" if number else "")


def open_lines(request: PageRequest, project: Row, collection: Row) -> list[Row]:
    """The open requests of a collection, each with its `address`."""
    return [
        row | {"address": address_of(project, collection, row["id"])}
        for row in promotion_requests.open_ones(request.db, collection["id"])
    ]


def _asked(request: PageRequest, collection: Row, newest: list[Row]) -> Row | None:
    number = request.query.get("request", "")
    if number:
        is_number = number.isascii() and number.isdigit() and len(number) < 16
        found = promotion_requests.find_in(request.db, collection["id"], int(number)) if is_number else None
        if found is None:
            raise NotFound(f"'{collection['name']}' has no request {number}.")
        return found
    waiting = promotion_requests.open_ones(request.db, collection["id"])
    return max(waiting, key=lambda row: row["id"], default=next(iter(newest), None))


def _described(request: PageRequest, project: Row, collection: Row, asked: Row) -> Row:
    db, facts = request.db, json.loads(asked["facts"])
    type_name = collections.type_of(db, collection)["name"]
    holder = memberships.find(db, collection["id"], asked["holder"]) if asked["holder"] else None
    texts = {name: facts[name] if isinstance(facts.get(name), str) else "" for name in TEXTS}
    numbers = dict(leaves(facts["numbers"])) if isinstance(facts.get("numbers"), dict) else {}
    metrics = _metrics(request, asked, holder)
    return {
        "asked": asked,
        "version_at": addresses.page_of_version(collection, project, type_name, asked["version"]),
        "comparison": addresses.comparison(collection, project, type_name, asked["holder"], asked["version"])
        if holder
        else None,
        "is_open": asked["state"] == OPEN,
        "is_own": asked["asked_by"] == request.viewer.user_id,
        "deciders": promotion_requests.deciders(db, asked) if asked["state"] == OPEN else None,
        "uses": _uses(request, holder) if holder else None,
        "why_not": promotion_requests.why_not(db, request.viewer, asked),
        "texts": texts,
        "gate": gate.read(numbers, [new for _, _, new in metrics]),
        "metrics": metrics,
        "evidence": _evidence(request, facts.get("record")),
        "statements": statements.about(request, asked["artifact_id"]),
        "full_name": f"{project['entity_name']}/{project['name']}/{collection['name']}:{asked['version']}",
    }


def _uses(request: PageRequest, holder: Row) -> Row:
    """Who used the version that has the alias: how many runs, whose, and when it was the last time."""
    seen = access.visible(request.db, request.viewer, lineage.uses(request.db, holder["artifact_id"]))
    names = dict.fromkeys(row["username"] for row in seen if row["username"])
    return {
        "runs": sum(row["runs"] for row in seen),
        "by": list(names),
        "last": max((row["last"] for row in seen), default=None),
    }


def _metrics(request: PageRequest, asked: Row, holder: Row | None) -> list[tuple[str, Any, Any]]:
    """The metrics of the version that has the alias and of the one that is to have it, as this registry knows them."""
    ids = [asked["artifact_id"], *([holder["artifact_id"]] if holder else [])]
    by_version = version_metrics.of_versions(request.db, request.viewer, ids)
    new, old = (by_version.get(number, version_metrics.NO_METRICS).metrics for number in (ids[0], ids[-1]))
    old = old if holder else {}
    names = sorted(new.keys() | old.keys(), key=lambda name: (version_metrics.rank(name), name))
    return [(name, old.get(name), new.get(name)) for name in names]


def _evidence(request: PageRequest, record: Any) -> Evidence:
    """What the run left that wrote `record`, a version as ENTITY/PROJECT/NAME:ALIAS. The viewer may see none of it."""
    nothing = Evidence(None, [], [])
    path, _, alias = str(record or "").rpartition(":")
    entity, project_name, name = (*path.split("/", 2), "", "")[:3]
    project = access.find_project(request.db, request.viewer, entity, project_name) if entity and project_name else None
    collection = collections.find(request.db, project["id"], name) if project else None
    membership = memberships.find(request.db, collection["id"], alias) if collection else None
    if membership is None:
        return nothing
    artifact = artifacts.by_id(request.db, membership["artifact_id"])
    run = lookups.visible_run(request, lineage.maker(request.db, artifact))
    if run is None:
        return nothing
    logged = last_media(request, run, dict(leaves(runs.loads(run["summary"]))))
    disputed = disputed_pictures.of_run(request, run, logged)
    logged = [(key, value) for key, value in logged if not disputed or key != disputed.key]
    pictures, more = _pictures(request, run)
    more += len(pictures[MOST_FILES:]) + len(logged[MOST_FILES:])
    return Evidence(run, pictures[:MOST_FILES], media_of_run(request, run, logged[:MOST_FILES]), more, disputed)


def _pictures(request: PageRequest, run: Row) -> tuple[list[tuple[str, str]], int]:
    """The pictures among the first files of each version that a run made, and how many files were not looked at.

    Those of a table are seen in the table.
    """
    found, more = [], 0
    for version in lookups.visible_versions(request, lineage.outputs(request.db, run["id"])):
        if version["type"] in names.INTERNAL_TYPES:
            continue
        more += max(0, version["file_count"] - MOST_FILES)
        for entry in manifests.entry_page(request.db, version["id"], None, MOST_FILES, 0):
            if entry["md5"] and playable_type(entry["path"]) == "picture":
                found.append((entry["path"], addresses.file(f"{version['address']}/raw", entry["path"])))
    return found, more

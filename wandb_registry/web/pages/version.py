"""A version of an artifact, in its own collection or in a registered model: the same page for both, and its forms."""

import json
from itertools import islice
from typing import Any

from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model import access, projects
from wandb_registry.model.access import Role
from wandb_registry.model.accounts import users
from wandb_registry.model.artifacts import artifacts, collections, dvc_md5, folder_listing, lineage, memberships, tags
from wandb_registry.model.nested_keys import leaves
from wandb_registry.model.runs import version_metrics
from wandb_registry.model.search import overview
from wandb_registry.web import activity, addresses, lookups, usage
from wandb_registry.web.pager import pager
from wandb_registry.web.shell import Page, Redirect, Visit

Row = dict[str, Any]
FILES = 50
BESIDE = 30  # versions at the side
USERS = 20
FACTS = 500
EVENTS = 8
SUGGESTED = ("production", "staging", "candidate")


def page(visit: Visit, place: Row, collection: Row, alias: str) -> Page:
    """Everything about the version that an alias or a number means in a collection."""
    db, who = visit.db, visit.who
    membership = found(visit, collection, alias)
    number = memberships.version(membership)
    artifact = artifacts.by_id(db, membership["artifact_id"])
    kind = collections.type_of(db, collection)["name"]
    registered = collection["kind"] == "PORTFOLIO"
    maker = lineage.maker(db, artifact)
    newer = overview.count_newer(db, collection["id"], membership["version_index"])
    beside = rows(visit, collection, BESIDE, max(0, newer - BESIDE // 2))
    for row in beside:
        row["address"] = addresses.of_version(collection, place, kind, row["version"])
    scored = version_metrics.of_versions(db, who, [artifact["id"]]) if kind == "model" else {}  # data has no score
    score = scored.get(artifact["id"], version_metrics.NONE)
    files_at = _files_address(visit, place, collection, kind, number, artifact)
    return Page(
        "version.html",
        {
            "title": f"{collection['name']}:{number}",
            "section": "models" if registered else "projects",
            "project": place,
            "collection": collection,
            "type": kind,
            "registered": registered,
            "version": number,
            "full_name": f"{place['entity_name']}/{place['name']}/{collection['name']}:{number}",
            "artifact": artifact,
            "membership": membership,
            "aliases": lookups.alias_names(visit, membership["id"]),
            "tags": [tag["name"] for tag in tags.of_artifact(db, artifact["id"])],
            "may_change": access.project_role(db, who, place) >= Role.MEMBER,
            "may_tag": _may_tag(visit, artifact),
            "suggested": SUGGESTED,
            "beside": beside,
            "total": memberships.count(db, collection["id"]),
            "previous": _previous(beside, membership),
            "compare": compare_address(collection, place, kind),
            "maker": next(iter(lookups.runs(visit, [maker] if maker else [])), None),
            "made_by": users.by_id(db, artifact["user_id"])["username"] if artifact["user_id"] else None,
            "source": source(visit, membership) if registered else None,
            "links": [] if registered else _links(visit, artifact["id"]),
            "proof": dvc_md5.of_version(db, artifact),
            "score": score,
            "measured_by": next(iter(lookups.runs(visit, [score.run] if score.run else [])), None),
            "metadata": dict(islice(leaves(json.loads(artifact["metadata"] or "{}")), FACTS)),
            "usage": usage.of(visit, place, collection, kind, number, artifact),
            "files": _files(visit, artifact, files_at),
            "users": lookups.runs(visit, overview.uses(db, artifact["id"], USERS)),
            "activity": [activity.told(visit, row) for row in overview.events_of(db, collection["id"], EVENTS)],
            "lineage": _lineage_address(visit, artifact),
            "problem": visit.problem,
        },
    )


def found(visit: Visit, collection: Row, alias: str) -> Row:
    """The membership that an alias or a number means, or an error that names what there is."""
    membership = memberships.find(visit.db, collection["id"], alias)
    if membership is not None:
        return membership
    newest = memberships.page(visit.db, collection["id"], 1, 0)
    known = [row["name"] for row in memberships.aliases_of_collection(visit.db, collection["id"])]
    words = [name for name in known if not dvc_md5.is_content_alias(name)]
    there = f"Its newest version is v{newest[0]['version_index']}" if newest else "It has no version"
    named = f", its aliases are {', '.join(words[:8])}." if words else "."
    raise NotFound(f"'{collection['name']}' has no version '{alias}'. {there}{named}")


def rows(visit: Visit, collection: Row, limit: int, offset: int) -> list[Row]:
    """A collection's versions with what DVC calls each."""
    return [
        row | {"dvc": _said_by_dvc(row["metadata"])}
        for row in overview.versions(visit.db, collection["id"], limit, offset)
    ]


def _said_by_dvc(metadata: str | None) -> Row | None:
    said = json.loads(metadata or "{}").get("dvc")
    return said if isinstance(said, dict) and isinstance(said.get("md5"), str) else None


def source(visit: Visit, membership: Row) -> Row | None:
    """The version that a registered one links to, if it may be seen where it was logged."""
    return next(iter(lookups.versions(visit, [artifacts.by_id(visit.db, membership["artifact_id"])])), None)


def datasets(visit: Visit, makers: dict[int, Row]) -> dict[int, Row]:
    """The dataset that the run of each version used."""
    used = overview.datasets_of(visit.db, [run["id"] for run in makers.values()])
    of_run = {row["used_by"]: row for row in lookups.versions(visit, used)}
    return {artifact: of_run[run["id"]] for artifact, run in makers.items() if run["id"] in of_run}


def collection_tags(visit: Visit, collection: Row) -> list[str]:
    return [tag["name"] for tag in tags.of_collection(visit.db, collection["id"])]


def compare_address(collection: Row, place: Row, kind: str) -> str:
    """Where versions of a collection are compared; `from` and `to` are still to be said."""
    if collection["kind"] == "PORTFOLIO":
        return addresses.registered(place["entity_name"], place["name"], collection["name"]) + "&view=compare"
    return addresses.collection(place["entity_name"], place["name"], kind, collection["name"]) + "/compare?"


def _previous(beside: list[Row], membership: Row) -> str | None:
    older = [row["version_index"] for row in beside if row["version_index"] < membership["version_index"]]
    return f"v{max(older)}" if older else None


def _links(visit: Visit, artifact_id: int) -> list[Row]:
    """The registered models that hold a version."""
    held = [row for row in overview.places(visit.db, artifact_id) if row["kind"] == "PORTFOLIO"]
    return [
        row
        | {
            "label": f"{row['name']}:v{row['version_index']}",
            "address": addresses.registered(
                row["entity_name"], row["project_name"], row["name"], f"v{row['version_index']}"
            ),
            "aliases": lookups.alias_names(visit, row["id"]),
        }
        for row in access.visible(visit.db, visit.who, held)
    ]


def _own_address(visit: Visit, artifact: Row) -> str | None:
    """Where a version's page is in the collection that owns it, if the account may see that."""
    own = next(iter(lookups.versions(visit, [artifact])), None)
    return own["address"] if own else None


def _lineage_address(visit: Visit, artifact: Row) -> str | None:
    own = _own_address(visit, artifact)
    return f"{own}/lineage" if own else None


# ---- files ----


def _files_address(visit: Visit, place: Row, collection: Row, kind: str, number: str, artifact: Row) -> str:
    """Where the version's files have pages: under its own address, or under that of the registered model's project."""
    own = _own_address(visit, artifact)
    return own or addresses.version(place["entity_name"], place["name"], kind, collection["name"], number)


def _files(visit: Visit, artifact: Row, address: str) -> Row:
    """A folder of the version, or the files whose path holds the text that is looked for."""
    db, number = visit.db, artifact["id"]
    wanted, inside = visit.query.get("file", "").strip(), visit.query.get("folder", "")
    inside = f"{inside.rstrip('/')}/" if inside.strip("/") else ""
    if wanted:
        pages = pager(visit, folder_listing.count_named(db, number, wanted), FILES, "files")
        shown, folders = folder_listing.named(db, number, wanted, pages.size, pages.offset), []
    else:
        folders = folder_listing.folders(db, number, inside)
        pages = pager(visit, folder_listing.count_files(db, number, inside, folders), FILES, "files")
        shown = folder_listing.files(db, number, inside, folders, pages.size, pages.offset)
    return {
        "rows": [row | _file_addresses(address, row) for row in shown],
        "folders": [(folder, _query(visit, folder=folder.path)) for folder in folders if pages.number == 1],
        "pages": pages,
        "wanted": wanted,
        "inside": inside,
        "up": _query(visit, folder=inside.rstrip("/").rpartition("/")[0]) if inside else None,
        "kept": [(key, value) for key, value in visit.query.multi_items() if key not in ("file", "files", "folder")],
    }


def _query(visit: Visit, **changed: str) -> str:
    kept = {key: value for key, value in visit.query.items() if key not in ("file", "files", "folder")}
    return addresses.with_query(visit.address.partition("?")[0], kept | changed) + "#files"


def _file_addresses(address: str, row: Row) -> Row:
    path = addresses.join(*row["path"].split("/"))
    is_table = row["path"].endswith(".table.json")
    return {"page": f"{address}/files{path}", "raw": f"{address}/raw{path}", "is_table": is_table}


# ---- changes ----


def change(visit: Visit, place: Row, collection: Row, alias: str | None) -> Redirect:
    """What a form of the page asks for: aliases and tags of a version, tags of a registered model."""
    done = visit.form.get("do", "")
    where = (place["entity_name"], place["name"], collection["name"])
    if alias is None:
        writable = collections.writable(visit.db, visit.who, *where)
        return Redirect(visit.address, _tag_collection(visit, writable, done))
    membership = found(visit, collection, alias)
    if done in ("add-alias", "drop-alias"):
        collections.writable(visit.db, visit.who, *where)
        return Redirect(visit.address, _alias(visit, membership, done))
    artifact = access.artifact(visit.db, visit.who, membership["artifact_id"], Role.MEMBER)
    name = visit.form.get("tag", "").strip()
    if done == "add-tag":
        tags.add_to_artifact(visit.db, artifact["id"], [name])
        return Redirect(visit.address, f"Tag {name} added.")
    if done == "drop-tag":
        tags.take_from_artifact(visit.db, artifact["id"], [name])
        return Redirect(visit.address, f"Tag {name} removed.")
    raise BadInput(f"'{done}' is nothing that this page can do.")


def _alias(visit: Visit, membership: Row, done: str) -> str:
    """Moves or drops an alias as the SDK would; answers what came of it."""
    name, number = visit.form.get("alias", "").strip(), memberships.version(membership)
    if done == "drop-alias":
        memberships.drop_alias(visit.db, visit.who, membership, name)
        return f"{name} was taken from {number}."
    holders = memberships.aliases_of_collection(visit.db, membership["collection_id"])
    holder = next((row for row in holders if row["name"] == name), None)
    memberships.move_alias(visit.db, visit.who, membership, name)
    if holder is None:
        return f"{name} is on {number} now."
    before = visit.db.value("select version_index from membership where id = :id", id=holder["membership_id"])
    return f"{name} moved from v{before} to {number}." if f"v{before}" != number else f"{name} was on {number} already."


def _tag_collection(visit: Visit, collection: Row, done: str) -> str:
    name = visit.form.get("tag", "").strip()
    if done == "add-tag":
        tags.add_to_collection(visit.db, collection["id"], [name])
        return f"Tag {name} added."
    if done == "drop-tag":
        tags.take_from_collection(visit.db, collection["id"], [name])
        return f"Tag {name} removed."
    raise BadInput(f"'{done}' is nothing that this page can do.")


def _may_tag(visit: Visit, artifact: Row) -> bool:
    place = projects.by_id(visit.db, artifact["project_id"])
    return access.project_role(visit.db, visit.who, place) >= Role.MEMBER

"""A project's artifacts: types and collections, the versions of a collection, and the files of a version."""

import contextlib
import re
from typing import Any

from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model import access, ids
from wandb_registry.model.artifacts import collections, folder_listing, memberships
from wandb_registry.model.search import overview
from wandb_registry.web import addresses, lookups
from wandb_registry.web.pager import pager
from wandb_registry.web.pages import files, tables, version_comparison
from wandb_registry.web.pages import version as versions
from wandb_registry.web.shell import ContentResponse, Export, Page, Redirect, Visit

Row = dict[str, Any]
MANY = 50
NEAR = 500  # files in which the tables beside a table are sought
REFERENCE = re.compile(r"wandb-artifact://((?:[0-9a-f]{2})+)/(.+)")  # to a file of another version


def types(visit: Visit) -> Page:
    """Collections by type; of one type, if the address names it."""
    place = lookups.project(visit)
    wanted = visit.query.get("q", "").strip()
    found = overview.types(visit.db, place["id"], wanted)
    chosen = visit.path.get("type")
    total = sum(row["collections"] for row in found if chosen in (None, row["name"]))
    if chosen and collections.find_type(visit.db, place["id"], chosen) is None:
        there = lookups.said([row["name"] for row in found])
        raise NotFound(f"'{place['entity_name']}/{place['name']}' has no artifacts of type '{chosen}'.{there}")
    pages = pager(visit, total, MANY)
    rows = overview.collections(visit.db, place["id"], chosen, wanted, pages.size, pages.offset)
    for row in rows:
        row["address"] = addresses.of_collection(row, place, row["type_name"])
    shown = {"project": place, "types": found, "chosen": chosen, "collections": rows, "pages": pages, "wanted": wanted}
    shown |= {"counts": lookups.counts(visit, place)}
    return Page("artifacts.html", {"title": f"Artifacts of {place['name']}"} | shown)


def newest(visit: Visit) -> Redirect:
    """To the newest version of a collection."""
    place, collection = collection_of(visit)
    rows = memberships.page(visit.db, collection["id"], 1, 0)
    if not rows:
        raise NotFound(f"'{collection['name']}' has no version that is committed yet.")
    kind = collections.type_of(visit.db, collection)["name"]
    return Redirect(addresses.of_version(collection, place, kind, memberships.version(rows[0])))


def version(visit: Visit) -> Page:
    place, collection = collection_of(visit)
    return versions.page(visit, place, collection, visit.path["version"])


def change(visit: Visit) -> Redirect:
    place, collection = collection_of(visit)
    return versions.change(visit, place, collection, visit.path["version"])


def collection_of(visit: Visit) -> tuple[Row, Row]:
    """The project and the collection of the address; the type in it is not looked at, as in the SDK."""
    place = lookups.project(visit)
    found = collections.find(visit.db, place["id"], visit.path["collection"])
    if found is None:
        rows = overview.collections(visit.db, place["id"], None, "", lookups.NAMED + 1, 0)
        where = f"'{place['entity_name']}/{place['name']}'"
        there = lookups.said([row["name"] for row in rows])
        raise NotFound(f"'{visit.path['collection']}' was not found in {where}.{there}")
    return place, found


def compared(visit: Visit) -> Page:
    """Two versions of a collection side by side."""
    return version_comparison.page(visit, *collection_of(visit))


# ---- files ----


def entry(visit: Visit) -> tuple[Row, Row, Row, Row]:
    """The project, the collection, the version and the file of the address."""
    place, collection = collection_of(visit)
    membership = versions.found(visit, collection, visit.path["version"])
    found = folder_listing.entry(visit.db, membership["artifact_id"], visit.path["path"])
    if found is None:
        name = f"{collection['name']}:{memberships.version(membership)}"
        raise NotFound(f"'{name}' has no file '{visit.path['path']}'.")
    return place, collection, membership, found


def raw(visit: Visit) -> ContentResponse | Redirect:
    """The file itself: media are shown, all else is a download."""
    _, _, _, found = entry(visit)
    if there := _elsewhere(visit, found, "raw"):
        return there
    if found["md5"] is None:
        raise NotFound(f"'{found['path']}' is a reference to {found['ref']}: its content is not in this registry.")
    return ContentResponse(found["md5"], found["path"].rpartition("/")[2])


def _elsewhere(visit: Visit, found: Row, way: str) -> Redirect | None:
    """Where the file is that an entry refers to in another version; the SDK refers to tables that a run logged."""
    named = REFERENCE.fullmatch(found["ref"] or "") if found["md5"] is None else None
    row = access.find_artifact(visit.db, visit.who, ids.from_hex(named[1], "Artifact")) if named else None
    target = next(iter(lookups.versions(visit, [row] if row else [])), None)
    return Redirect(files.at(f"{target['address']}/{way}", named[2])) if target and named else None


def file(visit: Visit) -> Page | Redirect | Export:
    """A file with as much of it as can be shown."""
    place, collection, membership, found = entry(visit)
    if there := _elsewhere(visit, found, "files"):
        return there
    kind = collections.type_of(visit.db, collection)["name"]
    number = memberships.version(membership)
    address = addresses.of_version(collection, place, kind, number)
    base = addresses.version(place["entity_name"], place["name"], kind, collection["name"], number)
    steps = [(f"{collection['name']}:{number}", address), ("Files", f"{address}#files")]
    if found["path"].endswith(tables.SUFFIX) and found["md5"]:
        with contextlib.suppress(BadInput):  # one that can't be shown as a table is a file like others
            return tables.shown(visit, place, found, base, steps, _tables_beside(visit, found))
    section = "models" if collection["kind"] == "PORTFOLIO" else "projects"
    return files.page(visit, place, found, files.at(f"{base}/raw", found["path"]), steps, section)


def _tables_beside(visit: Visit, found: Row) -> list[str]:
    """The tables in the folder of a table, itself among them."""
    inside = found["path"][: found["path"].rfind("/") + 1]
    folders = folder_listing.folders(visit.db, found["artifact_id"], inside)
    rows = folder_listing.files(visit.db, found["artifact_id"], inside, folders, NEAR, 0)
    return [row["path"] for row in rows if row["path"].endswith(tables.SUFFIX)][: tables.TABS]

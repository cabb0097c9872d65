"""A project's artifacts: types and collections, the versions of a collection, and the files of a version."""

import contextlib
import csv
import io
import json
from typing import Any

from registry.errors import BadInput, NotFound
from registry.model import artifacts, collections, listing, memberships, overview
from registry.web import addresses, compare, find, tables
from registry.web import version as versions
from registry.web.pager import pager
from registry.web.shell import Content, Moved, Page, Visit

Row = dict[str, Any]
MANY = 50
SHOWN = 64 * 2**10  # bytes of a text that its page shows
SHOWN_ROWS = 200
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp")


def types(visit: Visit) -> Page:
    """Collections by type; of one type, if the address names it."""
    place = find.project(visit)
    wanted = visit.query.get("q", "").strip()
    found = overview.types(visit.db, place["id"], wanted)
    chosen = visit.path.get("type")
    total = sum(row["collections"] for row in found if chosen in (None, row["name"]))
    if chosen and collections.find_type(visit.db, place["id"], chosen) is None:
        raise NotFound(f"'{place['entity_name']}/{place['name']}' has no artifacts of type '{chosen}'.")
    pages = pager(visit, total, MANY)
    rows = overview.collections(visit.db, place["id"], chosen, wanted, pages.size, pages.offset)
    for row in rows:
        row["address"] = addresses.of_collection(row, place, row["type_name"])
    shown = {"project": place, "types": found, "chosen": chosen, "collections": rows, "pages": pages, "wanted": wanted}
    return Page("artifacts.html", {"title": f"Artifacts of {place['name']}"} | shown)


def newest(visit: Visit) -> Moved:
    """To the newest version of a collection."""
    place, collection = collection_of(visit)
    rows = memberships.page(visit.db, collection["id"], 1, 0)
    if not rows:
        raise NotFound(f"'{collection['name']}' has no version that is committed yet.")
    kind = collections.type_of(visit.db, collection)["name"]
    return Moved(addresses.of_version(collection, place, kind, memberships.version(rows[0])))


def version(visit: Visit) -> Page:
    place, collection = collection_of(visit)
    return versions.page(visit, place, collection, visit.path["version"])


def change(visit: Visit) -> Moved:
    place, collection = collection_of(visit)
    return versions.change(visit, place, collection, visit.path["version"])


def collection_of(visit: Visit) -> tuple[Row, Row]:
    """The project and the collection of the address; the type in it is not looked at, as in the SDK."""
    place = find.project(visit)
    found = collections.find(visit.db, place["id"], visit.path["collection"])
    if found is None:
        there = f"'{place['entity_name']}/{place['name']}'"
        raise NotFound(f"'{visit.path['collection']}' was not found in {there}.")
    return place, found


def compared(visit: Visit) -> Page:
    """Two versions of a collection side by side."""
    return compare.page(visit, *collection_of(visit))


# ---- files ----


def entry(visit: Visit) -> tuple[Row, Row, Row, Row]:
    """The project, the collection, the version and the file of the address."""
    place, collection = collection_of(visit)
    membership = versions.found(visit, collection, visit.path["version"])
    found = listing.entry(visit.db, membership["artifact_id"], visit.path["path"])
    if found is None:
        name = f"{collection['name']}:{memberships.version(membership)}"
        raise NotFound(f"'{name}' has no file '{visit.path['path']}'.")
    return place, collection, membership, found


def raw(visit: Visit) -> Content:
    """The file itself: a picture is shown, all else is a download."""
    _, _, _, found = entry(visit)
    if found["md5"] is None:
        raise NotFound(f"'{found['path']}' is a reference to {found['ref']}: its content is not in this registry.")
    return Content(found["md5"], found["path"].rpartition("/")[2])


def file(visit: Visit) -> Page:
    """A file with as much of it as can be shown."""
    place, collection, membership, found = entry(visit)
    kind = collections.type_of(visit.db, collection)["name"]
    number = memberships.version(membership)
    address = addresses.of_version(collection, place, kind, number)
    files = addresses.version(place["entity_name"], place["name"], kind, collection["name"], number)
    if found["path"].endswith(tables.SUFFIX) and found["md5"]:
        steps = [(f"{collection['name']}:{number}", address), ("Files", f"{address}#files")]
        with contextlib.suppress(BadInput):  # one that can't be shown as a table is a file like others
            return tables.shown(visit, place, found, f"{files}/raw", steps)
    return Page(
        "file.html",
        {
            "title": found["path"].rpartition("/")[2],
            "section": "models" if collection["kind"] == "PORTFOLIO" else "projects",
            "project": place,
            "collection": collection,
            "type": kind,
            "version": number,
            "address": address,
            "artifact": artifacts.by_id(visit.db, membership["artifact_id"]),
            "file": found,
            "raw": f"{files}/raw{addresses.join(*found['path'].split('/'))}",
            "preview": preview(visit, found),
        },
    )


def preview(visit: Visit, found: Row) -> Row:
    """What can be shown of a file: a picture, rows of a CSV, the beginning of a text; else why nothing is."""
    name = found["path"].lower()
    if found["md5"] is None:
        return {"kind": "none", "why": f"A reference to {found['ref']}: its content is not in this registry."}
    if name.endswith(PICTURES):
        return {"kind": "picture"}
    try:
        with visit.store.blobs.path(found["md5"]).open("rb") as content:
            head = content.read(SHOWN)
    except FileNotFoundError:
        return {
            "kind": "none",
            "why": "Its content is not in the store any more; 'python -m registry check' tells more.",
        }
    cut = found["size"] > SHOWN
    if b"\0" in head:
        return {"kind": "none", "why": "This file is not a text. Download it to look at it."}
    text = head.decode("utf-8", errors="replace")
    if name.endswith((".csv", ".tsv")):
        rows = _cells(text, "\t" if name.endswith(".tsv") else ",")
        if rows := rows[:-1] if cut else rows:
            shown = rows[1 : SHOWN_ROWS + 1]
            return {"kind": "rows", "head": rows[0], "rows": shown, "cut": cut or len(rows) > len(shown) + 1}
    if name.endswith(".json") and not cut:
        text = _pretty(text)
    return {"kind": "text", "text": text, "cut": cut}


def _cells(text: str, delimiter: str) -> list[list[str]]:
    """The rows of a CSV that have cells; none, if it isn't one."""
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    except csv.Error:
        return []


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text

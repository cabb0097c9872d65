"""A project's artifacts: types and collections, the versions of a collection, and the files of a version."""

import json
import re
from typing import Any

from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model import access, ids
from wandb_registry.model.artifacts import collections, folder_listing, manifests, memberships
from wandb_registry.model.search import overview
from wandb_registry.web import addresses, lookups
from wandb_registry.web.activity import activity_line
from wandb_registry.web.forms import version_forms
from wandb_registry.web.pager import beginning, paginate
from wandb_registry.web.pages import files, tables, version_comparison
from wandb_registry.web.pages.version import version_page
from wandb_registry.web.views import Export, Framed, Page, PageRequest, Redirect, StoredFile

Row = dict[str, Any]
COLLECTIONS = 50  # on a page
EVENTS = 12
SECTIONS = ("overview", "metadata", "usage", "files")  # of a version's page, which W&B has as pages
PARTITIONED = ".partitioned-table.json"  # the SDK's ending of a file that names a folder of tables with equal columns
LARGEST_PARTITIONED = 2**16  # bytes
JOINED = ".joined-table.json"  # and of one that names two tables and the column that joins them
INCREMENTAL = "wandb-run-incremental-table"  # the SDK's type of a table of which each log appends a part
INCREMENT = re.compile(r"(\d+|None)-(\d+)\.(.+)", re.DOTALL)  # its part's number and time, and the table's name
REFERENCE = re.compile(r"wandb-artifact://((?:[0-9a-f]{2})+)/(.+)")  # the SDK's reference to a file of another version


def collections_page(request: PageRequest) -> Page:
    """A project's collections by type, or those of the type that the address names."""
    project = lookups.find_project(request)
    name_filter = request.query.get("q", "").strip()
    types = overview.types(request.db, project["id"], name_filter)
    chosen = request.path.get("type")
    total = sum(row["collections"] for row in types if chosen in (None, row["name"]))
    if chosen and collections.find_type(request.db, project["id"], chosen) is None:
        there = lookups.alternatives([row["name"] for row in types])
        raise NotFound(f"'{project['entity_name']}/{project['name']}' has no artifacts of type '{chosen}'.{there}")
    pager = paginate(request, total, COLLECTIONS)
    rows = overview.collections(request.db, project["id"], chosen, name_filter, pager.size, pager.offset)
    for row in rows:
        row["address"] = addresses.page_of_collection(row, project, row["type_name"])
    return Page(
        "artifacts.html",
        {
            "title": f"Artifacts of {project['name']}",
            "project": project,
            "types": types,
            "chosen": chosen,
            "collections": rows,
            "pager": pager,
            "name_filter": name_filter,
            "counts": lookups.project_counts(request, project),
        },
    )


def newest_version(request: PageRequest) -> Redirect | Page:
    """Redirects to the newest version of a collection. One that has none has a page of its own."""
    project, collection = lookups.find_collection(request)
    rows = memberships.page(request.db, collection["id"], 1, 0)
    if not rows:
        shown = {"title": collection["name"], "project": project, "collection": collection}
        some = beginning(request, "activity", overview.event_count(request.db, collection["id"]), EVENTS)
        events = [activity_line(request, row) for row in overview.events_of(request.db, collection["id"], some.shown)]
        return Page("collection.html", shown | {"activity": events, "all_activity": some})
    type_name = collections.type_of(request.db, collection)["name"]
    return Redirect(addresses.page_of_version(collection, project, type_name, memberships.version(rows[0])))


def version(request: PageRequest) -> Page:
    project, collection = lookups.find_collection(request)
    return version_page(request, project, collection, request.path["version"])


def section_of_version(request: PageRequest) -> Redirect:
    """Redirects W&B's address of a part of a version's page. Raises NotFound for another word."""
    project, collection = lookups.find_collection(request)
    membership = lookups.find_membership(request, collection, request.path["version"])
    section = request.path["tab"]
    if section not in SECTIONS:
        raise NotFound(f"A version has no page '{section}'. There are: {', '.join((*SECTIONS, 'lineage'))}.")
    type_name = collections.type_of(request.db, collection)["name"]
    page = addresses.page_of_version(collection, project, type_name, memberships.version(membership))
    return Redirect(f"{page}#{section}")


def change_version(request: PageRequest) -> Redirect:
    project, collection = lookups.find_collection(request)
    return version_forms.change_version(request, project, collection, request.path["version"])


def compare_versions(request: PageRequest) -> Page | Redirect:
    """Two versions of a collection side by side, unless the address means a version that has the alias `compare`."""
    project, collection = lookups.find_collection(request)
    if not request.query and memberships.find(request.db, collection["id"], "compare"):
        return version_page(request, project, collection, "compare")
    return version_comparison.comparison_page(request, project, collection)


# ---- files ----


def _find_file(request: PageRequest) -> tuple[Row, Row, Row, Row]:
    """The project, the collection, the membership and the file of the address."""
    project, collection = lookups.find_collection(request)
    membership = lookups.find_membership(request, collection, request.path["version"])
    file = folder_listing.entry(request.db, membership["artifact_id"], request.path["path"])
    if file is None:
        name = f"{collection['name']}:{memberships.version(membership)}"
        raise NotFound(f"'{name}' has no file '{request.path['path']}'.")
    return project, collection, membership, file


def raw_file(request: PageRequest) -> StoredFile | Redirect:
    """The content of a file. Media are shown; anything else is a download."""
    *_, file = _find_file(request)
    if redirect := _follow_reference(request, file, "raw"):
        return redirect
    if file["md5"] is None:
        raise NotFound(f"'{file['path']}' is a reference to {file['ref']}: its content is not in this registry.")
    return StoredFile(file["md5"], file["path"].rpartition("/")[2])


def framed_file(request: PageRequest) -> Framed:
    """A file of the version as a page for a sandboxed frame. Raises NotFound for a file that is shown in none."""
    *_, file = _find_file(request)
    return files.framed(file["md5"], file["path"], request)


def file(request: PageRequest) -> Page | Redirect | Export:
    """The page of a file, with a preview if there can be one."""
    project, collection, membership, file = _find_file(request)
    if redirect := _follow_reference(request, file, "files"):
        return redirect
    type_name = collections.type_of(request.db, collection)["name"]
    number = memberships.version(membership)
    address = addresses.page_of_version(collection, project, type_name, number)
    base = addresses.version(project["entity_name"], project["name"], type_name, collection["name"], number)
    steps, note = [(f"{collection['name']}:{number}", address), ("Files", f"{address}#files")], ""
    if file["path"].endswith(tables.SUFFIX) and file["md5"]:
        increments = _increments(request, file) if type_name == INCREMENTAL else []
        parts = [row["md5"] for row in increments] or [file["md5"]]
        beside = [] if increments else folder_listing.beside(request.db, file, tables.SUFFIX)
        try:
            return tables.table_page(request, project, file, parts, base, steps, beside)
        except BadInput as error:  # a table that can't be shown as one gets the page of a file
            note = str(error)
    if file["path"].endswith(PARTITIONED) and (parts := _partitions(request, file)):
        try:
            return tables.table_page(request, project, file, parts, base, steps, [])
        except BadInput as error:
            note = str(error)
    if file["path"].endswith(JOINED) and (sides := _joined(request, file, base)):
        try:
            joined, raws = [side for side, _ in sides], [raw for _, raw in sides]
            return tables.table_page(request, project, file, joined, base, steps, [], raws)
        except BadInput as error:
            note = str(error)
    section = "models" if collection["kind"] == "PORTFOLIO" else "projects"
    raw, frame = (addresses.file(f"{base}/{way}", file["path"]) for way in ("raw", "frame"))
    return files.file_page(request, project, file, raw, steps, section, frame=frame, note=note)


def _follow_reference(request: PageRequest, file: Row, way: str) -> Redirect | None:
    """Redirects to the file of another version that an entry refers to. The SDK refers so to tables of a run."""
    referred = _referred(request, file)
    return Redirect(addresses.file(f"{referred[0]['address']}/{way}", referred[1])) if referred else None


def _referred(request: PageRequest, file: Row) -> tuple[Row, str] | None:
    """The version that an entry refers to, if the viewer may see it, and the path there."""
    reference = REFERENCE.fullmatch(file["ref"] or "") if file["md5"] is None else None
    if reference is None:
        return None
    artifact = access.find_artifact(request.db, request.viewer, ids.from_hex(reference[1], "Artifact"))
    version = lookups.visible_version(request, artifact)
    return (version, reference[2]) if version else None


def _content(request: PageRequest, file: Row, base: str) -> tuple[Row, str] | None:
    """An entry that has a content, and the address of its version: the file's own, or those that it refers to."""
    if file["md5"]:
        return file, base
    version, path = _referred(request, file) or (None, "")
    found = folder_listing.entry(request.db, version["id"], path) if version else None
    return (found, version["address"]) if version and found and found["md5"] else None


def _partitions(request: PageRequest, file: Row) -> list[str]:
    """The md5s of the tables that a partitioned table has, by their names."""
    if file["md5"] is None or file["size"] > LARGEST_PARTITIONED:
        return []
    try:
        folder = json.loads(request.store.blobs.local(file["md5"]).read_bytes())["parts_path"].strip("/") + "/"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    rows = folder_listing.files(request.db, file["artifact_id"], folder, -1, 0)
    return [row["md5"] for row in rows if row["md5"] and row["path"].endswith(tables.SUFFIX)]


def _joined(request: PageRequest, file: Row, base: str) -> list[tuple[tables.Side, str]]:
    """The tables that a file of the SDK joins, each with the address of its version's files; none if one lacks."""
    if file["md5"] is None or file["size"] > LARGEST_PARTITIONED:
        return []
    try:
        about = json.loads(request.store.blobs.local(file["md5"]).read_bytes())
        keys = about["join_key"] if isinstance(about["join_key"], list) else [about["join_key"]] * 2
        paths = [str(about["table1"]), str(about["table2"])]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    sides = []
    for path, key in zip(paths, keys, strict=False):
        row = folder_listing.entry(request.db, file["artifact_id"], path)
        content = _content(request, row, base) if row else None
        if content is None:
            return []
        sides.append((tables.side_of(request, content[0]["md5"], tables.title(path), str(key)), f"{content[1]}/raw"))
    return sides


def _increments(request: PageRequest, file: Row) -> list[Row]:
    """The parts of a table that was logged piece by piece, in the order in which they were logged."""
    wanted = INCREMENT.fullmatch(file["path"])
    if wanted is None:
        return []
    found = [(INCREMENT.fullmatch(row["path"]), row) for row in manifests.entries_of(request.db, file["artifact_id"])]
    parts = [(int(match[2]), row) for match, row in found if match and match[3] == wanted[3] and row["md5"]]
    return [row for _, row in sorted(parts, key=lambda part: part[0])]

"""The page of a file of a version or a run, with a preview if there can be one, and a download."""

import csv
import io
import json
from typing import Any

from wandb_registry.errors import NotFound
from wandb_registry.web.media import drawings
from wandb_registry.web.media.types import is_page, playable_type
from wandb_registry.web.views import Framed, Page, PageRequest

Row = dict[str, Any]
Steps = list[tuple[str, str]]
MOST_BYTES = 64 * 2**10  # of a text that its page shows
MOST_ROWS = 200


def file_page(
    request: PageRequest,
    project: Row,
    file: Row,
    raw: str,
    steps: Steps,
    section: str = "projects",
    *,
    frame: str,
    note: str = "",
) -> Page:
    """The page of a file, a row with path, size, md5 and ref.

    `steps` are the links to what contains it, as (label, address), outermost first; `frame` is
    where it is shown as a page, if it is one; `note` is a sentence above it.
    """
    shown = {
        "project": project,
        "file": file,
        "raw": raw,
        "steps": steps,
        "section": section,
        "note": note,
        "framed": frame,
    }
    return Page("file.html", shown | {"title": file["path"].rpartition("/")[2], "preview": _preview(request, file)})


def framed(md5: str | None, name: str, request: PageRequest) -> Framed:
    """An uploaded page, or a file that a library draws, for a sandboxed frame. Raises NotFound for any other file."""
    if md5 is not None and (drawing := drawings.drawing_of(name)):
        return drawings.framed(md5, name, drawing)
    if md5 is None or not is_page(name):
        raise NotFound(f"'{name}' is neither a page in HTML nor a file that is drawn here.")
    return Framed(md5, name.rpartition("/")[2], request.query.get("scripts") == "1")


def _preview(request: PageRequest, file: Row) -> Row:
    """A preview: a picture, sound or film, rows of a CSV, or the beginning of a text; else `why` there is none."""
    name = file["path"].lower()
    if file["md5"] is None:
        return {"kind": "none", "why": f"A reference to {file['ref']}: its content is not in this registry."}
    if kind := playable_type(name):
        return {"kind": kind}
    try:
        with request.store.blobs.local(file["md5"]).open("rb") as content:
            head = content.read(MOST_BYTES)
    except FileNotFoundError:
        return {
            "kind": "none",
            "why": "Its content is not in the store any more; 'wandb-registry check' tells more.",
        }
    cut = file["size"] > MOST_BYTES
    if drawings.drawing_of(name):
        text = None if b"\0" in head else head.decode("utf-8", errors="replace")
        return {"kind": "drawing", "text": text, "cut": cut}
    if b"\0" in head:
        return {"kind": "none", "why": "This file is not a text. Download it to look at it."}
    text = head.decode("utf-8", errors="replace")
    if is_page(name):
        return {"kind": "page", "text": text, "cut": cut, "scripts": request.query.get("scripts") == "1"}
    if name.endswith((".csv", ".tsv")):
        rows = _csv_rows(text, "\t" if name.endswith(".tsv") else ",")
        if rows := rows[:-1] if cut else rows:
            shown = rows[1 : MOST_ROWS + 1]
            return {"kind": "rows", "head": rows[0], "rows": shown, "cut": cut or len(rows) > len(shown) + 1}
    if name.endswith(".json") and not cut:
        text = _indented_json(text)
    return {"kind": "text", "text": text, "cut": cut}


def _csv_rows(text: str, delimiter: str) -> list[list[str]]:
    """The rows of a CSV that have cells. An empty list if the text is no CSV."""
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    except csv.Error:
        return []


def _indented_json(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text

"""A file of a version or a run, with as much of it as can be shown; what can't be shown can be downloaded."""

import csv
import io
import json
from typing import Any

from wandb_registry.web import addresses
from wandb_registry.web.shell import Page, Visit

Row = dict[str, Any]
Steps = list[tuple[str, str]]
SHOWN = 64 * 2**10  # bytes of a text that its page shows
SHOWN_ROWS = 200
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp")
SOUNDS = (".wav", ".mp3", ".ogg", ".oga", ".flac", ".m4a")
FILMS = (".mp4", ".webm", ".ogv", ".mov")
PLAYED = {"picture": PICTURES, "audio": SOUNDS, "video": FILMS}


def page(visit: Visit, place: Row, file: Row, raw: str, steps: Steps, section: str = "projects") -> Page:
    """The page of a file; `file` has path, size, md5 and ref, `steps` lead to what it is in, which comes first."""
    shown = {"project": place, "file": file, "raw": raw, "steps": steps, "section": section}
    return Page("file.html", shown | {"title": file["path"].rpartition("/")[2], "preview": _preview(visit, file)})


def at(base: str, path: str) -> str:
    """The address of a file beneath another address."""
    return f"{base}{addresses.join(*path.split('/'))}"


def played_as(name: str) -> str | None:
    """Whether browsers show or play a file by this name: picture, audio or video."""
    return next((kind for kind, endings in PLAYED.items() if name.lower().endswith(endings)), None)


def _preview(visit: Visit, file: Row) -> Row:
    """What can be shown: a picture, sound or film, rows of a CSV, the beginning of a text; else why nothing is."""
    name = file["path"].lower()
    if file["md5"] is None:
        return {"kind": "none", "why": f"A reference to {file['ref']}: its content is not in this registry."}
    if kind := played_as(name):
        return {"kind": kind}
    try:
        with visit.store.blobs.path(file["md5"]).open("rb") as content:
            head = content.read(SHOWN)
    except FileNotFoundError:
        return {
            "kind": "none",
            "why": "Its content is not in the store any more; 'wandb-registry check' tells more.",
        }
    cut = file["size"] > SHOWN
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

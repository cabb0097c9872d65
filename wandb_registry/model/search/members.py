"""Members of JSON documents by names that SQLite's JSON paths can't say, as functions for its SQL.

SQLite compares a path with the text of the document, in which a quotation mark, a line end or an `ü` may be written in
more than one way, and its paths have no escapes. Such names are rare, so they are looked up in Python.
"""

import json
import math
from typing import Any

MISSING = object()
LARGEST_INTEGER = 2**63  # from here on SQLite has floats
TYPES = {type(None): "null", int: "integer", float: "real", str: "text", list: "array", dict: "object"}


def is_plain(name: str) -> bool:
    """Whether a JSON path can say this name as it is in any document."""
    return name.isascii() and name.isprintable() and not set(name) & {'"', "\\"}


def value(document: str | None, keys: str) -> Any:
    """The member at a list of keys, as SQLite's `json_extract` returns it. `keys` is JSON, `document` may hold NaN."""
    found = _found(document, keys)
    if isinstance(found, list | dict):
        return json.dumps(found)
    if isinstance(found, int) and abs(found) >= LARGEST_INTEGER:
        return float(found)
    return None if found is MISSING or _is_nan(found) else found


def type_name(document: str | None, keys: str) -> str | None:
    """The type of the member at a list of keys, as SQLite's `json_type` names it; None if there is none."""
    found = _found(document, keys)
    if isinstance(found, bool):
        return str(found).lower()
    return None if found is MISSING else "null" if _is_nan(found) else TYPES[type(found)]


def _found(document: str | None, keys: str) -> Any:
    found = json.loads(document) if document else MISSING
    for key in json.loads(keys):
        found = found.get(key, MISSING) if isinstance(found, dict) else MISSING
    return found


def _is_nan(found: Any) -> bool:
    return isinstance(found, float) and math.isnan(found)

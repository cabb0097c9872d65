"""Mongo-style filters and orders, as the SDK's public API writes them, over rows of any kind.

A filter is compiled once into a function of a field reader: `reader("config.lr")` gives the value of one row.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from registry.errors import BadInput

Reader = Callable[[str], Any]
Test = Callable[[Reader], bool]
DEEPEST = 20


def compile_filter(text: str | None) -> Test | None:
    """The test that a JSON filter describes; None if every row passes."""
    tree = parsed(text)
    return _all_of(tree, DEEPEST) if tree else None


def parsed(text: str | None) -> Any:
    """What a filter's JSON holds; None if there is no filter."""
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadInput(f"The filter is not JSON: {text[:80]}") from None


def sort_key(order: str | None, default: str) -> tuple[str, bool]:
    """The field and direction of an order such as '-created_at': (field, descending)."""
    order = order or default
    return order.lstrip("+-"), order.startswith("-")


def ordered(rows: list[Any], value: Callable[[Any], Any], descending: bool) -> list[Any]:
    """Rows by their value, those without one last; numbers before text."""
    have = [row for row in rows if value(row) is not None]
    rest = [row for row in rows if value(row) is None]
    return sorted(have, key=lambda row: _comparable(value(row)), reverse=descending) + rest


def _comparable(value: Any) -> tuple[int, Any]:
    return (0, float(value)) if isinstance(value, (int, float)) else (1, str(value))


def _all_of(tree: Any, depth: int) -> Test:
    if not isinstance(tree, Mapping):
        raise BadInput("A filter is a JSON object.")
    if depth == 0:
        raise BadInput("The filter is nested too deeply.")
    tests = [_clause(key, value, depth - 1) for key, value in tree.items()]
    return lambda read: all(test(read) for test in tests)


def _clause(key: str, value: Any, depth: int) -> Test:
    if key in ("$and", "$or", "$nor"):
        if not isinstance(value, list):
            raise BadInput(f"{key} takes a list of filters.")
        parts = [_all_of(part, depth) for part in value]
        if key == "$and":
            return lambda read: all(part(read) for part in parts)
        if key == "$or":
            return lambda read: any(part(read) for part in parts)
        return lambda read: not any(part(read) for part in parts)
    if key == "$not":
        part = _all_of(value, depth)
        return lambda read: not part(read)
    if key.startswith("$"):
        raise BadInput(f"The filter operator '{key}' is not known here.")
    accepts = _condition(value, depth)
    return lambda read: accepts(read(key))


def _condition(value: Any, depth: int) -> Callable[[Any], bool]:
    if not isinstance(value, Mapping) or not any(key.startswith("$") for key in value):
        return lambda found: _equal(found, value)
    if depth == 0:
        raise BadInput("The filter is nested too deeply.")
    tests = [_operator(name, operand, depth - 1) for name, operand in value.items()]
    return lambda found: all(test(found) for test in tests)


def _operator(name: str, operand: Any, depth: int) -> Callable[[Any], bool]:
    if name == "$not":
        accepts = _condition(operand, depth)
        return lambda found: not accepts(found)
    if name in ("$regex", "$contains"):
        if not isinstance(operand, str):
            raise BadInput(f"{name} takes a text.")
        return _matches(operand) if name == "$regex" else lambda found: operand in _texts(found)
    if name in LISTS:
        if not isinstance(operand, list):
            raise BadInput(f"{name} takes a list.")
        holds = LISTS[name]
        return lambda found: holds(found, operand)
    if name in COMPARISONS:
        compare = COMPARISONS[name]
        return lambda found: compare(found, operand)
    raise BadInput(f"The filter operator '{name}' is not known here.")


def _matches(pattern: str) -> Callable[[Any], bool]:
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise BadInput(f"The filter's pattern '{pattern}' can't be read: {error}.") from None
    return lambda found: any(search(text) for text in _texts(found, whole=True))


def _texts(found: Any, whole: bool = False) -> Any:
    """What a text operator looks at: each member of a list, or the text itself."""
    if isinstance(found, list):
        return [str(item) for item in found]
    text = "" if found is None else str(found)
    return [text] if whole else text


def _equal(found: Any, wanted: Any) -> bool:
    return found == wanted or (isinstance(found, list) and wanted in found)


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(found: Any, wanted: Any) -> bool:
        try:
            return found is not None and test(found, wanted)
        except TypeError:  # a text and a number have no order
            return False

    return compare


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": _equal,
    "$ne": lambda found, wanted: not _equal(found, wanted),
    "$lt": _ordered(lambda found, wanted: found < wanted),
    "$lte": _ordered(lambda found, wanted: found <= wanted),
    "$gt": _ordered(lambda found, wanted: found > wanted),
    "$gte": _ordered(lambda found, wanted: found >= wanted),
    "$exists": lambda found, wanted: (found is not None) == bool(wanted),
    "$size": lambda found, wanted: isinstance(found, list) and len(found) == wanted,
}
LISTS: dict[str, Callable[[Any, list], bool]] = {
    "$in": lambda found, wanted: any(_equal(found, item) for item in wanted),
    "$nin": lambda found, wanted: not any(_equal(found, item) for item in wanted),
    "$all": lambda found, wanted: all(_equal(found, item) for item in wanted),
}

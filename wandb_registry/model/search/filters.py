"""Mongo-style filters and orders, as the SDK's public API writes them, over rows of any kind.

A filter is compiled once into a function of a field reader: `reader("config.lr")` gives the value of one row.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from wandb_registry.errors import BadInput
from wandb_registry.model import nested_keys
from wandb_registry.model.search import operands, patterns

Reader = Callable[[str], Any]
Test = Callable[[Reader], bool]
DEEPEST = 20
MOST_CLAUSES = 500


def compile_filter(text: str | None) -> Test | None:
    """The test that a JSON filter describes; None if every row passes."""
    tree = parsed(text)
    return _Filter().all_of(tree) if tree else None


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


class _Filter:
    """One filter: what its clauses share."""

    def __init__(self):
        self._clauses = 0
        self._search = patterns.Search()

    def all_of(self, tree: Any, depth: int = DEEPEST) -> Test:
        if not isinstance(tree, Mapping):
            raise BadInput("A filter is a JSON object.")
        tests = [self._clause(key, value, deeper(depth)) for key, value in tree.items()]
        return lambda read: all(test(read) for test in tests)

    def _clause(self, key: str, value: Any, depth: int) -> Test:
        self._clauses += 1
        if self._clauses > MOST_CLAUSES:
            raise BadInput(f"The filter has more than {MOST_CLAUSES} clauses.")
        if key in ("$and", "$or", "$nor"):
            if not isinstance(value, list):
                raise BadInput(f"{key} takes a list of filters.")
            parts = [self.all_of(part, depth) for part in value]
            if key == "$and":
                return lambda read: all(part(read) for part in parts)
            if key == "$or":
                return lambda read: any(part(read) for part in parts)
            return lambda read: not any(part(read) for part in parts)
        if key == "$not":
            part = self.all_of(value, depth)
            return lambda read: not part(read)
        if key.startswith("$"):
            raise BadInput(f"The filter operator '{key}' is not known here.")
        accepts = self._condition(value, depth)
        return lambda read: accepts(read(key))

    def _condition(self, value: Any, depth: int) -> Callable[[Any], bool]:
        if not isinstance(value, Mapping) or not any(key.startswith("$") for key in value):
            return lambda found: _equal(found, value)
        tests = [self._operator(name, operand, deeper(depth)) for name, operand in operands.operators(value)]
        return lambda found: all(test(found) for test in tests)

    def _operator(self, name: str, operand: Any, depth: int) -> Callable[[Any], bool]:
        if name == "$not":
            accepts = self._condition(operand, depth)
            return lambda found: not accepts(found)
        if name in ("$regex", "$contains"):
            if not isinstance(operand, str):
                raise BadInput(f"{name} takes a text.")
            return self._matches(operand) if name == "$regex" else lambda found: operand in _texts(found)
        if name == "$size":
            size = operands.size(operand)
            return lambda found: isinstance(found, list) and len(found) == size
        if name == "$elemMatch":
            fits = self._member(operand, depth)
            return lambda found: isinstance(found, list) and any(fits(item) for item in found)
        if name == "$all":
            tests = [self._condition(item, depth) for item in operands.listed(name, operand)]
            return lambda found: bool(tests) and all(test(found) for test in tests)
        if name == "$mod":
            divisor, rest = operands.modulus(operand)
            return lambda found: any(operands.rest_of(item, divisor) == rest for item in _each(found))
        if name == "$type":
            kinds = operands.types(operand)
            return lambda found: any(operands.type_of(item) in kinds for item in _each(found))
        if name in ("$in", "$nin"):
            items = operands.listed(name, operand)
            return lambda found: any(_equal(found, item) for item in items) == (name == "$in")
        if name in COMPARISONS:
            compare = COMPARISONS[name]
            return lambda found: compare(found, operand)
        raise BadInput(f"The filter operator '{name}' is not known here.")

    def _member(self, operand: Any, depth: int) -> Callable[[Any], bool]:
        if operands.describes_value(operand):
            return self._condition(operand, depth)
        test = self.all_of(operand, depth)
        return lambda item: isinstance(item, Mapping) and test(partial(nested_keys.within, item))

    def _matches(self, operand: str) -> Callable[[Any], bool]:
        patterns.reach(operand)  # refused where nothing is looked at, too
        return lambda found: any(self._search(operand, text) for text in _texts(found, whole=True))


def _each(found: Any) -> list[Any]:
    """A value, and the members of it if it is a list."""
    return [found, *found] if isinstance(found, list) else [found]


def deeper(depth: int) -> int:
    if depth == 0:
        raise too_deep()
    return depth - 1


def too_deep() -> BadInput:
    return BadInput("The filter is nested too deeply.")


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
        return any(_tried(test, item, wanted) for item in _each(found))

    return compare


def _tried(test: Callable[[Any, Any], bool], found: Any, wanted: Any) -> bool:
    try:
        return operands.rank(found) == operands.rank(wanted) and test(found, wanted)
    except TypeError:  # lists of what has no order, or what is missing
        return False


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": _equal,
    "$ne": lambda found, wanted: not _equal(found, wanted),
    "$lt": _ordered(lambda found, wanted: found < wanted),
    "$lte": _ordered(lambda found, wanted: found <= wanted),
    "$gt": _ordered(lambda found, wanted: found > wanted),
    "$gte": _ordered(lambda found, wanted: found >= wanted),
    "$exists": lambda found, wanted: (found is not None) == bool(wanted),
}

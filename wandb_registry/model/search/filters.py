"""Reads and checks the MongoDB-style filters and the orders of the SDK's public API.

A filter becomes a tree of conditions. The tree doesn't know where the fields lie; `query.py` makes SQL of it. The
operators mean what MongoDB says (https://www.mongodb.com/docs/manual/reference/operator/query/), with two differences:
a null field counts as a missing one, and W&B's own `$contains` looks for a part of a text.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wandb_registry.errors import BadInput
from wandb_registry.model.search import operands

DEEPEST = 20
MOST_CLAUSES = 500
LOGICAL = ("$and", "$or", "$nor")


@dataclass(frozen=True)
class And:
    """All parts hold. Without parts it always holds."""

    parts: tuple["Condition", ...] = ()


@dataclass(frozen=True)
class Or:
    """At least one part holds. Without parts it never holds."""

    parts: tuple["Condition", ...] = ()


@dataclass(frozen=True)
class Not:
    """The part doesn't hold."""

    part: "Condition"


@dataclass(frozen=True)
class FieldCondition:
    """The field of this dotted name meets a condition."""

    name: str
    condition: "Condition"


@dataclass(frozen=True)
class Operator:
    """An operator with its checked operand. It tests the current value or, if that is a list, any member of it.

    Operands: `$eq`: any JSON; `$in`: a list; `$lt`, `$lte`, `$gt`, `$gte`: a number, a text or a truth value;
    `$exists`: None; `$regex`: a pattern that RE2 takes; `$contains`: a text; `$size`: an int; `$mod`: (divisor, rest);
    `$type`: the names of types.
    """

    name: str
    operand: Any = None


@dataclass(frozen=True)
class AnyElement:
    """The current value is a list with a member that meets a condition.

    With `of_fields` the members are objects, and the condition is about their fields.
    """

    condition: "Condition"
    of_fields: bool


Condition = And | Or | Not | FieldCondition | Operator | AnyElement


def parse(text: str | None) -> Condition:
    """Reads a filter from its JSON. Without a filter returns a condition that always holds.

    Raises BadInput for anything but a filter, for unknown operators and wrong operands, and for too large a filter.
    """
    try:
        tree = json.loads(text) if text else None
    except (ValueError, RecursionError):
        raise BadInput(f"The filter is not JSON: {str(text)[:80]}") from None
    return _Parser().filter(tree, DEEPEST) if tree else And()


def parse_order(order: str) -> tuple[str, bool]:
    """The field and direction of an order such as '-created_at': (field, descending)."""
    return order.lstrip("+-"), order.startswith("-")


def too_deep() -> BadInput:
    return BadInput("The filter is nested too deeply.")


class _Parser:
    """Reads one filter and counts its clauses."""

    def __init__(self):
        self._clauses = 0

    def filter(self, tree: Any, depth: int) -> Condition:
        """Reads an object whose keys are names of fields or logical operators."""
        if not isinstance(tree, Mapping):
            raise BadInput("A filter is a JSON object.")
        return _all([self._clause(key, value, _deeper(depth)) for key, value in tree.items()])

    def _clause(self, key: str, value: Any, depth: int) -> Condition:
        self._count()
        if key in LOGICAL:
            if not isinstance(value, list):
                raise BadInput(f"{key} takes a list of filters.")
            return _logical(key, [self.filter(part, depth) for part in value])
        if key == "$not":
            return Not(self.filter(value, depth))
        if key.startswith("$"):
            raise _unknown(key)
        return FieldCondition(key, self._condition(value, depth))

    def _condition(self, value: Any, depth: int) -> Condition:
        """Reads the condition on one value: operators, or the value that it must equal."""
        if not isinstance(value, Mapping) or not any(key.startswith("$") for key in value):
            return Operator("$eq", value)
        wanted = operands.with_options(value).items()
        return _all([self._operator(name, operand, _deeper(depth)) for name, operand in wanted])

    def _operator(self, name: str, operand: Any, depth: int) -> Condition:
        self._count()
        match name:
            case "$not":
                return Not(self._condition(operand, depth))
            case "$eq":
                return Operator("$eq", operand)
            case "$ne":
                return Not(Operator("$eq", operand))
            case "$in":
                return Operator("$in", operands.list_of(name, operand))
            case "$nin":
                return Not(Operator("$in", operands.list_of(name, operand)))
            case "$lt" | "$lte" | "$gt" | "$gte":
                return Operator(name, operands.orderable(operand))
            case "$exists":
                return Operator("$exists") if operand else Not(Operator("$exists"))
            case "$regex":
                return Operator("$regex", operands.pattern(operand))
            case "$contains":
                return Operator("$contains", operands.text(name, operand))
            case "$size":
                return Operator("$size", operands.size(operand))
            case "$mod":
                return Operator("$mod", operands.modulus(operand))
            case "$type":
                return Operator("$type", operands.types(operand))
            case "$all":
                return self._all_of(operands.list_of(name, operand), depth)
            case "$elemMatch":
                return self._any_element(operand, depth)
        raise _unknown(name)

    def _all_of(self, items: list[Any], depth: int) -> Condition:
        self._count(len(items))
        return And(tuple(self._condition(item, depth) for item in items)) if items else Or()

    def _any_element(self, operand: Any, depth: int) -> Condition:
        first = next(iter(operand), "") if isinstance(operand, Mapping) else ""
        of_fields = not first.startswith("$") or first in LOGICAL
        return AnyElement(self.filter(operand, depth) if of_fields else self._condition(operand, depth), of_fields)

    def _count(self, more: int = 1) -> None:
        self._clauses += more
        if self._clauses > MOST_CLAUSES:
            raise BadInput(f"The filter has more than {MOST_CLAUSES} clauses.")


def _all(parts: list[Condition]) -> Condition:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _logical(name: str, parts: list[Condition]) -> Condition:
    if name == "$and":
        return And(tuple(parts))
    return Not(Or(tuple(parts))) if name == "$nor" else Or(tuple(parts))


def _deeper(depth: int) -> int:
    if depth == 0:
        raise too_deep()
    return depth - 1


def _unknown(name: str) -> BadInput:
    return BadInput(f"The filter operator '{name}' is not known here.")

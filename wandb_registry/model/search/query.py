"""Filters and orders as SQL: the conditions of a filter become one expression over the rows of a query.

Everything that a client writes is bound as a parameter; the text of the expression is made of the pieces below alone.
"""

import json
import math
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count as counting
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput
from wandb_registry.model import ids
from wandb_registry.model.search import filters, operands, patterns
from wandb_registry.model.search.filters import And, AnyElement, Condition, FieldCondition, Not, Operator, Or

Row = dict[str, Any]
Bind = Callable[[Any], str]
LARGEST_INTEGER = 2**63  # what SQLite holds as one; beyond it numbers are floats
INFINITIES = {"Infinity": sys.float_info.max, "-Infinity": -sys.float_info.max}
MOST_PATHS = 20  # ways to read a dotted name
COMPARISONS = {"$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}
ORDERED = ((bool, "('true', 'false')"), (str, "('text')"), ((int, float), "('integer', 'real')"))  # among themselves
NESTED = "('array', 'object')"  # values that SQL has as the text of their JSON
# MongoDB's name for the type of a value, in SQLite's words for JSON
TYPE_NAME = """
case {type} when 'text' then 'string' when 'real' then 'double' when 'true' then 'bool' when 'false' then 'bool'
     when 'integer' then iif({value} between -2147483648 and 2147483647, 'int', 'long') else {type} end
"""
# SQLite's % is that of C, as MongoDB's; what is no whole number of 64 bits has no rest
REST = f"""
({{type}} in ('integer', 'real') and {{value}} between -{operands.LARGEST_LONG} and {operands.LARGEST_LONG}
  and cast({{value}} as integer) % {{divisor}} = {{rest}})
"""


@dataclass(frozen=True)
class Field:
    """A field as SQL sees it.

    `type` is SQL for its type in SQLite's words for JSON; `order` is what rows are ordered by, if that isn't the value.
    """

    value: str
    type: str
    can_be_list: bool = True
    order: str | None = None

    def any_element(self, test: str, name: str = "element") -> str:
        """Whether a member of the list passes; a value that is no list has none."""
        if not self.can_be_list:
            return "false"
        elements = f"json_each(iif({self.type} = 'array', {self.value}, '[]'))"
        return f"exists (select 1 from {elements} as {name} where {test})"

    def passes(self, test: Callable[[str, str], str]) -> str:
        """Whether the value, or a member of it, passes a test of a value and its type."""
        itself, element = test(self.value, self.type), test("element.value", "element.type")
        return f"(ifnull({itself}, false) or {self.any_element(element)})"


class Query:
    """One filter as SQL: `condition` is true or false and never null, `parameters` is what it binds."""

    def __init__(self, wanted: str | None, field: Callable[[str, Bind], Field]):
        """`field` finds a field by the name that clients have for it, and raises BadInput if there is none."""
        self.parameters: dict[str, Any] = {}
        self._names = counting()
        self._field = field
        self.condition = self._fields(filters.parse(wanted), self.field)

    def field(self, name: str) -> Field:
        return self._field(name, self.bind)

    def bind(self, value: Any) -> str:
        """The name of a new parameter."""
        if isinstance(value, int) and abs(value) >= LARGEST_INTEGER:
            value = math.copysign(min(abs(value), int(sys.float_info.max)), value)
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f":{name}"

    def order(self, name: str, descending: bool = False) -> str:
        """What stands behind `order by`: rows without the value come last."""
        field = self.field(name)
        value = field.order or field.value
        return f"{value} is null, {value} {'desc' if descending else 'asc'}"

    def rows(self, db: Connection, sql: str, **parameters: Any) -> list[Row]:
        """Asks with the functions that the condition calls."""
        db.create_function("matches", 2, patterns.matches, deterministic=True)
        db.create_function("strict_json", 1, strict_json, deterministic=True)
        db.create_function("encoded_id", 2, ids.encode, deterministic=True)
        try:
            return db.all(sql, **parameters, **self.parameters)
        except sqlite3.OperationalError as error:
            if "parser stack overflow" in str(error):  # which holds five $elemMatch in each other
                raise filters.too_deep() from None
            raise

    def _fields(self, condition: Condition, named: Callable[[str], Field]) -> str:
        """SQL for conditions on fields; `named` finds them."""
        if isinstance(condition, FieldCondition):
            return self._value(condition.condition, named(condition.name))
        return self._joined(condition, partial(self._fields, named=named))

    def _value(self, condition: Condition, field: Field) -> str:
        """SQL for conditions on one value."""
        if isinstance(condition, Operator):
            return self._operator(condition.name, condition.operand, field)
        if isinstance(condition, AnyElement):
            return self._any_element(condition, field)
        return self._joined(condition, partial(self._value, field=field))

    def _joined(self, condition: Condition, sql: Callable[[Condition], str]) -> str:
        match condition:
            case And(parts):
                return f"({' and '.join(map(sql, parts))})" if parts else "true"
            case Or(parts):
                return f"({' or '.join(map(sql, parts))})" if parts else "false"
            case Not(part):
                return f"not {sql(part)}"
        raise TypeError(condition)

    def _operator(self, name: str, operand: Any, field: Field) -> str:
        match name:
            case "$eq":
                return self._equal(field, operand)
            case "$in":
                return self._among(field, operand)
            case "$exists":
                return f"({field.value} is not null)"
            case "$regex":
                pattern = self.bind(operand)
                return field.passes(lambda value, type: f"({type} not in {NESTED} and matches({pattern}, {value}))")
            case "$contains":
                return self._contains(field, self.bind(operand))
            case "$size":
                return f"({field.type} is 'array' and json_array_length({field.value}) = {self.bind(operand)})"
            case "$mod":
                divisor, rest = map(self.bind, operand)
                return field.passes(
                    lambda value, type: REST.strip().format(value=value, type=type, divisor=divisor, rest=rest)
                )
            case "$type":
                types = self.bind(json.dumps(operand))
                return field.passes(
                    lambda value, type: f"{TYPE_NAME.strip().format(value=value, type=type)} in {_elements(types)}"
                )
        return self._compared(field, COMPARISONS[name], operand)

    def _any_element(self, condition: AnyElement, field: Field) -> str:
        name = f"element{next(self._names)}"
        value, type = f"{name}.value", f"{name}.type"
        if not condition.of_fields:
            return field.any_element(self._value(condition.condition, Field(value, type)), name)
        document = f"iif({type} = 'object', {value}, '{{}}')"
        fields = self._fields(condition.condition, lambda path: within(document, path, self.bind))
        return field.any_element(f"{type} = 'object' and {fields}", name)

    def _among(self, field: Field, items: list[Any]) -> str:
        whole = [item for item in items if isinstance(item, (list, dict))]
        plain = [item for item in items if item is not None and not isinstance(item, (list, dict))]
        tests = [(kind, _elements(self.bind(_json(held)))) for kind, held in (("", whole), ("not ", plain)) if held]
        same = [
            field.passes(lambda value, type, kind=kind, held=held: f"({value} in {held} and {type} {kind}in {NESTED})")
            for kind, held in tests
        ]
        null = [self._equal(field, None)] if None in items else []
        return f"({' or '.join([*same, *null])})" if same or null else "false"

    def _equal(self, field: Field, wanted: Any) -> str:
        if wanted is None:
            null = "element.type = 'null'"
            return f"({field.value} is null or {field.any_element(null)})"
        if isinstance(wanted, (list, dict)):
            whole = self.bind(_json(wanted))
            return field.passes(lambda value, type: f"({type} in {NESTED} and {value} = json({whole}))")
        same = self.bind(wanted)
        return field.passes(lambda value, type: f"({value} = {same} and {type} not in {NESTED})")

    def _compared(self, field: Field, sign: str, operand: Any) -> str:
        """Numbers have an order among themselves, and so have texts and truth values."""
        types = next(types for kind, types in ORDERED if isinstance(operand, kind))
        bound = self.bind(operand)
        return field.passes(lambda value, type: f"({type} in {types} and {value} {sign} {bound})")

    def _contains(self, field: Field, text: str) -> str:
        """A part of a text, or a member of a list."""
        part = f"({field.type} <> 'array' and instr({field.value}, {text}) > 0)"
        return f"(ifnull({part}, false) or {field.any_element(f'element.value = {text}')})"


def column(value: str) -> Field:
    """A column, or what is made of columns: it is no list."""
    return Field(value, f"typeof({value})", can_be_list=False)


def document(column: str) -> str:
    """A column that holds JSON. The SDK writes bare NaN and Infinity, which SQLite can't read.

    Texts without them needn't pass through Python.
    """
    return f"iif({column} glob '*NaN*' or {column} glob '*Infinity*', strict_json({column}), {column})"


def within(document: str, path: str, bind: Bind, beneath: str | None = None) -> Field:
    """A field of a JSON document by its dotted name, as `nested_keys.within` finds it.

    Values can lie one level deeper, `beneath` the first key: `lr.value` then means the same as `lr`.
    """
    paths = [bind(path) for path in _paths(path, beneath)]
    values = [f"json_extract({document}, {path})" for path in paths]
    types = [f"json_type({document}, {path})" for path in paths]
    known = [f"nullif({type}, 'null')" for type in types]
    return Field(f"coalesce({', '.join(values)}, null)", f"coalesce({', '.join(known + types)})")


def _paths(path: str, beneath: str | None) -> list[str]:
    """Where a dotted name can lie: under that very key, or deeper, where the last keys may hold dots themselves."""
    if '"' in path or "\0" in path:
        raise BadInput(f"{path!r} can't be filtered or ordered by: it holds a quotation mark, or a NUL.")
    keys = path.split(".")
    if beneath and len(keys) > 1 and keys[1] == beneath:
        del keys[1]
    splits = [0, *range(len(keys) - 1, 0, -1)][:MOST_PATHS]
    return [_json_path([*keys[:split], ".".join(keys[split:])], beneath) for split in splits]


def _json_path(keys: list[str], beneath: str | None) -> str:
    return "$" + "".join(f'."{key}"' for key in [keys[0], *([beneath] if beneath else []), *keys[1:]])


def _elements(parameter: str) -> str:
    """The members of a JSON list that is bound."""
    return f"(select value from json_each({parameter}))"


def _json(value: Any) -> str:
    return strict_json(json.dumps(value))


def strict_json(text: str) -> str:
    """JSON without the bare NaN and Infinity that the SDK writes and SQLite can't read."""
    return json.dumps(json.loads(text, parse_constant=lambda word: INFINITIES.get(word)))

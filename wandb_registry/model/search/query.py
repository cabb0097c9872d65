"""Makes SQL of filters and orders: the conditions of a filter become one expression over the rows of a query.

Everything that a client writes is bound as a parameter. The text of the expression consists of this module's own
pieces alone.
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
from wandb_registry.model import ids
from wandb_registry.model.search import filters, members, operands, patterns
from wandb_registry.model.search.filters import And, AnyElement, Condition, FieldCondition, Not, Operator, Or

Row = dict[str, Any]
Bind = Callable[[Any], str]
LARGEST_INTEGER = 2**63  # from here on SQLite stores numbers as floats
INFINITIES = {"Infinity": sys.float_info.max, "-Infinity": -sys.float_info.max}
MOST_PATHS = 20  # that a dotted name may stand for
COMPARISONS = {"$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}
ORDERED = ((bool, "('true', 'false')"), (str, "('text')"), ((int, float), "('integer', 'real')"))  # each among its own
NESTED = "('array', 'object')"  # values that SQLite returns as JSON text
# MongoDB's name for the type of a value, in SQLite's words for JSON
TYPE_NAME = """
case {type} when 'text' then 'string' when 'real' then 'double' when 'true' then 'bool' when 'false' then 'bool'
     when 'integer' then iif({value} between -2147483648 and 2147483647, 'int', 'long') else {type} end
"""
# SQLite's % is C's, as MongoDB's is. Only numbers that fit 64 bits have a rest.
REST = f"""
({{type}} in ('integer', 'real') and {{value}} between -{operands.LARGEST_LONG} and {operands.LARGEST_LONG}
  and cast({{value}} as integer) % {{divisor}} = {{rest}})
"""


@dataclass(frozen=True)
class Field:
    """SQL expressions for a field: its value, its type as SQLite's `json_type` names it, and what rows are ordered by.

    Without `order` rows are ordered by the value.
    """

    value: str
    type: str
    can_be_list: bool = True
    order: str | None = None

    def any_element(self, test: str, name: str = "element") -> str:
        """SQL that tests the members of a list. A value that is no list has none."""
        if not self.can_be_list:
            return "false"
        elements = f"json_each(iif({self.type} = 'array', {self.value}, '[]'))"
        return f"exists (select 1 from {elements} as {name} where {test})"

    def passes(self, test: Callable[[str, str], str]) -> str:
        """SQL that tests the value, or any member of it. `test` makes SQL of a value's SQL and its type's."""
        itself, element = test(self.value, self.type), test("element.value", "element.type")
        return f"(ifnull({itself}, false) or {self.any_element(element)})"


class Query:
    """One filter as SQL: `condition` is true or false and never null, `parameters` are the values that it binds."""

    def __init__(self, wanted: str | None, field: Callable[[str, Bind], Field]):
        """`field` finds a field by the name that clients use, and raises BadInput for an unknown one."""
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
        """The terms for `order by`. Rows without the value come last."""
        field = self.field(name)
        value = field.order or field.value
        return f"{value} is null, {value} {'desc' if descending else 'asc'}"

    def rows(self, db: Connection, rows: str, sql: str, /, **parameters: Any) -> list[Row]:
        """Asks a query's rows, the table `found`, by SQL that contains the condition."""
        try:
            return db.sift(rows, sql, FUNCTIONS, **parameters, **self.parameters)
        except sqlite3.OperationalError as error:
            if "parser stack overflow" in str(error):  # from about six nested $elemMatch on
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
        """Numbers compare only with numbers, texts with texts, truth values with truth values."""
        types = next(types for kind, types in ORDERED if isinstance(operand, kind))
        bound = self.bind(operand)
        return field.passes(lambda value, type: f"({type} in {types} and {value} {sign} {bound})")

    def _contains(self, field: Field, text: str) -> str:
        """W&B's `$contains`: the text is a part of a text, or a member of a list."""
        part = f"({field.type} <> 'array' and instr({field.value}, {text}) > 0)"
        return f"(ifnull({part}, false) or {field.any_element(f'element.value = {text}')})"


def column(value: str) -> Field:
    """The field of a column or of an expression over columns. It is never a list."""
    return Field(value, f"typeof({value})", can_be_list=False)


def document(column: str) -> str:
    """SQL for a column's JSON. The SDK writes bare NaN and Infinity, which SQLite can't read.

    Only texts that hold these words pass through Python.
    """
    return f"iif({column} glob '*NaN*' or {column} glob '*Infinity*', strict_json({column}), {column})"


def within(document: str, path: str, bind: Bind, beneath: str | None = None) -> Field:
    """A field of a JSON document by its dotted name, by the rules of `nested_keys.within`.

    With `beneath` each value lies one level deeper, under this key: in a config `lr` means `lr.value`.
    """
    plain = members.is_plain(path)
    value, type_name = ("json_extract", "json_type") if plain else ("member", "member_type")
    paths = [bind(_json_path(keys) if plain else json.dumps(keys)) for keys in _keys(path, beneath)]
    values = [f"{value}({document}, {path})" for path in paths]
    types = [f"{type_name}({document}, {path})" for path in paths]
    known = [f"nullif({type}, 'null')" for type in types]
    return Field(f"coalesce({', '.join(values)}, null)", f"coalesce({', '.join(known + types)})")


def _keys(path: str, beneath: str | None) -> list[list[str]]:
    """The keys that a dotted name can mean: one key with dots in it, or nested keys. The last may hold dots."""
    keys = path.split(".")
    if beneath and len(keys) > 1 and keys[1] == beneath:
        del keys[1]
    splits = [0, *range(len(keys) - 1, 0, -1)][:MOST_PATHS]
    meant = [[*keys[:split], ".".join(keys[split:])] for split in splits]
    return [[first, *([beneath] if beneath else []), *rest] for first, *rest in meant]


def _json_path(keys: list[str]) -> str:
    return "$" + "".join(f'."{key}"' for key in keys)


def _elements(parameter: str) -> str:
    """A subquery for the members of a JSON list that is bound to a parameter."""
    return f"(select value from json_each({parameter}))"


def _json(value: Any) -> str:
    return strict_json(json.dumps(value))


def strict_json(text: str) -> str:
    """The JSON with null for a bare NaN and the largest float for Infinity, so that SQLite can read it."""
    return json.dumps(json.loads(text, parse_constant=lambda word: INFINITIES.get(word)))


FUNCTIONS = {  # that conditions call
    "matches": patterns.matches,
    "strict_json": strict_json,
    "encoded_id": ids.encode,
    "member": members.value,
    "member_type": members.type_name,
}

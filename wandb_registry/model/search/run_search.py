"""Finds runs in SQL: filters and orders, in the Mongo-style words of the public API, become one condition.

Everything that a client writes is bound as a parameter; the text of the query is made of the pieces below alone.
`filters.py` knows the same language for lists that are at hand.
"""

import json
import math
import sqlite3
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count as counting
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput
from wandb_registry.model.runs.runs import CRASHED_AFTER_SECONDS
from wandb_registry.model.search import filters, operands, patterns

Row = dict[str, Any]
LARGEST_INTEGER = 2**63  # what SQLite holds as one; beyond it numbers are floats
FIRST = "+created_at"
LIMITS = {"Infinity": sys.float_info.max, "-Infinity": -sys.float_info.max}

STATE = """
case when run.state not in ('running', 'preempting') then run.state
     when run.heartbeat_at >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', :silence) then run.state
     when run.state = 'running' then 'crashed'
     else 'preempted'
end
"""
USERNAME = "(select account.username from account where account.id = run.user_id)"
ENTITY = """
(select entity.name
   from project
   join entity on entity.id = project.entity_id
  where project.id = run.project_id)
"""
DURATION = "max(0, strftime('%s', run.heartbeat_at) - strftime('%s', run.created_at))"
COLUMNS = {
    "name": "run.name",
    "displayName": "run.display_name",
    "display_name": "run.display_name",
    "state": f"({STATE.strip()})",
    "group": "run.group_name",
    "groupName": "run.group_name",
    "group_name": "run.group_name",
    "jobType": "run.job_type",
    "job_type": "run.job_type",
    "commit": "run.git_commit",
    "description": "run.description",
    "notes": "run.notes",
    "host": "run.host",
    "program": "run.program",
    "sweep": "(select sweep.name from sweep where sweep.id = run.sweep_id)",
    "entity": ENTITY.strip(),
    "duration": DURATION,
    "username": USERNAME,
    "user.username": USERNAME,
    "createdAt": "run.created_at",
    "created_at": "run.created_at",
    "heartbeatAt": "run.heartbeat_at",
    "heartbeat_at": "run.heartbeat_at",
    "updatedAt": "run.updated_at",
    "updated_at": "run.updated_at",
}
# The SDK writes bare NaN and Infinity, which SQLite can't read; texts without them needn't pass through Python.
CONFIG = "iif(run.config glob '*NaN*' or run.config glob '*Infinity*', strict_json(run.config), run.config)"
SUMMARY = "iif(run.summary glob '*NaN*' or run.summary glob '*Infinity*', strict_json(run.summary), run.summary)"
DOCUMENTS = {"config": CONFIG, "summary_metrics": SUMMARY, "summaryMetrics": SUMMARY, "summary": SUMMARY}
ORDERED = ((bool, "('true', 'false')"), (str, "('text')"), ((int, float), "('integer', 'real')"))  # among themselves
NULL_MEMBER = "member.type = 'null'"
COMPARISONS = {"$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}

IDS = "select run.id from run where run.project_id = :project"
COUNT = "select count(*) as count from run where run.project_id = :project"


def page(
    db: Connection,
    project_id: int,
    wanted: str | None,
    order: str | None,
    limit: int,
    offset: int,
    together: str | None = None,
) -> list[Row]:
    """A project's runs that pass the filter, in this order; by default the oldest first.

    Runs that have the field `together` alike stand together, those without it behind all others.
    """
    query = Query(wanted)
    by = query.order(order)
    if together:
        by = f"{query.ascending(together)}, {by}"
    found = " ".join((IDS, "and", query.condition, "order by", by, "limit :limit offset :offset"))
    rows = _ask(db, found, project=project_id, limit=limit, offset=offset, **query.parameters)
    # whole rows only for this page: sorting thousands of them would carry each one's config along
    return [db.row("select * from run where id = :id", id=row["id"]) for row in rows]


def count(db: Connection, project_id: int, wanted: str | None) -> int:
    query = Query(wanted)
    [row] = _ask(db, " ".join((COUNT, "and", query.condition)), project=project_id, **query.parameters)
    return row["count"]


def tally(db: Connection, project_id: int, wanted: str | None, field: str) -> dict[Any, int]:
    """How many of a project's runs that pass the filter have each value of a field."""
    query = Query(wanted)
    value = query.value(field)
    found = f"select {value} as value, count(*) as runs from run where run.project_id = :project"
    rows = _ask(db, " ".join((found, "and", query.condition, "group by 1")), project=project_id, **query.parameters)
    return {row["value"]: row["runs"] for row in rows}


@dataclass(frozen=True)
class Field:
    """A field of a run as SQL sees it: its value, its type in SQLite's words for JSON, and whether it can be a list."""

    value: str
    type: str
    listed: bool = True

    def any_member(self, test: str, name: str = "member") -> str:
        """Whether a member of the list passes; a value that is no list has none."""
        if not self.listed:
            return "false"
        members = f"json_each(iif({self.type} = 'array', {self.value}, '[]'))"
        return f"exists (select 1 from {members} as {name} where {test})"

    def passes(self, test: Callable[[str, str], str]) -> str:
        """Whether the value, or a member of it, passes a test of a value and its type."""
        itself, member = test(self.value, self.type), test("member.value", "member.type")
        return f"(ifnull({itself}, false) or {self.any_member(member)})"


class Query:
    """One filter, compiled: `condition` is SQL over `run`, true or false and never null."""

    def __init__(self, wanted: str | None):
        self.parameters: dict[str, Any] = {"silence": f"-{CRASHED_AFTER_SECONDS} seconds"}
        self.clauses, self.members = 0, counting()
        tree = filters.parsed(wanted)
        self.condition = self._all_of(tree, filters.DEEPEST, self._field) if tree else "true"

    def order(self, order: str | None) -> str:
        """What stands behind `order by`: runs without the value come last."""
        key, descending = filters.sort_key(order, FIRST)
        direction = "desc" if descending else "asc"
        if key in ("created_at", "createdAt"):
            return f"run.id {direction}"  # ids are given in the order of creation, times only to the second
        value = self.value(key)
        return f"{value} is null, {value} {direction}, run.id {direction}"

    def ascending(self, key: str) -> str:
        """What stands in `order by` before an order among runs that have a field alike."""
        value = self.value(key)
        return f"{value} is null, {value}"

    def value(self, key: str) -> str:
        """SQL for a field of a run."""
        return self._field(key).value

    def _bind(self, value: Any) -> str:
        if isinstance(value, int) and abs(value) >= LARGEST_INTEGER:
            value = math.copysign(min(abs(value), int(sys.float_info.max)), value)
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f":{name}"

    def _all_of(self, tree: Any, depth: int, named: Callable[[str], Field]) -> str:
        """SQL for a filter; `named` finds the fields that it names."""
        if not isinstance(tree, Mapping):
            raise BadInput("A filter is a JSON object.")
        depth = filters.deeper(depth)
        return self._joined(" and ", [self._clause(key, value, depth, named) for key, value in tree.items()])

    def _joined(self, word: str, parts: list[str]) -> str:
        self.clauses += len(parts)
        if self.clauses > filters.MOST_CLAUSES:
            raise BadInput(f"The filter has more than {filters.MOST_CLAUSES} clauses.")
        return f"({word.join(parts)})" if parts else "true" if word == " and " else "false"

    def _clause(self, key: str, value: Any, depth: int, named: Callable[[str], Field]) -> str:
        if key in ("$and", "$or", "$nor"):
            if not isinstance(value, list):
                raise BadInput(f"{key} takes a list of filters.")
            parts = [self._all_of(part, depth, named) for part in value]
            joined = self._joined(" and " if key == "$and" else " or ", parts)
            return f"not {joined}" if key == "$nor" else joined
        if key == "$not":
            return f"not {self._all_of(value, depth, named)}"
        if key.startswith("$"):
            raise BadInput(f"The filter operator '{key}' is not known here.")
        return self._condition(named(key), value, depth)

    def _condition(self, field: Field, value: Any, depth: int) -> str:
        if not isinstance(value, Mapping) or not any(key.startswith("$") for key in value):
            return self._equal(field, value)
        depth = filters.deeper(depth)
        tests = [self._operator(field, name, operand, depth) for name, operand in operands.operators(value)]
        return self._joined(" and ", tests)

    def _operator(self, field: Field, name: str, operand: Any, depth: int) -> str:
        if name == "$not":
            return f"not {self._condition(field, operand, depth)}"
        if name == "$eq":
            return self._equal(field, operand)
        if name == "$ne":
            return f"not {self._equal(field, operand)}"
        if name == "$exists":
            return f"({field.value} is {'not null' if operand else 'null'})"
        if name in COMPARISONS:
            return self._compared(field, COMPARISONS[name], operand)
        if name in ("$regex", "$contains"):
            return self._text(field, name, operand)
        if name == "$size":
            wanted = self._bind(operands.size(operand))
            return f"({field.type} is 'array' and json_array_length({field.value}) = {wanted})"
        if name == "$elemMatch":
            return self._any_member(field, operand, depth)
        if name == "$mod":
            return self._divided(field, *operands.modulus(operand))
        if name == "$type":
            types = self._bind(json.dumps(operands.types(operand)))
            return field.passes(lambda found, type: f"{_named(type, found)} in {_listed(types)}")
        if name == "$all":
            tests = [self._condition(field, item, depth) for item in operands.listed(name, operand)]
            return self._joined(" and ", tests) if tests else "false"
        if name not in ("$in", "$nin"):
            raise BadInput(f"The filter operator '{name}' is not known here.")
        return f"{'not ' if name == '$nin' else ''}{self._among(field, operands.listed(name, operand))}"

    def _any_member(self, field: Field, wanted: Any, depth: int) -> str:
        """Whether one member of a list passes all that is wanted of it, or of its fields."""
        name = f"member{next(self.members)}"
        value, type = f"{name}.value", f"{name}.type"
        if operands.describes_value(wanted):
            return field.any_member(self._condition(Field(value, type), wanted, depth), name)
        fields = partial(self._within, f"iif({type} = 'object', {value}, '{{}}')")
        return field.any_member(f"{type} = 'object' and {self._all_of(wanted, depth, fields)}", name)

    def _among(self, field: Field, items: list[Any]) -> str:
        held = self._bind(_strict(json.dumps(items)))
        same = field.passes(lambda found, _type: f"{found} in {_listed(held)}")
        return f"({same} or {self._equal(field, None)})" if None in items else same

    def _equal(self, field: Field, wanted: Any) -> str:
        if wanted is None:
            return f"({field.value} is null or {field.any_member(NULL_MEMBER)})"
        if isinstance(wanted, (list, Mapping)):
            whole = self._bind(_strict(json.dumps(wanted)))
            return field.passes(lambda found, type: f"({type} in ('array', 'object') and {found} = json({whole}))")
        value = self._bind(wanted)
        return field.passes(lambda found, _type: f"{found} = {value}")

    def _compared(self, field: Field, sign: str, operand: Any) -> str:
        """Numbers have an order among themselves, and texts among themselves."""
        types = next((types for kind, types in ORDERED if isinstance(operand, kind)), None)
        if types is None:
            raise BadInput(f"A run's field can't be compared with {json.dumps(operand)[:80]}.")
        bound = self._bind(operand)
        return field.passes(lambda found, type: f"({type} in {types} and {found} {sign} {bound})")

    def _divided(self, field: Field, divisor: int, rest: int) -> str:
        """SQLite's % is that of C, as MongoDB's; what is no whole number of 64 bits has no rest."""
        of, left = self._bind(divisor), self._bind(rest)
        return field.passes(
            lambda found, type: (
                f"({type} in ('integer', 'real') and {found} between -{operands.LARGEST_LONG} and "
                f"{operands.LARGEST_LONG} and cast({found} as integer) % {of} = {left})"
            )
        )

    def _text(self, field: Field, name: str, operand: Any) -> str:
        if not isinstance(operand, str):
            raise BadInput(f"{name} takes a text.")
        if name == "$contains":
            text = self._bind(operand)
            return f"(ifnull(instr({field.value}, {text}) > 0, false) or {field.any_member(f'member.value = {text}')})"
        patterns.reach(operand)  # refused where nothing is looked at, too
        pattern = self._bind(operand)
        return field.passes(lambda found, _type: f"matches({pattern}, {found})")

    def _field(self, name: str) -> Field:
        if name in COLUMNS:
            return Field(COLUMNS[name], f"typeof({COLUMNS[name]})", listed=False)
        if name == "tags":
            return Field("run.tags", "'array'")
        first, _, path = name.partition(".")
        if first not in DOCUMENTS or not path:
            raise BadInput(f"Runs have no field '{name}' to filter or order by.")
        return self._within(DOCUMENTS[first], path, "value" if first == "config" else None)

    def _within(self, document: str, path: str, beneath: str | None = None) -> Field:
        """A field of a JSON document, by its dotted name."""
        paths = [self._bind(path) for path in _paths(path, beneath)]
        values = [f"json_extract({document}, {path})" for path in paths]
        types = [f"json_type({document}, {path})" for path in paths]
        known = [f"nullif({type}, 'null')" for type in types]
        return Field(f"coalesce({', '.join(values)}, null)", f"coalesce({', '.join(known + types)})")


def _listed(parameter: str) -> str:
    """The members of a JSON list that is bound."""
    return f"(select value from json_each({parameter}))"


def _named(type: str, value: str) -> str:
    """MongoDB's name for a type."""
    whole = f"iif({value} between {operands.INT.start} and {operands.INT.stop - 1}, 'int', 'long')"
    return (
        f"case {type} when 'text' then 'string' when 'real' then 'double' when 'true' then 'bool' "
        f"when 'false' then 'bool' when 'integer' then {whole} else {type} end"
    )


def _paths(path: str, beneath: str | None) -> list[str]:
    """Where a dotted name can lie: under that very key, or deeper. `lr.value` means the same as `lr` in a config."""
    if '"' in path or "\0" in path:
        raise BadInput(f"{path!r} can't be filtered or ordered by: it holds a quotation mark, or a NUL.")
    keys = path.split(".")
    if beneath and len(keys) > 1 and keys[1] == beneath:
        del keys[1]
    whole, deeper = [".".join(keys)], keys if len(keys) > 1 else []
    return [_json_path(keys, beneath) for keys in (whole, deeper) if keys]


def _json_path(keys: list[str], beneath: str | None) -> str:
    return "$" + "".join(f'."{key}"' for key in [keys[0], *([beneath] if beneath else []), *keys[1:]])


# ---- functions that SQL lends from Python ----


def _ask(db: Connection, sql: str, **parameters: Any) -> list[Row]:
    search = patterns.Search()
    db.create_function("matches", 2, search, deterministic=True)
    db.create_function("strict_json", 1, _strict, deterministic=True)
    try:
        return db.all(sql, **parameters)
    except sqlite3.OperationalError as error:  # which is what SQLite makes of any error in a function that it borrows
        if "parser stack overflow" in str(error):  # which holds five $elemMatch in each other
            raise filters.too_deep() from None
        raise search.refusal or error from None


def _strict(text: str) -> str:
    """JSON without the bare NaN and Infinity that the SDK writes and SQLite can't read."""
    return json.dumps(json.loads(text, parse_constant=lambda word: LIMITS.get(word)))

"""Filters in MongoDB's words, in SQL: which rows pass, and which filters are refused."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import mongomock
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wandb_registry.db.sqlite import Connection, Database
from wandb_registry.errors import BadInput
from wandb_registry.model.search import filters, query, run_search
from wandb_registry.model.search.query import Bind, Field, Query

ROW = {
    "name": "fit",
    "tags": ["a", "b"],
    "config": {"lr": 0.1, "deep": {"er": 3, "c.d": 1}, "flag": True},
    "n": 7,
    "none": None,
    "list text": "[1]",
    "list": [1, {"k": 2}],
}
INSERT = """
insert into run (project_id, name, display_name, group_name, tags, config)
values (1, :name, :display_name, :group, :tags, :config)
"""
DOCUMENTS = "select key, value as document from json_each(:rows)"
DB = sqlite3.connect(":memory:", factory=Connection)


def field(name: str, bind: Bind) -> Field:
    return query.within("document", name, bind)


def found(wanted: Any, rows: list[Any]) -> list[int]:
    """The numbers of the rows that pass."""
    asked = Query(json.dumps(wanted), field)
    sql = f"select key from found where {asked.condition}"
    return [row["key"] for row in asked.rows(DB, DOCUMENTS, sql, rows=json.dumps(rows))]


def passes(wanted: Any, row: dict[str, Any] = ROW) -> bool:
    return found(wanted, [row]) == [0]


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"name": "fit"},
        {"config.lr": {"$gt": 0.05, "$lte": 0.1}},
        {"config.deep.er": 3},
        {"tags": "a"},
        {"tags": {"$in": ["x", "b"]}},
        {"tags": {"$all": ["a", "b"]}},
        {"tags": {"$size": 2}},
        {"tags": {"$elemMatch": {"$gt": "a"}}},
        {"name": {"$regex": "^f"}},
        {"name": {"$regex": "^F", "$options": "i"}},
        {"n": {"$mod": [4, 3]}},
        {"n": {"$type": "number"}},
        {"none": {"$exists": False}},
        {"missing": {"$ne": 1}},
        {"missing": {"$nin": [1]}},
        {"n": {"$not": {"$lt": 7}}},
        {"$not": {"n": 8}},
        {"name": {"$contains": "it"}},
        {"tags": {"$contains": "b"}},
        {"config.deep.c.d": 1},
        {"list": {"$in": [[1, {"k": 2}]]}},
        {"list": {"$elemMatch": {"k": {"$type": "int"}}}},
        {"none": {"$type": "null"}},
        {"config.flag": {"$gt": False}},
        {"$or": [{"n": 8}, {"name": "fit"}]},
        {"$nor": [{"n": 8}, {"name": "no"}]},
    ],
)
def test_a_row_passes(wanted: dict[str, Any]):
    assert passes(wanted)


@pytest.mark.parametrize(
    "wanted",
    [
        {"name": "Fit"},
        {"n": "7"},
        {"n": {"$gt": "1"}},
        {"none": {"$lt": 1}},
        {"missing": {"$gte": 0}},
        {"missing": {"$in": [1]}},
        {"tags": {"$all": []}},
        {"tags": {"$contains": "a,"}},
        {"tags": {"$regex": ","}},
        {"list": '[1,{"k":2}]'},
        {"list": {"$in": ['[1,{"k":2}]']}},
        {"list text": {"$in": [[1]]}},
        {"missing": {"$type": "null"}},
        {"config.flag": {"$gt": 0}},
        {"$and": [{"n": 7}, {"name": "no"}]},
    ],
)
def test_a_row_does_not_pass(wanted: dict[str, Any]):
    assert not passes(wanted)


# ---- as MongoDB ----

TEXTS = st.text("ab", max_size=2)
NUMBERS = st.integers(-2, 3) | st.sampled_from([0.5, -1.5, 2.0])
ORDERABLE = NUMBERS | TEXTS | st.booleans()
LISTS = st.lists(ORDERABLE | st.none(), max_size=3)
OBJECTS = st.fixed_dictionaries({}, optional={"k": ORDERABLE, "deep": st.fixed_dictionaries({"m": ORDERABLE})})
OBJECT_LISTS = st.lists(OBJECTS, max_size=3)
VALUES = ORDERABLE | LISTS | OBJECTS | OBJECT_LISTS
RUNS = st.fixed_dictionaries(
    {
        "display_name": TEXTS,
        "tags": st.lists(TEXTS, max_size=3),
        "config": st.fixed_dictionaries({}, optional={"x": VALUES, "y": VALUES, "z": OBJECTS, "list": OBJECT_LISTS}),
    },
    optional={"group": TEXTS},
)
# mongomock finds nothing of a text in a number, the registry does: these patterns are found in texts alone
PATTERNS = st.sampled_from(["^a", "b$", "^(a|bb)$", "[ab]{2}", "a.*b"])


def operators(operands: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What can be asked of one value."""
    return st.one_of(
        *(st.fixed_dictionaries({name: operands}) for name in ("$eq", "$ne")),
        *(st.fixed_dictionaries({name: ORDERABLE}) for name in ("$lt", "$lte", "$gt", "$gte")),
        *(st.fixed_dictionaries({name: st.lists(ORDERABLE | st.none(), max_size=3)}) for name in ("$in", "$nin")),
        st.fixed_dictionaries({"$gte": ORDERABLE, "$lt": ORDERABLE}),
        st.fixed_dictionaries({"$exists": st.booleans()}),
        st.fixed_dictionaries({"$regex": PATTERNS}),
        st.fixed_dictionaries({"$all": st.lists(ORDERABLE, min_size=1, max_size=2)}),
    )


def clauses(fields: st.SearchStrategy[str], tests: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda field, test: {field: test}, fields, tests)


FIELDS = st.sampled_from(["display_name", "group", "tags", "config.x", "config.y", "config.z.k", "config.z.deep.m"])
OF_OBJECTS = clauses(st.sampled_from(["k", "deep.m"]), operators(ORDERABLE))
TESTS = VALUES.filter(bool) | st.none() | operators(VALUES | st.none())
TESTS |= operators(VALUES).map(lambda test: {"$not": test}) | operators(ORDERABLE).map(
    lambda test: {"$elemMatch": test}
)
# mongomock counts a text's characters too; MongoDB a list's elements alone
SIZES = clauses(st.just("tags"), st.fixed_dictionaries({"$size": st.integers(0, 3)}))
FILTERS = st.recursive(
    clauses(FIELDS, TESTS) | SIZES | OF_OBJECTS.map(lambda test: {"config.list": {"$elemMatch": test}}),
    lambda parts: st.builds(
        lambda name, listed: {name: listed},
        st.sampled_from(["$and", "$or", "$nor"]),
        st.lists(parts, min_size=1, max_size=3),
    ),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    made = Database(tmp_path_factory.mktemp("store") / "registry.db", str)
    with made.write() as db:
        db.execute("insert into entity (id, name, kind) values (1, 'local', 'user')")
    yield made
    made.close()


@settings(derandomize=True)  # mongomock has faults of its own that a rare filter meets
@given(st.lists(RUNS, max_size=4), FILTERS)
def test_runs_are_found_as_mongodb_finds_them(database: Database, runs: list[dict[str, Any]], wanted: dict[str, Any]):
    documents = mongomock.MongoClient().db.runs
    with database.write() as db:
        db.execute("delete from project")
        db.execute("insert into project (id, entity_id, name) values (1, 1, 'any')")
        for number, run in enumerate(runs):
            row = {"name": str(number), "display_name": run["display_name"], "group": run.get("group")}
            config = {key: {"value": value} for key, value in run["config"].items()}
            db.execute(INSERT, row | {"tags": json.dumps(run["tags"]), "config": json.dumps(config)})
            documents.insert_one(run | {"_id": str(number)})
    with database.read() as db:
        found = run_search.page(db, 1, json.dumps(wanted), [], 10, 0)
    assert [run["name"] for run in found] == [run["_id"] for run in documents.find(wanted)]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ([1], "A filter is a JSON object"),
        ({"$where": "1"}, r"'\$where' is not known here"),
        ({"n": {"$near": 1}}, r"'\$near' is not known here"),
        ({"$or": {}}, r"\$or takes a list"),
        ({"n": {"$in": 1}}, r"\$in takes a list"),
        ({"n": {"$mod": [0, 1]}}, "the divisor"),
        ({"n": {"$lt": None}}, "can't be compared with null"),
        ({"n": {"$gte": [1]}}, r"can't be compared with \[1\]"),
        ({"name": {"$regex": "("}}, "can't be read"),
        ({"name": {"$regex": "(?=a)"}}, "has no lookaround"),
        ({"name": {"$regex": r"(a)\1"}}, "no backreferences"),
        ({"name": {"$regex": "(" * 1000 + "a" + "){1000}" * 1000}}, "can't be read"),
        ({"name": {"$regex": r"\pL{1000}"}}, "too large"),
        ({"$and": [{"n": 1}] * 501}, "more than 500 clauses"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(wanted: Any, says: str):
    with pytest.raises(BadInput, match=says):
        passes(wanted)


def test_a_filter_that_is_nested_without_end_is_refused():
    wanted: dict[str, Any] = {"n": 1}
    for _ in range(30):
        wanted = {"$and": [wanted]}
    with pytest.raises(BadInput, match="nested too deeply"):
        passes(wanted)
    with pytest.raises(BadInput, match="is not JSON"):
        filters.parse("{" * 10_000)


@pytest.mark.parametrize(
    ("order", "field"), [("-created_at", ("created_at", True)), ("+name", ("name", False)), ("id", ("id", False))]
)
def test_an_order_names_a_field_and_a_direction(order: str, field: tuple[str, bool]):
    assert filters.parse_order(order) == field


def test_rows_without_a_value_come_last_in_either_direction():
    rows = json.dumps([{"n": 3}, {"n": None}, {}, {"n": "text"}, {"n": 1}])
    for descending, expected in ((False, [4, 0, 3, 1, 2]), (True, [3, 0, 4, 1, 2])):
        asked = Query(None, field)
        sql = f"select key from found order by {asked.order('n', descending)}"
        assert [row["key"] for row in asked.rows(DB, DOCUMENTS, sql, rows=rows)] == expected


# ---- patterns ----


@pytest.mark.parametrize(
    ("pattern", "options", "text"),
    [
        ("^RUN", "i", "run 1"),
        ("^b$", "m", "a\nb"),
        ("a.b", "s", "a\nb"),
        ("a b # a comment", "x", "ab"),
        ("[ #] b", "x", "#b"),
        ("É", "i", "é"),
    ],
)
def test_options_change_what_a_pattern_finds(pattern: str, options: str, text: str):
    assert passes({"name": {"$regex": pattern, "$options": options}}, {"name": text})
    assert not passes({"name": {"$regex": pattern}}, {"name": text})


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)+$", "a?" * 40 + "a" * 40 + "$", "(a?){40}b", "(.*)(.*)(.*)(.*)x"]
)
def test_no_pattern_takes_long(pattern: str):
    """One such filter kept the server from answering anybody, for good."""
    began = time.thread_time()
    found({"name": {"$regex": pattern}}, [{"name": "a" * 5_000 + "!"}] * 10)
    assert time.thread_time() - began < 2

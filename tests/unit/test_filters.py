"""Filters in MongoDB's words, over one row: which rows pass, and which filters are refused."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wandb_registry.errors import BadInput
from wandb_registry.model import nested_keys
from wandb_registry.model.search import filters

ROW = {"name": "fit", "tags": ["a", "b"], "config": {"lr": 0.1, "deep": {"er": 3}, "flag": True}, "n": 7, "none": None}
FIELDS = st.sampled_from(["name", "tags", "config.lr", "n", "none", "missing"])
VALUES = st.sampled_from(["fit", "a", 0.1, 7, True, None])
CLAUSES = st.one_of(
    st.tuples(FIELDS, VALUES).map(lambda pair: {pair[0]: pair[1]}),
    st.builds(
        lambda field, operator, value: {field: {operator: value}},
        FIELDS,
        st.sampled_from(["$eq", "$ne", "$lt", "$gte"]),
        VALUES,
    ),
)


def passes(wanted: Any, row: dict[str, Any] = ROW) -> bool:
    test = filters.compile_filter(json.dumps(wanted))
    return test is None or test(partial(nested_keys.within, row))


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
        {"config.flag": {"$gt": 0}},
        {"$and": [{"n": 7}, {"name": "no"}]},
    ],
)
def test_a_row_does_not_pass(wanted: dict[str, Any]):
    assert not passes(wanted)


@given(CLAUSES, CLAUSES)
def test_and_or_and_nor_are_those_of_logic(one: dict[str, Any], other: dict[str, Any]):
    both = passes(one), passes(other)
    assert passes({"$and": [one, other]}) == all(both)
    assert passes({"$or": [one, other]}) == any(both)
    assert passes({"$nor": [one, other]}) == (not any(both))
    assert passes({"$not": one}) == (not passes(one))


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ([1], "A filter is a JSON object"),
        ({"$where": "1"}, r"'\$where' is not known here"),
        ({"n": {"$near": 1}}, r"'\$near' is not known here"),
        ({"$or": {}}, r"\$or takes a list"),
        ({"n": {"$in": 1}}, r"\$in takes a list"),
        ({"n": {"$mod": [0, 1]}}, "the divisor"),
        ({"name": {"$regex": "(a+)+$"}}, "too costly"),
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
        filters.compile_filter("{" * 10_000)


def test_rows_without_a_value_come_last_in_either_direction():
    rows = [3, None, "text", 1]
    assert filters.ordered(rows, lambda row: row, descending=False) == [1, 3, "text", None]
    assert filters.ordered(rows, lambda row: row, descending=True) == ["text", 3, 1, None]


@pytest.mark.parametrize(
    ("order", "field"), [("-created_at", ("created_at", True)), ("+name", ("name", False)), (None, ("id", True))]
)
def test_an_order_names_a_field_and_a_direction(order: str | None, field: tuple[str, bool]):
    assert filters.sort_key(order, "-id") == field

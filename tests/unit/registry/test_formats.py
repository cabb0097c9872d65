"""How pages and drawings write numbers, times, digests and texts that are too long."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvc_wandb.report import graph_text
from wandb_registry.model import nested_keys
from wandb_registry.web import formats


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (True, "true"),
        (None, "–"),
        (7, "7"),
        (-7, "−7"),
        (9999, "9999"),
        (12345, "12,345"),
        (0.5, "0.5000"),
        (0.0, "0.0000"),
        (0.00001, "1e−05"),
        (0.00012345, "0.0001234"),
        (0.012345, "0.01235"),
        (12.345, "12.35"),
        (1234.56, "1,235"),
        (float("nan"), "NaN"),
        (float("-inf"), "−∞"),
        ("text", "text"),
        ({"é": [1]}, '{"é": [1]}'),
    ],
)
def test_a_value_is_written_in_one_line(found: Any, said: str):
    assert formats.value(found) == said


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (0.00012345, "0.00012345"),
        (0.3, "0.3"),
        (1e-05, "0.00001"),
        (-0.5, "−0.5"),
        (3.0, "3"),
        (1e-9, "1e−09"),
        (20261117, "20261117"),
        (True, "true"),
        (None, "–"),
        (float("inf"), "∞"),
        ("adam", "adam"),
    ],
)
def test_a_configured_value_reads_as_it_was_typed(typed: Any, said: str):
    assert formats.given(typed) == said


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=6))
def test_values_that_differ_read_differently(values: list[float]):
    different = {value for value in values if abs(value) > 1e-9}
    assert len(set(formats.apart(list(different)))) == len(different)


def test_values_side_by_side_have_no_more_digits_than_tell_them_apart():
    assert formats.apart([0.95, 0.9, None, 3]) == ["0.9500", "0.9000", "–", "3"]
    assert formats.apart([0.950001, 0.950002]) == ["0.950001", "0.950002"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "–"), (0.4, "0s"), (59, "59s"), (59.6, "1m 00s"), (61, "1m 01s"), (3600, "1h 00m"), (90061, "25h 01m")],
)
def test_a_duration_is_in_its_two_largest_units(seconds: float | None, said: str):
    assert formats.duration(seconds) == said


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345, "12 kB"), (3_200_000_000, "3.2 GB")]
)
def test_a_size_has_a_decimal_where_it_tells_something(number: int, said: str):
    assert formats.size(number) == said


def test_small_words():
    assert [formats.plural(number, "file") for number in (0, 1, 4905)] == ["0 files", "1 file", "4,905 files"]
    assert formats.plural(2, "entry", "entries") == "2 entries"
    assert [formats.difference(number) for number in (0.0057, -0.0214)] == ["+0.0057", "−0.0214"]
    assert formats.when("2025-11-22T16:46:01+00:00") == "22 Nov 16:46"
    assert formats.when(None) == "–"
    assert formats.short("0123456789abcdef.dir") == "01234567….dir"
    assert formats.cut("abcdef", 4) == "abc…"


@given(st.text(max_size=60), st.integers(2, 60))
def test_a_text_that_is_cut_for_a_terminal_takes_no_more_than_its_room(shown: str, room: int):
    cut = graph_text.truncate(shown, room)
    assert graph_text.width_of(cut) <= room
    assert cut.isprintable()
    if shown.isprintable() and graph_text.width_of(shown) <= room:
        assert cut == shown


def test_the_middle_is_what_is_left_out():
    assert graph_text.truncate("data/folder/file.csv", 11) == "data/…e.csv"


@pytest.mark.parametrize(("shown", "cells"), [("abc", 3), ("データ", 6), ("é", 1), ("e\u0301", 1)])
def test_wide_characters_take_two_columns_and_accents_none(shown: str, cells: int):
    assert graph_text.width_of(shown) == cells


@given(
    st.recursive(
        st.integers(), lambda inside: st.dictionaries(st.text("abc", min_size=1), inside, max_size=4), max_leaves=10
    ).filter(lambda tree: isinstance(tree, dict))
)
def test_every_leaf_of_nested_values_is_found_by_its_dotted_name(tree: Any):
    for path, leaf in nested_keys.leaves(tree):
        assert nested_keys.within(tree, path) == leaf


def test_a_key_may_hold_dots_and_what_is_not_there_is_none():
    tree = {"epoch/loss.mean": 1, "a": {"b.c": 2, "b": {"d": 3}}}
    assert nested_keys.within(tree, "epoch/loss.mean") == 1
    assert nested_keys.within(tree, "a.b.c") == 2
    assert nested_keys.within(tree, "a.b.d") == 3
    assert nested_keys.within(tree, "a.b.e") is None
    assert nested_keys.within(tree, "a.b.d.e") is None

"""The lines of charts: thinned without losing a peak, grouped, and read from a history that grows or is rewound."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wandb_registry.db.connection import Connection
from wandb_registry.drawing.downsampling import mean_and_range, min_and_max
from wandb_registry.model.runs.defined_metrics import DefinedMetrics, defined_axis
from wandb_registry.model.runs.series import Columns, SeriesCache
from wandb_registry.web.charts.line_series import _places, _values
from wandb_registry.web.charts.metric_charts import best_value
from wandb_registry.web.charts.run_colors import css_class

FLOATS = st.floats(-1e6, 1e6)
LINES = st.lists(st.tuples(st.floats(0, 1e6), FLOATS), min_size=1, max_size=400).map(sorted)


def rows(*values: dict, first: int = 0) -> list[dict]:
    return [{"number": number, "body": json.dumps(value)} for number, value in enumerate(values, first)]


@given(LINES, st.integers(2, 40))
def test_a_thinned_line_keeps_its_ends_its_peaks_and_its_order(points: list[tuple[float, float]], stretches: int):
    xs, ys = [x for x, _ in points], [y for _, y in points]
    places, values = min_and_max(xs, ys, -math.inf, math.inf, stretches)
    assert len(places) == len(values) <= max(len(xs), 2 * stretches + 2)
    assert set(zip(places, values, strict=True)) <= set(points)
    assert places == sorted(places)
    assert (min(values), max(values)) == (min(ys), max(ys))
    assert (places[0], places[-1]) == (xs[0], xs[-1])


def test_every_stretch_keeps_its_own_peak():
    xs = list(range(1000))
    ys = [100.0 if x % 100 == 37 else 0.0 for x in xs]
    places, values = min_and_max(xs, ys, -math.inf, math.inf, 20)
    assert [x for x, y in zip(places, values, strict=True) if y] == list(range(37, 1000, 100))


def test_a_part_of_a_line_goes_on_to_the_edges():
    places, _ = min_and_max(list(range(10)), [0.0] * 10, 3.5, 6.5, 100)
    assert places == [3, 4, 5, 6, 7]


@given(st.lists(LINES, min_size=1, max_size=5), st.integers(2, 40))
def test_the_mean_of_a_group_lies_in_its_range_and_the_range_holds_all(lines: list, stretches: int):
    drawn = [([x for x, _ in line], [y for _, y in line]) for line in lines]
    places, means, least, greatest = mean_and_range(drawn, -math.inf, math.inf, stretches)
    assert places == sorted(places)
    for low, mean, high in zip(least, means, greatest, strict=True):
        assert low - 1e-6 * abs(low) <= mean <= high + 1e-6 * abs(high)
    assert min(least) == min(y for _, ys in drawn for y in ys)
    assert max(greatest) == max(y for _, ys in drawn for y in ys)


def test_a_group_takes_runs_as_one_however_many_values_each_has():
    lines = [([0, 1], [0.0, 2.0]), ([1], [4.0])]
    assert mean_and_range(lines, -math.inf, math.inf, 10) == ([0, 1], [0.0, 3.0], [0.0, 2.0], [0.0, 4.0])
    assert mean_and_range([], 0, 1, 10) == ([], [], [], [])


def test_columns_have_numbers_of_any_depth_by_dotted_names():
    row = {
        "_step": 0,
        "loss": 0.5,
        "flag": True,
        "text": "x",
        "deep": {"gain": 2},
        "image": {"_type": "image-file", "width": 3},
    }
    columns = Columns().grown(iter(rows(row)))
    assert columns.metrics == ["loss", "deep.gain"]


def test_what_cannot_be_drawn_is_counted():
    values = [1.0, math.nan, math.inf, 10**400, 2.0]
    columns = Columns().grown(iter(rows(*({"_step": step, "v": value} for step, value in enumerate(values)))))
    line = columns.line("v", "step")
    assert (list(line.xs), list(line.ys), line.undrawable) == ([0, 4], [1.0, 2.0], 3)


def test_a_metric_lies_over_another_one_where_a_row_has_both():
    history = [{"_step": 0, "epoch": 2, "v": 1.0}, {"_step": 1, "v": 9.0}, {"_step": 2, "epoch": 1, "v": 3.0}]
    line = Columns().grown(iter(rows(*history))).line("v", "epoch")
    assert (list(line.xs), list(line.ys)) == ([1, 2], [3.0, 1.0])


def test_columns_that_grow_leave_those_that_others_look_at():
    before = Columns().grown(iter(rows({"_step": 0, "v": 1.0})))
    after = before.grown(iter(rows({"_step": 1, "v": 2.0}, first=1)))
    assert list(before.line("v", "step").ys) == [1.0]
    assert list(after.line("v", "step").ys) == [1.0, 2.0]


class Histories:
    """A database that has runs' histories, all of one length."""

    def __init__(self, length: int, before: Callable[[], object] = lambda: None):
        self.length, self.before = length, before

    def execute(self, _query: str, given: dict) -> list[dict]:
        self.before()
        body = '{"_step": 1, "loss": 0.5}'
        return [{"number": at, "body": body} for at in range(max(0, given["first"]), self.length)]


def test_what_was_looked_at_last_is_kept_with_its_lines_counted():
    cache, db = SeriesCache(most=450), cast(Connection, Histories(length=100))
    first = cache.columns(db, {"id": 1})  # 200 numbers
    assert cache.columns(db, {"id": 2}) is cache.columns(db, {"id": 2})
    assert cache.columns(db, {"id": 1}) is first
    third = cache.columns(db, {"id": 3})
    assert cache.columns(db, {"id": 1}) is first, "it was looked at after the second"
    assert cache.columns(db, {"id": 3}) is third
    first.drawn["a line",] = "x" * 16 * 200  # as many bytes as 200 numbers
    assert cache.columns(db, {"id": 1}) is first
    assert cache.columns(db, {"id": 3}) is not third, "it was let go, and is read anew"


def test_while_one_run_is_read_another_can_be_looked_at():
    began, end = threading.Event(), threading.Event()
    cache, quick, slow = SeriesCache(), Histories(3), Histories(3, lambda: (began.set(), end.wait(20)))
    reader = threading.Thread(target=lambda: cache.columns(cast(Connection, slow), {"id": 1}))
    reader.start()
    assert began.wait(20)
    other = threading.Thread(target=lambda: cache.columns(cast(Connection, quick), {"id": 2}))
    other.start()
    other.join(20)
    waits = other.is_alive()
    end.set()
    reader.join(20)
    assert not waits


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50).map(sorted))
def test_places_come_back_as_they_were(xs: list[float]):
    told = json.loads(f"{{{_places(xs)}}}")
    places, at = [], 0
    for step in told["x"]:
        at += step
        places.append(at / 10 ** told["scale"])
    room = (xs[-1] - xs[0] or xs[0]) / 500_000
    assert all(abs(x - place) <= room + 1e-14 for x, place in zip(xs, places, strict=True))


@pytest.mark.parametrize("ys", [[0.5, 0.25], [1000.0001, 1000.0004], [-3e-9, 4e-9], [5.0, 5.0], [0.0, 1e6]])
def test_values_are_told_apart_wherever_they_lie(ys: list[float]):
    told = json.loads(_values(ys))
    span = (max(ys) - min(ys)) or max(map(abs, ys))
    assert all(abs(value - y) <= span / 900 for value, y in zip(told, ys, strict=True))


def run(*records: dict) -> dict:
    return {"config": json.dumps({"_wandb": {"value": {"m": list(records)}}})}


def test_definitions_name_axes_hidden_metrics_and_what_is_better():
    """As SDK 0.31 writes them."""
    told = run(
        {"1": "epoch", "6": [3], "7": []},
        {"1": "val/secret", "6": [3, 2], "7": []},
        {"2": "val/*", "5": 1, "6": [1], "7": [2]},
        {"1": "loss", "7": [1]},
    )
    defined = DefinedMetrics(told)
    assert defined_axis([defined], "val/loss", ["step", "epoch"]) == "epoch"
    assert defined_axis([defined], "val/loss", ["step"]) == "step"  # no run has the metric that it was defined over
    assert [defined.is_hidden(name) for name in ("val/secret", "val/loss", "other")] == [True, False, False]
    assert best_value("val/loss", [1.0, 2.0], [told]) == 2.0  # told to be the greatest, whatever its name says
    assert best_value("loss", [1.0, 2.0], [told]) == 1.0
    assert best_value("accuracy", [1.0, 2.0, None], [run()]) == 2.0
    assert best_value("accuracy", [1.0, 1.0], [run()]) is None


@pytest.mark.parametrize("told", [{"_wandb": {"value": {"m": 5}}}, {"_wandb": {"value": {"m": [1, {"1": 2}]}}}, {}])
def test_definitions_of_any_shape_are_no_fault(told: dict):
    assert DefinedMetrics({"config": json.dumps(told)}).of("loss") is None


def test_thirty_runs_look_different():
    assert len({css_class(place) for place in range(30)}) == 30
    assert css_class(10) == "s1 dash"

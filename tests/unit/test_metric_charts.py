"""Charts of a run's metrics: where points and grid lines lie, and how lines are smoothed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wandb_registry.web.charts import FRAME
from wandb_registry.web.charts.metric_charts import metric_chart, smoothed

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)
POINTS = st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=30)


def places(points: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in points.split())]


@given(POINTS)
def test_every_point_lies_within_the_frame_from_left_to_right(points: list[tuple[float, float]]):
    chart = metric_chart("loss", [("run", sorted(points))], "step", 0, 0)
    found = places(chart.lines[0].points)
    assert len(found) == len(points)
    assert [x for x, _ in found] == sorted(x for x, _ in found)
    for x, y in found:
        assert FRAME.left <= x <= FRAME.right
        assert FRAME.top <= y <= FRAME.bottom


def test_a_higher_value_lies_higher_and_the_ends_reach_from_edge_to_edge():
    chart = metric_chart("loss", [("run", [(0, 1.0), (1, 3.0), (2, 2.0)])], "step", 0, 0)
    (x0, low), (_, high), (x2, middle) = places(chart.lines[0].points)
    assert (x0, x2) == (FRAME.left, FRAME.right)
    assert high < middle < low


def test_lines_of_several_runs_share_one_scale_and_a_run_without_values_has_none():
    chart = metric_chart("loss", [("a", [(0, 0.0), (10, 1.0)]), ("none", []), ("b", [(5, 1.0)])], "step", 0, 0)
    assert [line.name for line in chart.lines] == ["a", "b"]
    assert places(chart.lines[1].points)[0] == ((FRAME.left + FRAME.right) / 2, places(chart.lines[0].points)[1][1])


def test_a_value_that_never_changes_is_drawn_in_the_middle():
    chart = metric_chart("loss", [("run", [(0, 5.0), (1, 5.0)])], "step", 0, 0)
    assert {y for _, y in places(chart.lines[0].points)} == {(FRAME.top + FRAME.bottom) / 2}


def test_a_single_value_lies_at_the_left_however_far_the_run_has_gone():
    """A step of twenty millions gave an axis without length, and the page an error."""
    chart = metric_chart("loss", [("run", [(20_000_000, 5.0)])], "step", 0, 0)
    assert places(chart.lines[0].points) == [(FRAME.left, (FRAME.top + FRAME.bottom) / 2)]


def test_values_that_cannot_be_drawn_are_counted():
    assert metric_chart("loss", [("run", [])], "step", 0, 3).undrawable == 3


def test_a_smoothed_line_keeps_the_raw_one_behind_it_and_the_last_value_as_it_was():
    chart = metric_chart("loss", [("run", [(0, 0.0), (1, 1.0)])], "step", 0.5, 0)
    (line,) = chart.lines
    assert line.unsmoothed is not None
    assert line.unsmoothed != line.points
    assert line.last == 1.0


@given(VALUES)
def test_smoothing_by_nothing_changes_nothing(values: list[float]):
    assert smoothed(values, 0) == values


@given(VALUES, st.floats(0, 0.99))
def test_a_smoothed_value_lies_between_those_so_far(values: list[float], weight: float):
    for at, value in enumerate(smoothed(values, weight), start=1):
        room = 1e-6 * max(1.0, *map(abs, values[:at]))
        assert min(values[:at]) - room <= value <= max(values[:at]) + room


def test_smoothing_has_no_bias_towards_its_start():
    assert smoothed([2.0, 2.0, 2.0], 0.9) == pytest.approx([2, 2, 2])
    assert smoothed([0.0, 1.0], 0.5) == pytest.approx([0, 2 / 3])


@pytest.mark.parametrize(
    ("axis", "ends"),
    [("step", ["0", "60", "120"]), ("time", ["0s", "1m 00s", "2m 00s"]), ("epoch", ["0", "60", "120"])],
)
def test_the_marks_along_the_axis_are_in_its_unit(axis: str, ends: list[str]):
    chart = metric_chart("loss", [("run", [(0, 1.0), (120, 2.0)])], axis, 0, 0)
    assert [mark for _, mark in chart.x.ticks] == ends


@pytest.mark.parametrize(
    ("values", "marks"),
    [((0.0, 1.0), ["0.1", "0.5", "0.9"]), ((-2e9, 2e9), ["−1.79e+09", "0", "1.79e+09"])],
)
def test_the_marks_across_tell_each_other_apart(values: tuple[float, float], marks: list[str]):
    chart = metric_chart("loss", [("run", list(enumerate(values)))], "step", 0, 0)
    assert [mark for _, mark in chart.y.ticks] == marks

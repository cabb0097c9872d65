"""Scales, ticks and bars of charts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wandb_registry.drawing.bar_chart import histogram_bars, horizontal_bars
from wandb_registry.drawing.line_chart import Frame, Scale, padded, round_ticks, spread

FRAME = Frame(width=100, height=50, left=10, right=90, top=5, bottom=45)
VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)


@pytest.mark.parametrize(("value", "x", "y"), [(0, 10, 45), (5, 50, 25), (10, 90, 5)])
def test_a_frame_has_low_values_at_its_left_and_its_bottom(value: float, x: float, y: float):
    assert (FRAME.x_scale(0, 10).coordinate(value), FRAME.y_scale(0, 10).coordinate(value)) == (x, y)


def test_a_scale_of_one_value_has_all_of_it_at_its_start():
    assert Scale(3, 3, 10, 90).coordinate(3) == 10


@given(VALUES, st.integers(2, 8))
def test_round_ticks_span_the_values_in_equal_steps(values: list[float], about: int):
    ticks = round_ticks(values, about)
    assert ticks == sorted(ticks)
    assert 2 <= len(ticks) <= about + 3
    assert ticks[0] <= min(values) + 1e-9
    assert ticks[-1] >= max(values) - 1e-9


def test_round_ticks_are_round():
    assert round_ticks([0.13, 0.97], 5) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert round_ticks([3, 3], 5) == [3, 4, 5, 6]


@given(VALUES)
def test_a_padded_range_is_wider_than_its_values(values: list[float]):
    low, high = padded(values, 0.1)
    assert low < high
    assert low <= min(values)
    assert max(values) <= high


def test_names_are_moved_apart_and_no_further():
    assert spread([20, 22, 50], 10, 14) == [20, 34, 50]
    assert spread([1, 2], 10, 14) == [10, 24]


def test_bars_lie_on_both_sides_of_zero_and_beneath_each_other():
    gain, loss = horizontal_bars([3, -1], FRAME)
    assert (gain.x, gain.x + gain.width) == (30, 90)
    assert (loss.x, loss.x + loss.width) == (10, 30)
    assert gain.y + gain.height < loss.y


def test_bars_of_zero_have_no_width():
    assert [bar.width for bar in horizontal_bars([0, 0], FRAME)] == [0, 0]
    assert horizontal_bars([], FRAME) == []


def test_the_largest_count_of_a_histogram_is_as_high_as_its_frame():
    few, many = histogram_bars([1, 4], FRAME)
    assert (many.y, many.height) == (FRAME.top, FRAME.bottom - FRAME.top)
    assert (few.x, few.width, few.height) == (10, 40, 10)
    assert few.x + few.width == many.x
    assert histogram_bars([0, 0], FRAME) == histogram_bars([], FRAME) == []

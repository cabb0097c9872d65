"""What the page of a sweep says of its runs: which parameters matter, and where values lie on parallel axes."""

from __future__ import annotations

import math
import random

import pytest

from wandb_registry.drawing.line_chart import Frame
from wandb_registry.drawing.parallel_axes import axes
from wandb_registry.model.sweeps import importance

FRAME = Frame(width=300, height=100, left=0, right=200, top=0, bottom=100)


def test_the_parameter_that_makes_the_result_matters_most():
    chance = random.Random(5)
    made, noise, half = ([chance.random() for _ in range(60)] for _ in range(3))
    results = tuple(4 * one + half for one, half in zip(made, half, strict=True))
    found = importance.forest((tuple(made), tuple(noise), tuple(half)), results)
    assert found
    assert found.importance[0] > 0.8
    assert found.importance[1] < found.importance[2] < found.importance[0]
    assert sum(found.importance) == pytest.approx(1)
    assert found.r2
    assert 0.5 < found.r2 < 1


def test_a_parameter_without_any_say_explains_nothing():
    chance = random.Random(7)
    noise, results = (tuple(chance.random() for _ in range(60)) for _ in range(2))
    found = importance.forest((noise,), results)
    assert found
    assert found.r2 is not None
    assert found.r2 < 0.2


def test_few_runs_or_equal_results_have_no_forest():
    few = tuple(map(float, range(5)))
    assert importance.forest((few,), few) is None
    assert importance.forest((tuple(map(float, range(20))),), (1.0,) * 20) is None
    assert importance.correlation((1.0, 1.0), (1.0, 2.0)) is None
    assert importance.correlation((1.0, 2.0, 3.0), (3.0, 2.0, 1.0)) == pytest.approx(-1)


def test_values_lie_between_round_ends_and_what_has_none_has_no_place():
    numbers, log, names = axes(
        [([0.2, None, 7.9], False), ([1e-5, 1e-3, math.nan], True), (["b", 3, "a"], False)], FRAME
    )
    assert [axis.x for axis in (numbers, log, names)] == [0, 100, 200]
    assert (numbers.low, numbers.high) == (0, 8)
    assert numbers.places == [97.5, None, 1.2]
    assert [label for _, label in log.ticks] == ["1e−05", "0.0001", "0.001"]
    assert log.places == [100, 0, None]
    assert names.ticks == [(100, "3"), (50, "a"), (0, "b")]
    assert names.low is None


def test_one_value_and_none_at_all_have_axes_too():
    one, none = axes([([5.0, 5.0], True), ([None, None], False)], FRAME)
    assert all(place is not None and 0 <= place <= 100 for place in one.places)
    assert (none.places, none.ticks) == ([None, None], [])


@pytest.mark.slow  # for the import
def test_the_forest_tells_what_that_of_scikit_learn_tells():
    from sklearn.ensemble import RandomForestRegressor

    chance = random.Random(7)
    columns = tuple(tuple(chance.random() for _ in range(60)) for _ in range(4))
    results = tuple(3 * a + 2 * b**2 + chance.gauss(0, 0.05) for a, b, *_ in zip(*columns, strict=True))
    ours = importance.forest(columns, results)
    theirs = RandomForestRegressor(100, max_depth=5, oob_score=True, random_state=1)
    theirs.fit(list(zip(*columns, strict=True)), results)
    assert ours
    assert ours.importance == pytest.approx(list(theirs.feature_importances_), abs=0.05)
    assert ours.r2 == pytest.approx(theirs.oob_score_, abs=0.05)

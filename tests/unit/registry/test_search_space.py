"""The parameters of a sweep: what a grid goes through, what is drawn, and what can't be."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wandb_registry.errors import BadInput, NotSupported
from wandb_registry.model.sweeps import search_space


def space(method: str = "grid", **parameters: Any) -> search_space.SearchSpace:
    return search_space.read(yaml.dump({"method": method, "parameters": parameters}))


BOUNDED = st.tuples(st.integers(-50, 50), st.integers(0, 40)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(kind=st.sampled_from(["int_uniform", "uniform", "log_uniform", "q_uniform"]), bounds=BOUNDED)
def test_what_is_drawn_lies_within_the_bounds(kind: str, bounds: tuple[int, int]):
    low, high = bounds
    spec = {"distribution": kind, "min": low, "max": high}
    value = search_space.read(yaml.dump({"method": "random", "parameters": {"x": spec}})).values(0)["x"]
    if kind == "log_uniform":
        low, high = math.exp(low), math.exp(high)
    assert low <= value <= high


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_a_grid_has_every_point_once(sizes: list[int]):
    parameters = {f"p{place}": {"values": list(range(size))} for place, size in enumerate(sizes)}
    space = search_space.read(yaml.dump({"method": "grid", "parameters": parameters}))
    points = [tuple(space.values(number).values()) for number in range(space.trials or 0)]
    assert points == list(itertools.product(*(range(size) for size in sizes)))


def test_the_last_parameter_of_a_grid_changes_fastest():
    grid = space(a={"values": [1, 2]}, b={"min": 5, "max": 6})
    assert [grid.values(number) for number in range(3)] == [{"a": 1, "b": 5}, {"a": 1, "b": 6}, {"a": 2, "b": 5}]
    assert grid.trials == 4


def test_nested_parameters_come_back_nested():
    grid = space(net={"parameters": {"depth": {"value": 3}, "drop": {"values": [0.1]}}}, seed={"value": 1})
    assert grid.values(0) == {"net": {"depth": 3, "drop": 0.1}, "seed": 1}


def test_a_run_cap_ends_a_grid_and_a_random_search():
    for method, trials in (("grid", 2), ("random", 2)):
        text = yaml.dump({"method": method, "run_cap": 2, "parameters": {"x": {"values": [1, 2, 3]}}})
        assert search_space.read(text).trials == trials
    assert space("random", x={"values": [1, 2, 3]}).trials is None


def test_a_quantized_parameter_is_a_grid_of_multiples():
    grid = space(x={"distribution": "q_uniform", "min": 1, "max": 2, "q": 0.25})
    assert [grid.values(number)["x"] for number in range(grid.trials or 0)] == [1, 1.25, 1.5, 1.75, 2]


def test_a_value_without_weight_is_never_drawn():
    weighted = space("random", x={"values": ["never", "always"], "probabilities": [0, 1]})
    assert {weighted.values(number)["x"] for number in range(50)} == {"always"}


@pytest.mark.parametrize(
    ("spec", "guessed"), [({"min": 1, "max": 3}, int), ({"min": 1.0, "max": 3}, float), ({"mu": 0, "sigma": 1}, float)]
)
def test_a_distribution_that_is_not_named_follows_from_the_numbers(spec: dict[str, Any], guessed: type):
    assert type(space("random", x=spec).values(0)["x"]) is guessed


@pytest.mark.parametrize(
    ("method", "spec", "says"),
    [
        ("grid", {"min": 0.0, "max": 1.0}, "A grid can't go through all values of 'x'"),
        ("grid", {"values": []}, "a list of at least one"),
        ("grid", {"min": 2, "max": 1}, "a 'min' of 2 above its 'max' of 1"),
        ("random", {"distribution": "cauchy"}, "no distribution that is known here"),
        ("random", {"distribution": "q_int_uniform", "min": 1, "max": 2}, "no distribution that is known here"),
        ("random", {"distribution": "q_normal", "q": 0}, "a step is above 0"),
        ("random", {"min": True, "max": 2}, "needs a number as 'min'"),
        ("random", {"distribution": "beta", "a": 1}, "needs a number as 'b'"),
        ("random", {"distribution": "log_uniform_values", "min": 0, "max": 1}, "can be drawn"),
        ("random", {"values": [1], "probabilities": [0]}, "as many numbers as it has 'values'"),
        ("grid", {"min": 1, "max": 10**7}, "more than 1,000,000 points"),
        ("grid", 3, "'x' is a mapping"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_by_its_name(method: str, spec: Any, says: str):
    with pytest.raises(BadInput, match=says):
        space(method, x=spec)


def test_a_method_that_needs_wandbs_own_servers_is_refused():
    with pytest.raises(NotSupported, match="bayes"):
        space("bayes", x={"value": 1})

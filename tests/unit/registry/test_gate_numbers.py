"""What the page of a request reads out of a decision's numbers."""

from __future__ import annotations

from typing import Any

import pytest

from wandb_registry.web.promotion import gate
from wandb_registry.web.promotion.gate import Rule, Split

NUMBERS: dict[str, Any] = {
    "promoted": True,
    "candidate": "bf4f0ead",
    "accuracy": 664 / 700,
    "champion_accuracy": 657 / 700,
    "loss": 0.16,
    "max_loss": 0.5,
    "min_accuracy": 0.9,
    "only_candidate_right": 8,
    "only_champion_right": 1,
    "p_value": 0.0390625,
    "significance": 0.05,
}


def test_bounds_are_held_against_both_models_and_the_rest_is_kept():
    found = gate.read(NUMBERS, [])
    assert found.rules == [
        Rule("accuracy", "≥", 0.9, 657 / 700, 664 / 700),
        Rule("loss", "≤", 0.5, None, 0.16),
    ]
    assert [rule.holds for rule in found.rules] == [True, True]
    assert found.passes is True
    assert found.rest == {"candidate": "bf4f0ead", "significance": 0.05}


def test_a_bound_that_is_missed_is_told():
    assert [rule.holds for rule in gate.read({**NUMBERS, "loss": 0.51, "accuracy": 0.89}, []).rules] == [False, False]


def test_the_four_counts_follow_from_how_many_were_measured():
    assert gate.read(NUMBERS, [0.9386, 700]).split == Split(8, 1, 0.0390625, 700, 656, 35)
    assert gate.read({**NUMBERS, "digits": 700}, []).split == Split(8, 1, 0.0390625, 700, 656, 35)


@pytest.mark.parametrize("measured", [[], [699], [0], [-700], [70], [float("nan")], [1e300], [True]])
def test_a_number_that_fits_neither_accuracy_is_no_count(measured: list[Any]):
    assert gate.read(NUMBERS, measured).split == Split(8, 1, 0.0390625)


def test_counts_that_contradict_the_accuracies_are_not_filled_up():
    assert gate.read({**NUMBERS, "only_candidate_right": 9}, [700]).split == Split(9, 1, 0.0390625)


@pytest.mark.parametrize("numbers", [{}, {"min_accuracy": "0.9", "accuracy": 1}, {"only_candidate_right": 3}])
def test_what_is_no_gate_is_left_as_it_is(numbers: dict[str, Any]):
    found = gate.read(numbers, [700])
    assert (found.rules, found.split, found.passes, found.rest) == ([], None, None, numbers)

"""The gate's rules as pure functions; McNemar's test against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from dvc_wandb.production import Record
from stages import gate
from stages.gate import Comparison, GateRule

BETTER = GateRule(min_accuracy=0.9, max_loss=0.5, require="better", significance=0.05, tolerated_drop=0)
NOT_WORSE = GateRule(min_accuracy=0.9, max_loss=0.5, require="not_worse", significance=0.05, tolerated_drop=0.005)
LABELS = st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=1, max_size=200)


def split(only_champion: int, only_challenger: int, digits: int = 700, both: int = 600) -> Comparison:
    return Comparison(digits, both + only_champion, both + only_challenger, only_champion, only_challenger)


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_p_value_is_that_of_scipys_exact_binomial_test(first: int, second: int):
    expected = binomtest(first, first + second, 0.5).pvalue if first + second else 1.0
    assert gate.mcnemar(first, second) == pytest.approx(expected, rel=1e-9)


def test_the_p_value_of_many_digits_is_exact():
    assert gate.mcnemar(30_000, 30_500) == pytest.approx(binomtest(30_000, 60_500, 0.5).pvalue, rel=1e-6)


@given(LABELS)
def test_the_comparison_counts_the_digits_one_by_one(rows: list[tuple[int, int, int]]):
    found = gate.compare(*(np.array(column) for column in zip(*rows, strict=True)))
    assert found.digits == len(rows)
    assert found.only_champion == sum(a == b != c for a, b, c in rows)
    assert found.only_challenger == sum(a == c != b for a, b, c in rows)
    assert found.champion_right - found.only_champion == found.challenger_right - found.only_challenger
    assert found.p_value == pytest.approx(
        binomtest(found.only_champion, found.only_champion + found.only_challenger, 0.5).pvalue
        if found.only_champion + found.only_challenger
        else 1.0
    )


@given(LABELS)
def test_no_model_is_better_than_itself_and_none_of_two_is_better_than_the_other(rows: list[tuple[int, int, int]]):
    actual, first, second = (np.array(column) for column in zip(*rows, strict=True))
    itself = gate.compare(actual, first, first)
    assert not gate.against_champion(BETTER, itself).passes
    assert gate.against_champion(NOT_WORSE, itself).passes
    there, back = gate.compare(actual, first, second), gate.compare(actual, second, first)
    assert there.p_value == back.p_value
    assert not (gate.against_champion(BETTER, there).passes and gate.against_champion(BETTER, back).passes)


@pytest.mark.parametrize(
    ("only_champion", "only_challenger", "better", "not_worse"),
    [
        (0, 25, True, True),
        (0, 5, False, True),  # lucky: p = 0.06
        (0, 6, True, True),  # p = 0.03
        (4, 4, False, True),
        (2, 0, False, True),  # within the tolerated drop of 3.5 digits
        (4, 0, False, False),  # no more than chance, but more than is tolerated
        (25, 0, False, False),
        (60, 58, False, True),
    ],
)
def test_what_passes(only_champion: int, only_challenger: int, better: bool, not_worse: bool):
    found = split(only_champion, only_challenger)
    assert gate.against_champion(BETTER, found).passes is better
    assert gate.against_champion(NOT_WORSE, found).passes is not_worse


def test_a_drop_of_exactly_what_is_tolerated_passes():
    rule = GateRule(0.9, 0.5, "not_worse", 0.05, 0.01)
    assert gate.against_champion(rule, split(1, 0, digits=100, both=89)).passes
    assert not gate.against_champion(rule, split(2, 0, digits=100, both=89)).passes


def test_a_clearly_worse_model_fails_within_a_tolerated_drop():
    rule = GateRule(0.9, 0.5, "not_worse", 0.05, 0.1)
    assert gate.against_champion(rule, split(12, 0)).why.endswith("worse (p = 0.000488 ≤ 0.05)")
    assert not gate.against_champion(rule, split(12, 0)).passes


@pytest.mark.parametrize(("accuracy", "loss", "passes"), [(0.9, 0.5, True), (0.8999, 0.1, False), (0.99, 0.51, False)])
def test_thresholds_come_first(accuracy: float, loss: float, passes: bool):
    assert gate.decide(BETTER, accuracy, loss, None, None).passes is passes
    assert gate.decide(BETTER, accuracy, loss, "b" * 32, split(0, 25)).passes is passes


def test_without_the_champions_bytes_a_person_decides():
    verdict = gate.decide(
        BETTER, 0.95, 0.2, "b" * 32, None, problem="takes pictures of 28×28×1, and the data has 8×8×3"
    )
    assert (verdict.passes, verdict.rule) == (False, "waits_for_person")
    assert "the champion bbbbbbbb takes pictures of 28×28×1, and the data has 8×8×3: this waits" in verdict.why
    assert f"`make promote VERSION=dvc-{'a' * 32} " in gate.outcome(verdict, "a" * 32, "b" * 32, "b" * 32)


def test_a_persons_decision_stands_against_the_gate():
    a, b, c, d = (letter * 32 for letter in "abcd")
    record = Record("r/m", a, decided_by="gate").by_person(b, "slow", None, c)
    assert record.replaces == a
    chosen = gate.person_verdict(record, b)
    assert chosen is not None
    assert chosen.passes
    assert gate.person_verdict(record, d) is None
    later = record.by_gate(d, "e" * 32, {}, "better")
    assert later.only_by_person == record.only_by_person
    assert [one.model_md5 for one in later.by_person(a, "after all", None, d).only_by_person] == [c, d]


def test_a_rejected_a_replaced_a_rolled_back_and_a_passed_over_model_each_have_a_sentence():
    a, b, c = (letter * 32 for letter in "abc")

    def sentence(record: Record, candidate: str) -> str:
        verdict = gate.person_verdict(record, candidate) or gate.thresholds(BETTER, 0.5, 0.1)
        return f"{verdict.why}: {gate.outcome(verdict, candidate, record.model_md5, record.model_md5)}."

    first = Record("r/m", a, decided_by="gate")
    replaced, back = first.by_person(b, "slow", None, c), first.by_person(b, "slow", None, None, rollback=True)
    why = "accuracy 0.5 < 0.9 and loss 0.1 ≤ 0.5"
    assert sentence(first, b) == f"{why}: model bbbbbbbb does not pass; aaaaaaaa stays production."
    only = "so only a person promotes it: bbbbbbbb is production."
    assert sentence(replaced, a) == f"model aaaaaaaa was replaced by a person with bbbbbbbb (slow), {only}"
    assert sentence(back, a) == f"model aaaaaaaa was rolled back by a person to bbbbbbbb (slow), {only}"
    assert sentence(replaced, c) == f"model cccccccc was passed over by a person for bbbbbbbb (slow), {only}"


@given(st.integers(0, 700), st.integers(0, 700))
def test_a_comparison_in_the_sentence_reads_true_however_near_the_two_numbers_are(right: int, least: int):
    rule = GateRule(least / 700, right / 700, "not_worse", 0.05, 0)
    words = gate.thresholds(rule, right / 700, least / 700).why.split()
    assert words[:1] + words[4:6] == ["accuracy", "and", "loss"]
    for value, sign, bound in (words[1:4], words[6:9]):  # was 0.938571 ≥ 0.9385714285714286
        holds = {"≥": float.__ge__, "<": float.__lt__, "≤": float.__le__, ">": float.__gt__}[sign]
        assert holds(float(value), float(bound))

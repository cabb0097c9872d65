"""The gate before production, as pure functions: first thresholds, then a comparison with the model in production.

The champion is the model in production, the challenger is the new one. Both are compared on the same digits. Some
digits only one of the two gets right. McNemar's exact test says how often chance alone would split these digits as
unevenly (Q. McNemar, Psychometrika 12, 1947).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dvc_wandb.production import PERSON, Record

WAITS = "waits_for_person"
SHORT = 8  # characters of an md5 in a sentence


@dataclass(frozen=True)
class GateRule:
    """The parameters under `promote` in params.yaml."""

    min_accuracy: float
    max_loss: float
    require: str  # better or not_worse
    significance: float
    tolerated_drop: float


@dataclass(frozen=True)
class Comparison:
    """Two models on the same digits: how many each gets right, and how many only that one does."""

    digits: int
    champion_right: int
    challenger_right: int
    only_champion: int
    only_challenger: int

    @property
    def p_value(self) -> float:
        return mcnemar(self.only_champion, self.only_challenger)

    @property
    def gain(self) -> float:
        """The challenger's accuracy minus the champion's."""
        return (self.challenger_right - self.champion_right) / self.digits


@dataclass(frozen=True)
class Verdict:
    """Whether a model passes, by which rule, and why."""

    passes: bool
    rule: str
    why: str


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of McNemar's test, from the numbers of digits that only one of the two gets right."""
    n = only_first + only_second
    ways, term = 0, 1
    for k in range(min(only_first, only_second) + 1):
        ways += term
        term = term * (n - k) // (k + 1)
    return min(1.0, 2 * ways / 2**n)


def compare(actual: np.ndarray, champion: np.ndarray, challenger: np.ndarray) -> Comparison:
    """Compare two models' predictions digit by digit. The labels and both predictions have shape (n,)."""
    champion_hits, challenger_hits = champion == actual, challenger == actual
    return Comparison(
        digits=len(actual),
        champion_right=int(champion_hits.sum()),
        challenger_right=int(challenger_hits.sum()),
        only_champion=int((champion_hits & ~challenger_hits).sum()),
        only_challenger=int((challenger_hits & ~champion_hits).sum()),
    )


def comparison_metrics(comparison: Comparison | None) -> dict[str, Any]:
    """The numbers of the comparison, for the report."""
    if comparison is None:
        return {"champion_accuracy": None, "only_champion_right": None, "only_candidate_right": None, "p_value": None}
    return {
        "champion_accuracy": comparison.champion_right / comparison.digits,
        "only_champion_right": comparison.only_champion,
        "only_candidate_right": comparison.only_challenger,
        "p_value": comparison.p_value,
    }


def thresholds(rule: GateRule, accuracy: float, loss: float) -> Verdict:
    """Whether a model is good enough for production."""
    accurate, confident = accuracy >= rule.min_accuracy, loss <= rule.max_loss
    why = (
        f"accuracy {shortest(accuracy, '.6g', rule.min_accuracy)} {'≥' if accurate else '<'} {rule.min_accuracy!r} and "
        f"loss {shortest(loss, '.6g', rule.max_loss)} {'≤' if confident else '>'} {rule.max_loss!r}"
    )
    return Verdict(accurate and confident, "thresholds", why)


def shortest(number: float, form: str, bound: float) -> str:
    """`number` in the format `form`; in full if rounding would move it across `bound`."""
    short = format(number, form)
    return short if (float(short) < bound, float(short) > bound) == (number < bound, number > bound) else repr(number)


def against_champion(rule: GateRule, comparison: Comparison) -> Verdict:
    """Whether the challenger may replace the champion."""
    p, significant = comparison.p_value, comparison.p_value <= rule.significance
    chance = f"p = {shortest(p, '.3g', rule.significance)} {'≤' if significant else '>'} {rule.significance!r}"
    pictures = "1 picture" if comparison.only_challenger == 1 else f"{comparison.only_challenger} pictures"
    alone = f"it alone is right on {pictures}, the champion alone on {comparison.only_champion}"
    if rule.require == "better":
        passes = significant and comparison.gain > 0
        judged = "better" if passes else "worse" if significant else "no difference that is more than chance"
        return Verdict(passes, "better", f"{alone}: {judged} ({chance})")
    if significant and comparison.gain < 0:
        return Verdict(False, "not_worse", f"{alone}: worse ({chance})")
    # Compare counts of digits: as floats, 0.9 - 0.89 is a little more than 0.01
    if -comparison.gain * comparison.digits > rule.tolerated_drop * comparison.digits + 1e-9:
        drop = f"accuracy drops by {shortest(-comparison.gain, '.4f', rule.tolerated_drop)} > {rule.tolerated_drop!r}"
        return Verdict(False, "not_worse", f"{alone}: {drop}")
    return Verdict(True, "not_worse", f"{alone}: not worse ({chance})")


def champion_of(record: Record, candidate: str) -> str | None:
    """The model to compare `candidate` with.

    If `candidate` is in production already, that is the model it replaced. So a re-run gives the same bytes.
    """
    return record.replaces if record.model_md5 == candidate else record.model_md5


def person_verdict(record: Record, candidate: str) -> Verdict | None:
    """The verdict on `candidate` that a person's decision fixes; None if the gate may decide."""
    if record.model_md5 == candidate and record.decided_by == PERSON:
        return Verdict(True, "person", f"a person decided ({record.reason})")
    if exclusion := record.exclusion(candidate):
        why = f"model {short(candidate)} {exclusion.how}, so only a person promotes it"
        return Verdict(False, "only_by_person", why)
    return None


def decide(
    rule: GateRule, accuracy: float, loss: float, champion: str | None, comparison: Comparison | None, problem: str = ""
) -> Verdict:
    """Apply the thresholds, then the comparison.

    `comparison` is None if the champion can't be measured on today's pictures; `problem` says why.
    """
    threshold_verdict = thresholds(rule, accuracy, loss)
    if not threshold_verdict.passes:
        return threshold_verdict
    if champion is None:
        return Verdict(True, "no_champion", f"{threshold_verdict.why}; no champion yet")
    if comparison is None:
        why = f"the champion {short(champion)} {problem}: this waits for a person"
        return Verdict(False, WAITS, f"{threshold_verdict.why}; {why}")
    verdict = against_champion(rule, comparison)
    return Verdict(verdict.passes, verdict.rule, f"{threshold_verdict.why}; {verdict.why}")


def outcome(verdict: Verdict, candidate: str, champion: str | None, holder: str | None) -> str:
    """The end of the sentence: what is in production now."""
    if verdict.passes:
        return f"model {short(candidate)} " + (f"replaces {short(champion)}" if champion else "becomes production")
    if verdict.rule == "only_by_person":
        return f"{short(holder)} is production"
    stays = f"{short(holder)} stays production" if holder else "nothing is in production"
    outcome = f"model {short(candidate)} does not pass; {stays}"
    if verdict.rule != WAITS:
        return outcome
    return (
        f'{outcome}. `make promote VERSION=dvc-{candidate} REASON="…"` writes it into production.json; under '
        "another name as registered_model in params.yaml, it is the first of its kind"
    )


def short(md5: str | None) -> str:
    return md5[:SHORT] if md5 else "nothing"

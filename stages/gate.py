"""The gate before production, as pure functions: thresholds, then champion against challenger on the same digits.

Two models that are right on nearly all digits differ by the few that one of them alone gets right. McNemar's exact
test asks how often a fair coin would give a split of these as uneven (Q. McNemar, Psychometrika 12, 1947).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dvc_wandb.production import PERSON, Record

SHORT = 8  # characters of an md5 that stand for a model in a sentence


@dataclass(frozen=True)
class GateRule:
    """What params.yaml asks of a model, under `promote`."""

    min_accuracy: float
    max_loss: float
    require: str  # better or not_worse
    significance: float
    tolerated_drop: float


@dataclass(frozen=True)
class Comparison:
    """Two models on the same digits: how many each gets right, and how many it alone does."""

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
        """The challenger's accuracy less the champion's."""
        return (self.challenger_right - self.champion_right) / self.digits


@dataclass(frozen=True)
class Verdict:
    """Whether a model passes, by which rule, and why in words."""

    passes: bool
    rule: str
    why: str


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value: of n = a + b fair coins, at most min(a, b) fall on either side."""
    n = only_first + only_second
    ways, term = 0, 1
    for k in range(min(only_first, only_second) + 1):
        ways += term
        term = term * (n - k) // (k + 1)
    return min(1.0, 2 * ways / 2**n)


def compare(actual: np.ndarray, champion: np.ndarray, challenger: np.ndarray) -> Comparison:
    """Labels and two models' predictions, each of shape (n,), held against each other digit by digit."""
    first, second = champion == actual, challenger == actual
    return Comparison(
        digits=len(actual),
        champion_right=int(first.sum()),
        challenger_right=int(second.sum()),
        only_champion=int((first & ~second).sum()),
        only_challenger=int((second & ~first).sum()),
    )


def compared(found: Comparison | None) -> dict[str, Any]:
    """The comparison in numbers, for the report."""
    if found is None:
        return {"champion_accuracy": None, "only_champion_right": None, "only_candidate_right": None, "p_value": None}
    return {
        "champion_accuracy": found.champion_right / found.digits,
        "only_champion_right": found.only_champion,
        "only_candidate_right": found.only_challenger,
        "p_value": found.p_value,
    }


def thresholds(rule: GateRule, accuracy: float, loss: float) -> Verdict:
    """Whether a model is good enough for production at all."""
    right, sure = accuracy >= rule.min_accuracy, loss <= rule.max_loss
    why = (
        f"accuracy {shown(accuracy, '.6g', rule.min_accuracy)} {'≥' if right else '<'} {rule.min_accuracy!r} and "
        f"loss {shown(loss, '.6g', rule.max_loss)} {'≤' if sure else '>'} {rule.max_loss!r}"
    )
    return Verdict(right and sure, "thresholds", why)


def shown(number: float, form: str, bound: float) -> str:
    """A number as short as it still reads on its side of `bound`."""
    short = format(number, form)
    return short if (float(short) < bound, float(short) > bound) == (number < bound, number > bound) else repr(number)


def against_champion(rule: GateRule, found: Comparison) -> Verdict:
    """Whether the challenger may take the champion's place."""
    p, certain = found.p_value, found.p_value <= rule.significance
    chance = f"p = {shown(p, '.3g', rule.significance)} {'≤' if certain else '>'} {rule.significance!r}"
    digits = "1 digit" if found.only_challenger == 1 else f"{found.only_challenger} digits"
    alone = f"it alone is right on {digits}, the champion alone on {found.only_champion}"
    if rule.require == "better":
        passes = certain and found.gain > 0
        judged = "better" if passes else "worse" if certain else "no difference that is more than chance"
        return Verdict(passes, "better", f"{alone}: {judged} ({chance})")
    if certain and found.gain < 0:
        return Verdict(False, "not_worse", f"{alone}: worse ({chance})")
    # As counts of digits: 0.9 - 0.89 is a little more than 0.01
    if -found.gain * found.digits > rule.tolerated_drop * found.digits + 1e-9:
        drop = f"accuracy drops by {shown(-found.gain, '.4f', rule.tolerated_drop)} > {rule.tolerated_drop!r}"
        return Verdict(False, "not_worse", f"{alone}: {drop}")
    return Verdict(True, "not_worse", f"{alone}: not worse ({chance})")


def champion_of(record: Record, candidate: str) -> str | None:
    """The model to hold `candidate` against.

    One that is in production already is judged again as then, so that a re-run gives the same bytes.
    """
    return record.replaces if record.model_md5 == candidate else record.model_md5


def is_settled(record: Record, candidate: str) -> Verdict | None:
    """What a person's decision leaves to say of `candidate`; None where the gate is free to judge."""
    if record.model_md5 == candidate and record.decided_by == PERSON:
        return Verdict(True, "person", f"a person decided: {record.reason}")
    if candidate in record.only_by_person:
        why = "a person took it out of production, or chose another over it: only a person promotes it"
        return Verdict(False, "only_by_person", why)
    return None


def decide(rule: GateRule, accuracy: float, loss: float, champion: str | None, found: Comparison | None) -> Verdict:
    """The gate: thresholds, then `found`, the comparison with the champion; None where that can't be had."""
    enough = thresholds(rule, accuracy, loss)
    if not enough.passes:
        return enough
    if champion is None:
        return Verdict(True, "no_champion", f"{enough.why}; no champion yet")
    if found is None:
        why = (
            f"the champion {short(champion)} was measured on other digits, and its bytes are neither in the "
            "workspace nor in DVC's cache nor in the registry: this waits for a person"
        )
        return Verdict(False, "waits_for_person", f"{enough.why}; {why}")
    verdict = against_champion(rule, found)
    return Verdict(verdict.passes, verdict.rule, f"{enough.why}; {verdict.why}")


def outcome(verdict: Verdict, candidate: str, champion: str | None, holder: str | None) -> str:
    """What becomes of production, as the end of the sentence."""
    if verdict.passes:
        return f"model {short(candidate)} " + (f"replaces {short(champion)}" if champion else "becomes production")
    stays = f"{short(holder)} stays production" if holder else "nothing is in production"
    return f"model {short(candidate)} does not pass; {stays}"


def short(md5: str | None) -> str:
    return md5[:SHORT] if md5 else "nothing"

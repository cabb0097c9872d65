"""The numbers of a decision as a gate reads them: what was wanted, what both models have, on how much they disagree.

A decision's numbers are whatever its stage wrote. They are told by their names: `min_X` and `max_X` bound `X`, which
the model in production has as `champion_X`; `only_candidate_right` and `only_champion_right` count what one of the two
alone gets right, and `p_value` says how often chance splits those as unevenly.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wandb_registry.model.runs import version_metrics
from wandb_registry.web.formats import is_number

Numbers = dict[str, Any]
BOUNDS = {"min_": "≥", "max_": "≤"}
CHAMPION = "champion_"
MOST = 1e9  # items that two models were measured on
ONLY_CANDIDATE, ONLY_CHAMPION, P_VALUE = "only_candidate_right", "only_champion_right", "p_value"


@dataclass(frozen=True)
class Rule:
    """A bound of a metric, and what both models have; None for what isn't known."""

    name: str
    sign: str
    bound: float
    champion: float | None
    candidate: float

    @property
    def holds(self) -> bool:
        """Whether the candidate keeps to it."""
        return self.candidate >= self.bound if self.sign == "≥" else self.candidate <= self.bound


@dataclass(frozen=True)
class Split:
    """How many items only one of two models gets right; of `total` items, where the metrics tell how many those are."""

    only_candidate: int
    only_champion: int
    p_value: float | None
    total: int | None = None
    both: int = 0
    neither: int = 0

    @property
    def disputed(self) -> int:
        """How many only one of the two gets right."""
        return self.only_candidate + self.only_champion


@dataclass(frozen=True)
class Gate:
    """What the numbers of a decision say; `rest` has those that are told by neither a rule nor the split."""

    rules: list[Rule]
    split: Split | None
    passes: bool | None
    rest: Numbers


def read(numbers: Numbers, measured: Iterable[Any]) -> Gate:
    """The gate in a decision's numbers, by dotted names. The count of items that both models saw is among them, or
    among what was `measured` of the candidate, if it is known."""
    rules = [_rule(numbers, name, prefix, sign) for name in numbers for prefix, sign in BOUNDS.items()]
    found = sorted((one for one in rules if one), key=lambda rule: (version_metrics.rank(rule.name), rule.name))
    split, passes = _split(numbers, [*numbers.values(), *measured]), numbers.get("promoted")
    told = {name for one in found for name in (one.name, f"{CHAMPION}{one.name}")}
    told |= {f"{prefix}{one.name}" for one in found for prefix, sign in BOUNDS.items() if sign == one.sign}
    told |= {ONLY_CANDIDATE, ONLY_CHAMPION, P_VALUE} if split else set()
    told |= {"promoted"} if isinstance(passes, bool) else set()
    rest = {name: value for name, value in numbers.items() if name not in told}
    return Gate(found, split, passes if isinstance(passes, bool) else None, rest)


def _rule(numbers: Numbers, name: str, prefix: str, sign: str) -> Rule | None:
    """The rule whose bound is the number `name`; None where it bounds nothing that was measured."""
    metric = name.removeprefix(prefix)
    bound, candidate, champion = (_number(numbers.get(one)) for one in (name, metric, f"{CHAMPION}{metric}"))
    if metric == name or bound is None or candidate is None:
        return None
    return Rule(metric, sign, bound, champion, candidate)


def _split(numbers: Numbers, counts: Iterable[Any]) -> Split | None:
    candidate, champion = (numbers.get(name) for name in (ONLY_CANDIDATE, ONLY_CHAMPION))
    if not isinstance(candidate, int) or not isinstance(champion, int) or min(candidate, champion) < 0:
        return None
    p_value = _number(numbers.get(P_VALUE))
    accuracies = [_number(numbers.get(name)) for name in ("accuracy", f"{CHAMPION}accuracy")]
    for total in counts:
        if rights := _right(accuracies, _number(total)):
            both = rights[0] - candidate
            neither = total - both - candidate - champion
            if both >= 0 and neither >= 0 and rights[1] - champion == both:
                return Split(candidate, champion, p_value, int(total), both, int(neither))
    return Split(candidate, champion, p_value)


def _right(accuracies: list[float | None], total: float | None) -> list[int] | None:
    """How many of `total` items each model gets right; None where its accuracy is none of so many items."""
    rights = []
    for accuracy in accuracies:
        if total is None or accuracy is None or not 0 < total < MOST or total % 1 or not 0 <= accuracy <= 1:
            return None
        rights.append(round(accuracy * total))
        if not math.isclose(rights[-1], accuracy * total, abs_tol=1e-6):
            return None
    return rights


def _number(value: Any) -> float | None:
    return value if is_number(value) else None

"""Reads a stage's parameters, and checks each by the rule that the stage's script has for it.

A script begins with its rules: {"train.epochs": whole(1, 10_000, "passes"), …}. A value that breaks its rule, a
parameter that is missing and one that no rule knows end the stage at once, with one sentence.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from dvc_wandb import DvcWandbError, TrackedRun


@dataclass(frozen=True)
class Rule:
    """What a parameter may be: in words, with its unit, and as a check."""

    allowed: str
    fits: Callable[[Any], bool]


Rules = dict[str, Rule]


def whole(minimum: int, maximum: int, unit: str = "") -> Rule:
    return Rule(
        f"a whole number from {minimum:,} to {maximum:,} {unit}".rstrip(),
        lambda value: _is_whole(value) and minimum <= value <= maximum,
    )


def number(minimum: float, maximum: float, unit: str = "") -> Rule:
    return Rule(
        f"a number from {minimum:g} to {maximum:g} {unit}".rstrip(),
        lambda value: _is_number(value) and minimum <= value <= maximum,
    )


def above(minimum: float, below: float, unit: str = "") -> Rule:
    return Rule(
        f"a number above {minimum:g} and below {below:g} {unit}".rstrip(),
        lambda value: _is_number(value) and minimum < value < below,
    )


def under(minimum: float, below: float, unit: str = "") -> Rule:
    return Rule(
        f"a number from {minimum:g} to below {below:g} {unit}".rstrip(),
        lambda value: _is_number(value) and minimum <= value < below,
    )


def pair(each: Rule, example: str) -> Rule:
    return Rule(
        f"two values such as {example}, each of them {each.allowed}",
        lambda value: isinstance(value, list) and len(value) == 2 and all(each.fits(one) for one in value),
    )


def one_of(*names: str) -> Rule:
    return Rule(f"one of {', '.join(names)}", lambda value: value in names)


def auto_or(other: Rule) -> Rule:
    return Rule(f"auto, or {other.allowed}", lambda value: value == "auto" or other.fits(value))


def text(what: str) -> Rule:
    return Rule(what, lambda value: isinstance(value, str) and bool(value))


def list_of(each: Rule) -> Rule:
    return Rule(
        f"a list, each of it {each.allowed}",
        lambda value: isinstance(value, list) and all(each.fits(one) for one in value),
    )


SEED = whole(0, 2**32 - 1)


def checked(run: TrackedRun, rules: Rules) -> dict[str, Any]:
    """The stage's parameters by their dotted names. Raises DvcWandbError for the first one that isn't allowed.

    The versions of packages are parameters too. If other versions are installed than packages.yaml names, dvc.lock
    would be wrong.
    """
    for name, value in run.params_in("packages.yaml").items():
        _check_package(name, str(value))
    params = dict(_by_dotted_name(run.params_in("params.yaml")))
    unknown, missing = [name for name in params if name not in rules], [name for name in rules if name not in params]
    for name in missing:
        alike = difflib.get_close_matches(name, unknown, n=1)
        hint = f" It has {alike[0]}, which nothing reads." if alike else ""
        raise DvcWandbError(f"params.yaml has no {name} for this stage; it must be {rules[name].allowed}.{hint}")
    for name in unknown:
        raise DvcWandbError(f"params.yaml: {name} is read by nothing; the stage's script has no rule for it.")
    for name, rule in rules.items():
        if not rule.fits(params[name]):
            raise DvcWandbError(f"params.yaml: {name} is {params[name]!r}; it must be {rule.allowed}.")
    return params


def _check_package(name: str, wanted: str) -> None:
    try:
        installed = version(name)
    except PackageNotFoundError:
        installed = "none"
    if installed != wanted:
        raise DvcWandbError(
            f"packages.yaml: {name} is {wanted}, but {installed} is installed. `pip install -r requirements.txt` "
            f"installs what dvc.lock was made with; to use another version, write it there and into packages.yaml."
        )


def _by_dotted_name(values: dict[str, Any], section: str = "") -> Iterator[tuple[str, Any]]:
    """Parameters one by one: dvc.yaml may name a section of them."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _by_dotted_name(value, f"{section}{name}.")
        else:
            yield f"{section}{name}", value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

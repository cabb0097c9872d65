"""The rules for the parameters in params.yaml. A wrong value ends the stage at once, with one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from dvc_wandb import DvcWandbError, TrackedRun

Rule = tuple[str, Callable[[Any], bool]]  # what is allowed, in words and as a check

SOURCES = ("mnist_5k", "mnist", "fashion_mnist")
REQUIRE = ("better", "not_worse")
OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop", "adagrad", "nadam")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_source(value: Any) -> bool:
    return isinstance(value, str) and (value in SOURCES or value.endswith(".npz"))


def _is_size(value: Any) -> bool:
    return value == "auto" or (_is_whole(value) and value >= 10)


def _is_filters(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_whole(n) and 1 <= n <= 1024 for n in value)


def _is_target(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[\w.-]{1,128}/[\w.-]{1,128}", value, flags=re.ASCII) is not None


def whole(minimum: int, maximum: int) -> Rule:
    return (
        f"a whole number from {minimum:,} to {maximum:,}",
        lambda value: _is_whole(value) and minimum <= value <= maximum,
    )


def number(minimum: float, maximum: float) -> Rule:
    return f"a number from {minimum:g} to {maximum:g}", lambda value: _is_number(value) and minimum <= value <= maximum


SIZE: Rule = ("auto, or a whole number of at least 10", _is_size)

RULES: dict[str, Rule] = {
    "seed": whole(0, 2**32 - 1),
    "data.source": (f"one of {', '.join(SOURCES)}, or the path of an .npz file", _is_source),
    "data.train_size": SIZE,
    "data.eval_size": SIZE,
    "model.filters": ("two whole numbers from 1 to 1,024, such as [32, 64]", _is_filters),
    "model.kernel_size": whole(1, 7),
    "model.pool_size": whole(1, 4),
    "model.dropout": ("a number from 0 to below 1", lambda value: _is_number(value) and 0 <= value < 1),
    "train.optimizer": (f"one of {', '.join(OPTIMIZERS)}", lambda value: value in OPTIMIZERS),
    "train.batch_size": whole(1, 65_536),
    "train.epochs": whole(1, 10_000),
    "train.validation_split": ("a number above 0 and below 1", lambda value: _is_number(value) and 0 < value < 1),
    "registered_model": ("REGISTRY/NAME of letters, digits, _ . and -, such as model-registry/MNIST-dev", _is_target),
    "evaluate.mistakes": whole(1, 100),
    "promote.min_accuracy": number(0, 1),
    "promote.max_loss": number(0, 1e9),
    "promote.require": (f"one of {', '.join(REQUIRE)}", lambda value: value in REQUIRE),
    "promote.significance": ("a number above 0 and below 1", lambda value: _is_number(value) and 0 < value < 1),
    "promote.tolerated_drop": number(0, 1),
}


def checked(run: TrackedRun) -> dict[str, Any]:
    """The stage's parameters by their dotted names. Raises DvcWandbError for the first one that isn't allowed.

    The versions of packages are parameters too. If other versions are installed than packages.yaml names, dvc.lock
    would be wrong.
    """
    for name, value in run.params_in("packages.yaml").items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "none"
        if installed != str(value):
            raise DvcWandbError(
                f"packages.yaml: {name} is {value}, but {installed} is installed. `pip install -r requirements.txt` "
                f"installs what dvc.lock was made with; to use another version, write it there and into packages.yaml."
            )
    params = run.params_in("params.yaml")
    for name, value in params.items():
        if name not in RULES:
            raise DvcWandbError(f"dvc.yaml names the parameter {name}; stages/params.py has no rule for it yet.")
        allowed, fits = RULES[name]
        if not fits(value):
            raise DvcWandbError(f"params.yaml: {name} is {value!r}; it must be {allowed}.")
    return params

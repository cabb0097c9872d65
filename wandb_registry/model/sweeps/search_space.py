"""Reads a sweep's configuration and chooses the parameters' values for each trial.

Source: https://docs.wandb.ai/models/sweeps/sweep-config-keys
"""

import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from types import NoneType
from typing import Any

import yaml

from wandb_registry.errors import BadInput, NotSupported

METHODS = ("grid", "random")
MOST_TRIALS = 10**6
LONGEST = 100_000  # characters of a configuration, and values in it
KINDS = {"name": str, "description": str, "program": str, "metric": dict}
Path = tuple[str, ...]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a sweep.

    `count` is how many values a grid goes through, None if they can't be counted. `nth(i)` is the i-th of them, from 0.
    `draw()` is a random one.
    """

    count: int | None
    nth: Callable[[int], Any]
    draw: Callable[[], Any]


@dataclass(frozen=True)
class SearchSpace:
    """A sweep's configuration and its parameters. A nested parameter's key is its path."""

    config: dict[str, Any]
    parameters: dict[Path, Parameter]

    @property
    def method(self) -> str:
        return self.config["method"]

    @property
    def trials(self) -> int | None:
        """How many runs the sweep makes; None if as many as agents ask for."""
        cap = self.config.get("run_cap")
        if self.method == "random":
            return cap
        grid = math.prod(parameter.count or 0 for parameter in self.parameters.values())
        return min(grid, cap or grid)

    def values(self, number: int) -> dict[str, Any]:
        """The parameters of a trial. A grid's last parameter changes fastest."""
        by_path: dict[Path, Any] = {}
        for path, parameter in reversed(self.parameters.items()):
            if self.method == "random":
                by_path[path] = _drawn(path, parameter)
            else:
                number, index = divmod(number, parameter.count or 1)
                by_path[path] = parameter.nth(index)
        return _nested({path: by_path[path] for path in self.parameters})


def read(text: str) -> SearchSpace:
    """Reads a sweep's configuration from YAML.

    Raises:
        BadInput: a part is missing or invalid.
        NotSupported: a search that needs W&B's own servers, such as `bayes`.
    """
    config = _config(text)
    if not config.get("parameters"):
        raise BadInput("The configuration of a sweep is a mapping with 'method' and 'parameters'.")
    method = config.get("method")
    if method not in METHODS:
        raise NotSupported(f"The sweep method '{method}' (use one of: {', '.join(METHODS)})")
    for name in ("early_terminate", "controller"):
        if config.get(name) not in (None, {"type": "cloud"}):
            raise NotSupported(f"'{name}' of a sweep")
    cap = config.get("run_cap")
    if cap is not None and (not isinstance(cap, int) or cap < 1):
        raise BadInput(f"'run_cap' is a number of runs from 1 on, not {cap!r}.")
    space = SearchSpace(config, dict(_parameters((), config["parameters"])))
    endless = [".".join(path) for path, parameter in space.parameters.items() if parameter.count is None]
    if method == "grid" and endless:
        raise BadInput(f"A grid can't go through all values of '{endless[0]}': give its 'values', or use 'random'.")
    if method == "grid" and (space.trials or 0) > MOST_TRIALS:
        raise BadInput(f"The grid has more than {MOST_TRIALS:,} points: use 'random', or set 'run_cap'.")
    space.values(0)  # draws once, so that a wrong distribution is refused now and not when the first agent asks
    return space


def _config(text: str) -> dict[str, Any]:
    """The mapping in the YAML, as values that JSON can hold. Raises BadInput."""
    if len(text) > LONGEST:
        raise BadInput(f"The configuration of a sweep has more than {LONGEST:,} characters.")
    try:
        read = yaml.safe_load(text)
        if _unfolded(read, {}) > LONGEST:
            raise BadInput(f"The configuration of a sweep unfolds to more than {LONGEST:,} values.")
        config = json.loads(json.dumps(read, default=_date))
    except (yaml.YAMLError, RecursionError, ValueError, TypeError):
        raise BadInput("The configuration of a sweep is YAML of texts, numbers, lists and mappings.") from None
    for key, kind in KINDS.items():
        if isinstance(config, dict) and not isinstance(config.get(key), (kind, NoneType)):
            raise BadInput(f"'{key}' of a sweep is a {'mapping' if kind is dict else 'text'}, not {config[key]!r:.80}.")
    return config if isinstance(config, dict) else {}


def _date(value: Any) -> str:
    """The text of a date. Raises TypeError for anything else: JSON can't hold it."""
    if not isinstance(value, date):
        raise TypeError
    return value.isoformat()


def _unfolded(value: Any, known: dict[int, float]) -> float:
    """How many values there are when each YAML alias is written out: ten lines can stand for 10^10."""
    if not isinstance(value, (dict, list, tuple)):
        return 1
    if id(value) not in known:
        known[id(value)] = math.inf  # stays for a value that contains itself
        inside = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_unfolded(part, known) for part in inside)
    return known[id(value)]


def _parameters(above: Path, given: Any):
    if not isinstance(given, dict) or not given:
        raise BadInput(f"'{'.'.join(above) or 'parameters'}' is a mapping of names to what each can be.")
    for name, spec in given.items():
        path = (*above, str(name))
        if not isinstance(spec, dict):
            raise BadInput(f"'{'.'.join(path)}' is a mapping with 'value', 'values', or 'min' and 'max'.")
        if "parameters" in spec:
            yield from _parameters(path, spec["parameters"])
        else:
            yield path, _parameter(".".join(path), spec)


def _nested(flat: dict[Path, Any]) -> dict[str, Any]:
    """Values by their paths as nested mappings."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        mapping = tree
        for name in path[:-1]:
            mapping = mapping.setdefault(name, {})
        mapping[path[-1]] = value
    return tree


# ---- one parameter ----


def _parameter(name: str, spec: dict[str, Any]) -> Parameter:
    if "value" in spec:
        return _one_of([spec["value"]], None)
    if "values" in spec:
        return _categorical(name, spec)
    kind = str(spec.get("distribution") or _default_distribution(spec))
    quantized = kind.startswith("q_")
    shape = SHAPES.get(kind.removeprefix("q_"))
    if shape is None or (quantized and kind == "q_int_uniform"):
        raise BadInput(
            f"'{name}' has no distribution that is known here: {', '.join(sorted(SHAPES))}, or q_… of these."
        )
    needs, draw = shape
    numbers = {key: _number(name, key, spec.get(key, default)) for key, default in needs.items()}
    if "min" in numbers and not numbers["min"] <= numbers["max"]:
        raise BadInput(f"'{name}' has a 'min' of {numbers['min']} above its 'max' of {numbers['max']}.")
    if kind == "int_uniform":
        low, high = (int(numbers[key]) for key in BOUNDS)
        return Parameter(high - low + 1, lambda index: low + index, lambda: draw(low, high))
    if not quantized:
        return Parameter(None, lambda index: None, lambda: draw(*numbers.values()))
    q = _number(name, "q", spec.get("q", 1))
    if q <= 0:
        raise BadInput(f"'{name}' has a 'q' of {q}: a step is above 0.")
    first = math.ceil(numbers.get("min", 0) / q)
    count = math.floor(numbers["max"] / q) - first + 1 if kind == "q_uniform" else None
    return Parameter(count, lambda index: (first + index) * q, lambda: round(draw(*numbers.values()) / q) * q)


def _categorical(name: str, spec: dict[str, Any]) -> Parameter:
    values, weights = spec["values"], spec.get("probabilities")
    if not isinstance(values, list) or not values:
        raise BadInput(f"'values' of '{name}' is a list of at least one.")
    if weights is not None and not _are_weights(weights, len(values)):
        raise BadInput(f"'probabilities' of '{name}' is a list of as many numbers as it has 'values'.")
    return _one_of(values, weights)


def _are_weights(weights: Any, count: int) -> bool:
    fits = isinstance(weights, list) and len(weights) == count
    return fits and all(isinstance(weight, (int, float)) and weight >= 0 for weight in weights) and any(weights)


def _one_of(values: list[Any], weights: list[float] | None) -> Parameter:
    return Parameter(len(values), lambda index: values[index], lambda: random.choices(values, weights)[0])


def _default_distribution(spec: dict[str, Any]) -> str:
    """The distribution of a parameter that names none."""
    if "mu" in spec or "sigma" in spec:
        return "normal"
    return "int_uniform" if all(isinstance(spec.get(key), int) for key in ("min", "max")) else "uniform"


def _number(name: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise BadInput(f"'{name}' needs a number as '{key}', not {value!r}.")
    return value


def _drawn(path: Path, parameter: Parameter) -> Any:
    try:
        return parameter.draw()
    except (ValueError, ArithmeticError) as error:
        raise BadInput(f"No value of '{'.'.join(path)}' can be drawn: {error}.") from None


def _log_uniform(low: float, high: float) -> float:
    return math.exp(random.uniform(low, high))


BOUNDS = {"min": None, "max": None}
NORMAL = {"mu": 0, "sigma": 1}
# Which numbers a distribution takes, with their defaults, and how it draws. `q_NAME` rounds to multiples of `q`.
SHAPES: dict[str, tuple[dict[str, Any], Callable[..., float]]] = {
    "int_uniform": (BOUNDS, random.randint),
    "uniform": (BOUNDS, random.uniform),
    "log_uniform": (BOUNDS, _log_uniform),
    "log_uniform_values": (BOUNDS, lambda low, high: _log_uniform(math.log(low), math.log(high))),
    "normal": (NORMAL, random.gauss),
    "log_normal": (NORMAL, random.lognormvariate),
    "beta": ({"a": None, "b": None}, random.betavariate),
}

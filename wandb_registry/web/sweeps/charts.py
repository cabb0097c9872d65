"""What the page of a sweep draws of its runs: parallel coordinates, what matters for the result, the best so far."""

import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from wandb_registry.drawing.line_chart import Axis, Frame, padded, polyline, round_ticks
from wandb_registry.drawing.parallel_axes import ParallelAxis, axes, is_finite
from wandb_registry.model.sweeps import importance
from wandb_registry.web import addresses, formats
from wandb_registry.web.charts import FRAME
from wandb_registry.web.pager import Beginning
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]
PARALLEL = Frame(width=1200, height=270, left=70, right=1110, top=40, bottom=245)
RANKS = 5  # shades of a result, from the least to the best
MOST_NAMES = 8  # values of a parameter that each have a correlation


@dataclass(frozen=True)
class Column:
    """A parameter or the result of a sweep, and each run's value."""

    name: str
    values: list[Any]
    log: bool = False


@dataclass(frozen=True)
class Range:
    """A range of a column that the page shows: numbers from `low` to `high`, or the rows with the name `only`."""

    column: Column
    low: float = -math.inf
    high: float = math.inf
    only: str | None = None

    def holds(self, row: int) -> bool:
        value = self.column.values[row]
        if self.only is not None:
            return value is not None and str(value) == self.only
        return is_finite(value) and self.low <= value <= self.high

    @property
    def text(self) -> str:
        if self.only is not None:
            return f"is {self.only}"
        return f"from {formats.given(self.low)} to {formats.given(self.high)}"


def ranges(request: PageRequest, columns: list[Column]) -> list[Range]:
    """The ranges that the address names: `range=LOW HIGH COLUMN` and `only=COLUMN=VALUE`. Others are passed over."""
    by_name, found = {column.name: column for column in columns}, []
    for text in request.query.getlist("range"):
        low, _, rest = text.partition(" ")
        high, _, name = rest.partition(" ")
        try:
            ends = sorted((float(low), float(high)))
        except ValueError:
            continue
        if name in by_name and all(map(math.isfinite, ends)):
            found.append(Range(by_name[name], ends[0], ends[1]))
    for text in request.query.getlist("only"):
        name, _, value = text.partition("=")
        if name in by_name:
            found.append(Range(by_name[name], only=value))
    return found


@dataclass(frozen=True)
class ParallelLine:
    """A run's line: its points, its shade from 1 to RANKS, and whether it lies in all ranges."""

    run: Row
    points: str
    rank: int
    inside: bool


@dataclass(frozen=True)
class Parallel:
    """Parallel coordinates: the columns with their axes, a line a run that has all values, and the chosen ranges."""

    axes: list[tuple[Column, ParallelAxis]]
    lines: list[ParallelLine]
    without: int  # runs that lack a value
    frame: Frame = PARALLEL


def parallel(runs: list[Row], columns: list[Column], better: int, chosen: list[Range]) -> Parallel:
    """The lines, those inside of the ranges last, so that they lie above. The last column is the result."""
    drawn = axes([(column.values, column.log) for column in columns], PARALLEL)
    ranks = _ranks(columns[-1].values, better)
    lines = [
        ParallelLine(run, " ".join(f"{axis.x},{axis.places[row]}" for axis in drawn), rank, _inside(chosen, row))
        for row, (run, rank) in enumerate(zip(runs, ranks, strict=True))
        if all(axis.places[row] is not None for axis in drawn)
    ]
    lines.sort(key=lambda line: (line.inside, line.rank))
    return Parallel(list(zip(columns, drawn, strict=True)), lines, len(runs) - len(lines))


def _inside(chosen: list[Range], row: int) -> bool:
    return all(one.holds(row) for one in chosen)


def _ranks(values: list[Any], better: int) -> list[int]:
    """A shade for each value, from 1 for the worst to RANKS for the best; `better` is 1 where more is better, or -1."""
    numbers = [better * value for value in values if is_finite(value)]
    low, high = min(numbers, default=0), max(numbers, default=0)
    width = (high - low) or 1
    return [
        1 + min(RANKS - 1, int((better * value - low) / width * RANKS)) if is_finite(value) else 1 for value in values
    ]


# ---- what matters ----


@dataclass(frozen=True)
class Matter:
    """How much a parameter, or one of its names, matters for the result."""

    name: str
    importance: float | None
    correlation: float | None


@dataclass(frozen=True)
class Matters:
    """The parameters by importance, on how many of the ended runs the forest grew, and its R²."""

    rows: list[Matter]
    grown_on: int
    ended: int
    r2: float | None
    names_left_out: list[tuple[str, Beginning]]  # parameters of which the rarer values have no feature


def matters(parameters: list[Column], result: Column, ended: list[int]) -> Matters | None:
    """What matters for the result, over the rows of ended runs that have one. None for fewer than a forest needs."""
    measured = [row for row in ended if is_finite(result.values[row])]
    rows = measured[-importance.MOST_RUNS :]
    features = [one for column in parameters for one in _features(column, rows)]
    counts = [(column.name, len(names)) for column in parameters if (names := _names(column, rows))]
    results = tuple(float(result.values[row]) for row in rows)
    found = importance.forest(tuple(values for _, values in features), results)
    if found is None:
        return None
    told = [
        Matter(name, share, importance.correlation(values, results))
        for (name, values), share in zip(features, found.importance, strict=True)
    ]
    told.sort(key=lambda one: -(one.importance or 0))
    left_out = [(name, Beginning(MOST_NAMES, count, "")) for name, count in counts if count > MOST_NAMES]
    return Matters(told, len(rows), len(measured), found.r2, left_out)


def _features(column: Column, rows: list[int]) -> list[tuple[str, importance.Column]]:
    """A column as numbers: its own, or 1 and 0 for each of its names. None if it doesn't vary."""
    values = [column.values[row] for row in rows]
    if all(map(is_finite, values)):
        log = column.log and min(values, default=0) > 0
        numbers = tuple(math.log(value) if log else float(value) for value in values)
        return [(column.name, numbers)] if len(set(numbers)) > 1 else []
    names = _names(column, rows)
    if len(names) < 2:
        return []
    texts = [_text(value) for value in values]
    return [(f"{column.name} = {name}", tuple(float(text == name) for text in texts)) for name in names[:MOST_NAMES]]


def _names(column: Column, rows: list[int]) -> list[str]:
    """The values of a column that isn't all numbers, the most frequent first; none of one that is."""
    values = [column.values[row] for row in rows]
    if all(map(is_finite, values)):
        return []
    return [name for name, _ in Counter(sorted(map(_text, values))).most_common()]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# ---- best so far ----


@dataclass(frozen=True)
class BestSoFar:
    """Each run's result by order of start, and the best until then as a line."""

    x: Axis
    y: Axis
    points: list[tuple[Row, float, float, float]]  # the run, its place, its result
    line: str
    frame: Frame = FRAME


def best_so_far(runs: list[Row], result: Column, better: int) -> BestSoFar | None:
    """None where no run has a result."""
    measured = [(at, run, float(value)) for at, (run, value) in enumerate(zip(runs, result.values, strict=True), 1)
                if is_finite(value)]  # fmt: skip
    if not measured:
        return None
    x = FRAME.x_scale(0, max(len(runs), 2))
    y = FRAME.y_scale(*padded([value for _, _, value in measured], 0.08))
    corners: list[tuple[float, float]] = []
    for at, _, value in measured:
        best = corners[-1][1] if corners else value
        corners += [(at, best), (at, better * max(better * best, better * value))]
    corners.append((len(runs), corners[-1][1]))
    points = [(run, x.coordinate(at), y.coordinate(value), value) for at, run, value in measured]
    across = [(x.coordinate(mark), formats.given(mark)) for mark in round_ticks([0, len(runs)], 4) if mark <= x.high]
    up = [
        (y.coordinate(mark), formats.given(mark)) for mark in round_ticks([y.low, y.high], 4) if y.low <= mark <= y.high
    ]
    return BestSoFar(Axis(x, across), Axis(y, up), points, polyline(corners, x, y))


def without(request: PageRequest, one: Range) -> str:
    """This page without one of its ranges."""
    name = one.column.name
    query: dict[str, Any] = {key: request.query.getlist(key) for key in request.query if key != "page"}
    query["range"] = [text for text in query.get("range", []) if text.split(" ", 2)[-1] != name]
    query["only"] = [text for text in query.get("only", []) if text.partition("=")[0] != name]
    return addresses.with_query(request.address.partition("?")[0], query)

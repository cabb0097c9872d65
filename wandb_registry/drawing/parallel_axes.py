"""The geometry of parallel coordinates: an axis a column, side by side, on which each row has a place."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from wandb_registry.drawing.line_chart import Frame, round_ticks

TICKS = 4


@dataclass(frozen=True)
class ParallelAxis:
    """One axis at `x`: its ticks with their labels, and the height of each row's value; None for a row without one.

    `low` and `high` are the values at its foot and its top; None where names stand on it. `log`: heights are
    logarithms.
    """

    x: float
    places: list[float | None]
    ticks: list[tuple[float, str]]
    low: float | None = None
    high: float | None = None
    log: bool = False


def axes(columns: Sequence[tuple[Sequence[Any], bool]], frame: Frame) -> list[ParallelAxis]:
    """The axes of columns, each as (values, whether it is logarithmic), from the frame's left to its right."""
    gap = (frame.right - frame.left) / max(1, len(columns) - 1)
    return [
        replace(_axis(values, log, frame), x=round(frame.left + at * gap, 1))
        for at, (values, log) in enumerate(columns)
    ]


def _axis(values: Sequence[Any], log: bool, frame: Frame) -> ParallelAxis:
    numbers = [float(value) for value in values if is_finite(value)]
    present = [value for value in values if value is not None and not (isinstance(value, float) and math.isnan(value))]
    if not numbers or len(numbers) < len(present):
        return _of_names(present, values, frame)
    return _of_numbers(numbers, values, log and min(numbers) > 0, frame)


def _of_numbers(numbers: list[float], values: Sequence[Any], log: bool, frame: Frame) -> ParallelAxis:
    marks = _powers(min(numbers), max(numbers)) if log else round_ticks(numbers, TICKS)
    low, high = marks[0], marks[-1]
    across = math.log if log else float
    scale = frame.y_scale(across(low), across(high))
    places = [scale.coordinate(across(value)) if is_finite(value) else None for value in values]
    return ParallelAxis(0, places, [(scale.coordinate(across(mark)), _written(mark)) for mark in marks], low, high, log)


def _written(mark: float) -> str:
    return f"{mark:.6g}".replace("-", "−")


def _of_names(present: list[Any], values: Sequence[Any], frame: Frame) -> ParallelAxis:
    names = sorted({str(value) for value in present})
    gap = (frame.bottom - frame.top) / max(1, len(names) - 1)
    heights = {name: round(frame.bottom - at * gap, 1) for at, name in enumerate(names)}
    places = [None if value is None else heights[str(value)] for value in values]
    return ParallelAxis(0, places, [(height, name) for name, height in heights.items()])


def _powers(low: float, high: float) -> list[float]:
    """Powers of ten that span the values, few enough to be read."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last = max(last, first + 1)
    step = -(-(last - first) // TICKS)
    return [10.0**at for at in range(first, last + step, step)]


def is_finite(value: Any) -> bool:
    """Whether a value is a number that has a place on an axis."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

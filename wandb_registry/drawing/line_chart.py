"""The geometry of a line chart: its frame, the scales of its axes, their ticks, and lines as points of an SVG."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` to coordinates from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def coordinate(self, value: float) -> float:
        """To a tenth of the SVG's unit; the start, where all values are one."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0
        return round(self.start + share * (self.end - self.start), 1)

    def value_at(self, share: float) -> float:
        """The value at a share of the way, from 0 to 1."""
        return self.low + (self.high - self.low) * share


@dataclass(frozen=True)
class Frame:
    """The size of a chart, and the edges of the area that its lines are drawn in; y grows downwards, as in SVG."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    def x_scale(self, low: float, high: float) -> Scale:
        return Scale(low, high, self.left, self.right)

    def y_scale(self, low: float, high: float) -> Scale:
        return Scale(low, high, self.bottom, self.top)


@dataclass(frozen=True)
class Axis:
    """A scale, and its ticks: the coordinate of each and what is written there."""

    scale: Scale
    ticks: list[tuple[float, str]]


def padded(values: Iterable[float], share: float) -> tuple[float, float]:
    """A range around the values, wider by a share of it on either side; never empty."""
    values = list(values)
    low, high = min(values), max(values)
    room = (high - low) * share or abs(high) * 0.05 or 1.0
    return low - room, high + room


SMALLEST_STEP = 1e-300  # below it floats have fewer digits, down to none


def round_ticks(values: Sequence[float], about: int) -> list[float]:
    """Round numbers, at least two and some more than `about` at most, that span the values."""
    low, high = min(values), max(values)
    if low == high:
        high = low + (abs(low) or 1.0)
    rough = max((high - low) / about, SMALLEST_STEP)
    size = 10 ** math.floor(math.log10(rough))
    step = next(factor * size for factor in (1, 2, 5, 10) if factor * size >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(at * step, 12) for at in range(first, last + 1)]


def polyline(points: Iterable[Point], x: Scale, y: Scale) -> str:
    """A line as the attribute `points` of an SVG."""
    return " ".join(f"{x.coordinate(along):.1f},{y.coordinate(up):.1f}" for along, up in points)


def spread(coordinates: Sequence[float], least: float, gap: float) -> list[float]:
    """Ascending coordinates, moved up from `least` on so that no two are nearer than a gap."""
    moved, lowest = [], least - gap
    for coordinate in coordinates:
        lowest = max(coordinate, lowest + gap)
        moved.append(lowest)
    return moved

"""The geometry of bars: beneath each other, or side by side in a histogram."""

from collections.abc import Sequence
from dataclasses import dataclass

from wandb_registry.drawing.line_chart import Frame


@dataclass(frozen=True)
class Bar:
    """A rectangle of an SVG."""

    x: float
    y: float
    width: float
    height: float


def horizontal_bars(values: Sequence[float], frame: Frame) -> list[Bar]:
    """One bar a value, from top to bottom; negative ones lie left of zero. The longest ends reach the frame's sides."""
    low, high = min([0, *values]), max([0, *values])
    scale = frame.x_scale(low, high if high > low else 1)
    row = (frame.bottom - frame.top) / max(1, len(values))
    bars = []
    for at, value in enumerate(values):
        left, right = scale.coordinate(min(0, value)), scale.coordinate(max(0, value))
        bars.append(Bar(left, round(frame.top + at * row + row / 7, 1), round(right - left, 1), round(row * 5 / 7, 1)))
    return bars


def histogram_bars(counts: Sequence[float], frame: Frame) -> list[Bar]:
    """One bar a count, from left to right; the largest is as high as the frame. None where all counts are zero."""
    most = max(counts, default=0)
    if most <= 0:
        return []
    width = (frame.right - frame.left) / len(counts)
    heights = [count / most * (frame.bottom - frame.top) for count in counts]
    return [
        Bar(round(frame.left + at * width, 2), round(frame.bottom - height, 2), round(width, 2), round(height, 2))
        for at, height in enumerate(heights)
    ]

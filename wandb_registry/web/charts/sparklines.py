"""Small charts, drawn by the server: where every point of a line is, in the coordinates of its SVG."""

from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
WIDTH, HEIGHT = 470, 200
LEFT, RIGHT, TOP, BOTTOM = 52, 456, 12, 170
LINES = 4


@dataclass(frozen=True)
class Chart:
    """A line over versions: points with their names, and the grid's lines with their values."""

    name: str
    points: list[tuple[float, float, str, float]]
    grid: list[tuple[float, str]]
    line: str


def by_version(name: str, versions: list[Row]) -> Chart | None:
    """How a metric went from version to version; None where fewer than two have it."""
    measured = [(row["version"], row["metrics"][name]) for row in reversed(versions) if name in row["metrics"]]
    if len(measured) < 2:
        return None
    values = [value for _, value in measured]
    low, high = min(values), max(values)
    room = (high - low) * 0.15 or abs(high) * 0.05 or 1.0
    low, high = low - room, high + room
    step = (RIGHT - LEFT) / (len(measured) - 1)

    def place(value: float) -> float:
        return round(BOTTOM - (value - low) / (high - low) * (BOTTOM - TOP), 1)

    points = [
        (round(LEFT + number * step, 1), place(value), version, value)
        for number, (version, value) in enumerate(measured)
    ]
    marks = [low + (high - low) * number / (LINES - 1) for number in range(LINES)]
    digits = 2 if high - low > 0.05 else 4
    return Chart(
        name,
        points,
        [(place(mark), f"{mark:.{digits}f}".replace("-", "−")) for mark in marks],
        " ".join(f"{x},{y}" for x, y, _, _ in points),
    )

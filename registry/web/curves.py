"""A run's metrics as lines over its steps or its time, drawn by the server: what is drawn is in the address."""

import math
from dataclasses import dataclass
from typing import Any

from registry.model import history
from registry.web import words
from registry.web.shell import Visit

Row = dict[str, Any]
POINTS = 300  # of a line; more can't be told apart at its width
SPARSE = 40  # points below which a metric is looked for among all rows
MOST = 24  # charts a page
WIDTH, HEIGHT = 470, 200
LEFT, RIGHT, TOP, BOTTOM = 56, 458, 12, 168
AXES = {"step": "_step", "time": "_timestamp"}


@dataclass(frozen=True)
class Line:
    """One run's values: the points of the line, of the unsmoothed one behind it, and the last value."""

    name: str
    points: str
    raw: str | None
    last: float
    values: list[tuple[float, float]]


@dataclass(frozen=True)
class Curves:
    """A metric of one or several runs in one chart."""

    name: str
    lines: list[Line]
    across: list[tuple[float, str]]  # grid lines: where, and the value there
    along: list[tuple[float, str]]


def smoothing_of(visit: Visit) -> float:
    try:
        return min(0.99, max(0.0, float(visit.query.get("smooth", "0"))))
    except ValueError:
        return 0.0


def axis_of(visit: Visit) -> str:
    return visit.query.get("axis") if visit.query.get("axis") in AXES else "step"  # type: ignore[return-value]


def of_runs(visit: Visit, runs: list[Row], stream: str = "history") -> tuple[list[Curves], int]:
    """A chart for each metric that any of the runs has, and how many there are in all."""
    axis, smoothing = axis_of(visit), smoothing_of(visit)
    read = [(run, history.thinned(visit.db, run, stream, POINTS)) for run in runs]
    names = list(dict.fromkeys(key for _, rows in read for row in rows for key in row if _is_metric(key, row[key])))
    if stream == "history":
        names = list(dict.fromkeys([*names, *(key for run in runs for key in _sparse(run))]))
    found = []
    for name in names[:MOST]:
        drawn = []
        for run, rows in read:
            values = _values(rows, name, axis)
            if stream == "history" and len(values) < SPARSE <= len(rows):
                values = _values(history.thinned_with(visit.db, run, name, POINTS), name, axis)
            drawn.append((run["display_name"], values))
        curves = _drawn(name, drawn, axis, smoothing)
        if curves:
            found.append(curves)
    return found, len(names)


def _sparse(run: Row) -> list[str]:
    """Numbers that the history holds, also those of few rows."""
    known = history.keys(run)["keys"]
    return [
        key
        for key, about in known.items()
        if not key.startswith("_") and any(count.get("type") == "number" for count in about.get("typeCounts", []))
    ]


def _is_metric(key: str, value: Any) -> bool:
    return not key.startswith("_") and words.is_number(value)


def _values(rows: list[Row], name: str, axis: str) -> list[tuple[float, float]]:
    """(place along the axis, value) of the rows that have both; time counts from the first row of the run."""
    along = AXES[axis]
    begun = next((row[along] for row in rows if words.is_number(row.get(along))), 0) if axis == "time" else 0
    return [
        (row[along] - begun, row[name])
        for row in rows
        if words.is_number(row.get(name)) and words.is_number(row.get(along)) and math.isfinite(row[name])
    ]


def smoothed(values: list[float], weight: float) -> list[float]:
    """An exponential moving average without a bias towards its start, as TensorBoard and W&B draw it."""
    mean, seen, found = 0.0, 0.0, []
    for value in values:
        mean = mean * weight + (1 - weight) * value
        seen = seen * weight + (1 - weight)
        found.append(mean / seen)
    return found


def _drawn(name: str, drawn: list[tuple[str, list[tuple[float, float]]]], axis: str, smoothing: float) -> Curves | None:
    every = [point for _, values in drawn for point in values]
    if not every:
        return None
    xs, ys = [x for x, _ in every], [y for _, y in every]
    left, right = min(xs), max(max(xs), min(xs) + 1e-9)
    low, high = min(ys), max(ys)
    room = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
    low, high = low - room, high + room

    def place(points: list[tuple[float, float]]) -> str:
        return " ".join(f"{_along(x, left, right):.1f},{_across(y, low, high):.1f}" for x, y in points)

    lines = []
    for run, values in drawn:
        if not values:
            continue
        soft = smoothed([y for _, y in values], smoothing) if smoothing else None
        shown = [(x, y) for (x, _), y in zip(values, soft, strict=True)] if soft else values
        lines.append(Line(run, place(shown), place(values) if soft else None, values[-1][1], values))
    digits = max(0, min(6, 1 - math.floor(math.log10(high - low))))
    across = [low + (high - low) * share for share in (0.1, 0.5, 0.9)]
    along = [left + (right - left) * share for share in (0, 0.5, 1)]
    return Curves(
        name,
        lines,
        [(_across(value, low, high), f"{value:.{digits}f}".replace("-", "−")) for value in across],
        [
            (_along(value, left, right), _time(value, right - left) if axis == "time" else f"{value:,.0f}")
            for value in along
        ],
    )


def _time(seconds: float, span: float) -> str:
    return f"{seconds:.1f}s" if span < 10 else words.duration(seconds)


def _along(x: float, left: float, right: float) -> float:
    return round(LEFT + (x - left) / (right - left) * (RIGHT - LEFT), 1)


def _across(y: float, low: float, high: float) -> float:
    return round(BOTTOM - (y - low) / (high - low) * (BOTTOM - TOP), 1)

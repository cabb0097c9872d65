"""A run's metrics as lines over its steps, its time or a metric of its own, drawn by the server.

What is drawn is in the address.
"""

import math
from dataclasses import dataclass
from typing import Any

from wandb_registry.model.nested_keys import within
from wandb_registry.model.runs import history, version_metrics
from wandb_registry.web import formats
from wandb_registry.web.pager import Pager, pager
from wandb_registry.web.shell import Visit

Row = dict[str, Any]
Points = list[tuple[float, float]]
POINTS = 300  # of a line; more can't be told apart at its width
MOST = 24  # charts a page
MOST_AXES = 4  # metrics that are offered as axes
HUGE = 1e300  # whole numbers beyond it are no floats
WIDTH, HEIGHT = 470, 200
LEFT, RIGHT, TOP, BOTTOM = 56, 458, 12, 168
AXES = {"step": "_step", "time": "_timestamp"}


@dataclass(frozen=True)
class ChartLine:
    """One run's values: the points of the line, of the unsmoothed one behind it, and the last value."""

    name: str
    points: str
    raw: str | None
    last: float
    values: Points


@dataclass(frozen=True)
class MetricCharts:
    """A metric of one or several runs in one chart."""

    name: str
    lines: list[ChartLine]
    across: list[tuple[float, str]]  # grid lines: where, and the value there
    along: list[tuple[float, str]]
    reach: tuple[float, float, float, float]  # the least and the largest of the axis, then of the values
    lost: int  # values that no line can go through: NaN and infinite ones


@dataclass(frozen=True)
class Drawn:
    """Some of the charts, and which of all they are."""

    charts: list[MetricCharts]
    pages: Pager
    wanted: str  # what the names of the shown ones hold

    @property
    def has_lines(self) -> bool:
        """Whether there is more to see than one value of each metric, or why there isn't."""
        return any(chart.lost or any(len(line.values) > 1 for line in chart.lines) for chart in self.charts)


def smoothing_of(visit: Visit) -> float:
    try:
        return min(0.99, max(0.0, float(visit.query.get("smooth", "0"))))
    except ValueError:
        return 0.0


def axis_of(visit: Visit) -> str:
    """Step, time, or a metric; one that the runs don't have draws nothing, so it means step."""
    return visit.query.get("axis", "step") or "step"


def axes(run: Row) -> list[str]:
    """What can be an axis: step, time, and whole numbers that only ever grow, such as an epoch."""
    known = history.keys(run)["keys"]
    growing = [
        key
        for key, about in known.items()
        if about.get("monotonic") and _is_counted(key, about) and _is_whole(about.get("previousValue"))
    ]
    return [*AXES, *growing[:MOST_AXES]]


def of_runs(visit: Visit, runs: list[Row], stream: str = "history", most: int = MOST) -> Drawn:
    """Charts of the metrics that any of the runs has, a page of them."""
    axis, smoothing = _axis(visit, runs), smoothing_of(visit)
    read = [(run, history.thinned(visit.db, run, stream, POINTS)) for run in runs]
    names = list(dict.fromkeys(key for _, rows in read for row in rows for key in _metrics(row)))
    if stream == "history":
        known = [history.keys(run)["keys"].items() for run in runs]
        sparse = (key for keys in known for key, about in keys if _is_counted(key, about))
        names = list(dict.fromkeys([*names, *sparse]))
    wanted = visit.query.get("metric", "").strip()
    names = sorted((name for name in names if wanted.lower() in name.lower()), key=version_metrics.rank)
    pages = pager(visit, len(names), most, "charts")
    charts = []
    for name in names[pages.offset : pages.last]:
        lines, lost = [], 0
        for run, rows in read:
            if stream == "history" and 2 * sum(within(row, name) is not None for row in rows) < len(rows):
                rows = history.thinned_with(visit.db, run, name, POINTS)  # few rows have it: the thinned ones may not
            values, bad = _values(rows, name, axis)
            lines.append((run["display_name"], values))
            lost += bad
        charts.append(drawn(name, lines, axis, smoothing, lost))
    return Drawn(charts, pages, wanted)


def _axis(visit: Visit, runs: list[Row]) -> str:
    axis = axis_of(visit)
    return axis if axis in AXES or any(axis in history.keys(run)["keys"] for run in runs) else "step"


def _is_counted(key: str, about: Row) -> bool:
    """Whether a key of the history holds numbers, be it in few rows."""
    last = about.get("previousValue")
    counted = any(count.get("type") == "number" for count in about.get("typeCounts", []))
    return counted and not key.startswith("_") and not isinstance(last, bool)


def _is_whole(value: Any) -> bool:
    return formats.is_number(value) and value % 1 == 0


def _metrics(row: Row, path: str = "") -> list[str]:
    """The names of the numbers of a row, dotted where they lie deeper."""
    found = []
    for key, value in row.items():
        if isinstance(value, dict) and "_type" not in value:
            found += _metrics(value, f"{path}{key}.")
        elif formats.is_number(value) and (path or not key.startswith("_")):
            found.append(path + key)
    return found


def _values(rows: list[Row], name: str, axis: str) -> tuple[Points, int]:
    """(place along the axis, value) of the rows that have both, and how many can't be drawn.

    Time counts from the first row of the run.
    """
    along = AXES.get(axis, axis)
    begun = next((row[along] for row in rows if formats.is_number(row.get(along))), 0) if axis == "time" else 0
    pairs = [(within(row, along), within(row, name)) for row in rows]
    pairs = [(x, y) for x, y in pairs if formats.is_number(x) and formats.is_number(y)]
    points = [(x - begun, y) for x, y in pairs if abs(x) < HUGE and abs(y) < HUGE]
    return points, len(pairs) - len(points)


def smoothed(values: list[float], weight: float) -> list[float]:
    """An exponential moving average without a bias towards its start, as TensorBoard and W&B draw it."""
    mean, seen, found = 0.0, 0.0, []
    for value in values:
        mean = mean * weight + (1 - weight) * value
        seen = seen * weight + (1 - weight)
        found.append(mean / seen)
    return found


def drawn(name: str, series: list[tuple[str, Points]], axis: str, smoothing: float, lost: int) -> MetricCharts:
    """One chart of lines by their names."""
    every = [point for _, values in series for point in values]
    if not every:
        return MetricCharts(name, [], [], [], (0, 1, 0, 1), lost)
    xs, ys = [x for x, _ in every], [y for _, y in every]
    left, right = min(xs), max(max(xs), min(xs) + 1e-9)
    low, high = min(ys), max(ys)
    room = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
    low, high = low - room, high + room

    def place(points: Points) -> str:
        return " ".join(f"{_along(x, left, right):.1f},{_across(y, low, high):.1f}" for x, y in points)

    lines = []
    for run, values in series:
        if not values:
            continue
        soft = smoothed([y for _, y in values], smoothing) if smoothing else None
        shown = [(x, y) for (x, _), y in zip(values, soft, strict=True)] if soft else values
        lines.append(ChartLine(run, place(shown), place(values) if soft else None, values[-1][1], values))
    across = [low + (high - low) * share for share in (0.1, 0.5, 0.9)]
    along = [left + (right - left) * share for share in (0, 0.5, 1)] if max(xs) > min(xs) else [left]
    return MetricCharts(
        name,
        lines,
        [(_across(value, low, high), _mark(value, high - low)) for value in across],
        [
            (_along(x, left, right), _time(x, right - left) if axis == "time" else _place(x, right - left))
            for x in along
        ],
        (left, right, low, high),
        lost,
    )


def _mark(value: float, span: float) -> str:
    """A value at the edge of a chart, with as many digits as tell it from the others."""
    if max(abs(value), span) >= 1e7 or span < 1e-6:
        return f"{value:.3g}".replace("-", "−")
    return f"{value:,.{max(0, min(6, 1 - math.floor(math.log10(span))))}f}".replace("-", "−")


def _place(x: float, span: float) -> str:
    """A place along an axis, which most often counts in whole numbers."""
    return f"{x:,.0f}" if x == round(x) and abs(x) < 1e7 else _mark(x, span)


def _time(seconds: float, span: float) -> str:
    return f"{seconds:.1f}s" if span < 10 else formats.duration(seconds)


def _along(x: float, left: float, right: float) -> float:
    return round(LEFT + (x - left) / (right - left) * (RIGHT - LEFT), 1)


def _across(y: float, low: float, high: float) -> float:
    return round(BOTTOM - (y - low) / (high - low) * (BOTTOM - TOP), 1)

"""Line charts of the metrics of runs, over steps, time or another metric.

The address names the axis, the smoothing and the metrics.
"""

import math
from dataclasses import dataclass
from typing import Any

from wandb_registry.drawing.line_chart import Axis, Frame, Point, padded, polyline
from wandb_registry.model.nested_keys import within
from wandb_registry.model.runs import history, version_metrics
from wandb_registry.web import formats
from wandb_registry.web.charts import FRAME
from wandb_registry.web.pager import Pager, paginate
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]
Points = list[Point]
MOST_POINTS = 300  # of a line; at its width more would make no difference
MOST_CHARTS = 24  # on a page
MOST_AXES = 4  # metrics to choose an axis from
HUGE = 1e300  # integers of this size may not fit a float
AXES = {"step": "_step", "time": "_timestamp"}


@dataclass(frozen=True)
class MetricLine:
    """One run's values, and the SVG attributes `points` of its line and of the unsmoothed line behind it."""

    name: str
    points: str
    unsmoothed: str | None
    last: float
    values: Points


@dataclass(frozen=True)
class MetricChart:
    """A metric of one or several runs."""

    name: str
    lines: list[MetricLine]
    x: Axis
    y: Axis
    undrawable: int  # how many values are NaN or infinite
    frame: Frame = FRAME


@dataclass(frozen=True)
class MetricCharts:
    """One page of the charts of those metrics whose names contain `name_filter`."""

    charts: list[MetricChart]
    pager: Pager
    name_filter: str

    @property
    def has_lines(self) -> bool:
        """Whether any chart has a line of several values, or values that can't be drawn."""
        return any(chart.undrawable or any(len(line.values) > 1 for line in chart.lines) for chart in self.charts)


def chosen_smoothing(request: PageRequest) -> float:
    """The weight of smoothing in the address, from 0 (none) to 0.99."""
    try:
        return min(0.99, max(0.0, float(request.query.get("smooth", "0"))))
    except ValueError:
        return 0.0


def chosen_axis(request: PageRequest) -> str:
    """The axis in the address: step, time, or the name of a metric."""
    return request.query.get("axis", "step") or "step"


def possible_axes(run: Row) -> list[str]:
    """Step, time, and metrics whose values are whole numbers that never fall, such as an epoch."""
    keys = history.keys(run)["keys"]
    growing = [
        key
        for key, about in keys.items()
        if about.get("monotonic") and _is_metric(key, about) and _is_whole(about.get("previousValue"))
    ]
    return [*AXES, *growing[:MOST_AXES]]


def metric_charts(
    request: PageRequest, runs: list[Row], stream: str = "history", most: int = MOST_CHARTS
) -> MetricCharts:
    """Charts of the metrics that any of the runs has."""
    axis = _axis(request, runs) if stream == "history" else "time"  # the machine's metrics have no step
    smoothing = chosen_smoothing(request)
    histories = [(run, history.thinned(request.db, run, stream, MOST_POINTS)) for run in runs]
    name_filter = request.query.get("metric", "").strip()
    names = [name for name in _metric_names(histories, stream) if name_filter.lower() in name.lower()]
    names.sort(key=version_metrics.rank)
    pager = paginate(request, len(names), most, "charts")
    charts = []
    for name in names[pager.offset : pager.last]:
        series, undrawable = [], 0
        for run, rows in histories:
            if stream == "history" and 2 * sum(within(row, name) is not None for row in rows) < len(rows):
                # few rows have it, so the thinned rows may lack it
                rows = history.thinned_with(request.db, run, name, MOST_POINTS)
            points, left_out = _points(rows, name, axis)
            series.append((run["display_name"], points))
            undrawable += left_out
        charts.append(metric_chart(name, series, axis, smoothing, undrawable))
    return MetricCharts(charts, pager, name_filter)


def _axis(request: PageRequest, runs: list[Row]) -> str:
    axis = chosen_axis(request)
    return axis if axis in AXES or any(axis in history.keys(run)["keys"] for run in runs) else "step"


def _metric_names(histories: list[tuple[Row, list[Row]]], stream: str) -> list[str]:
    """The metrics of the rows, and those that only rows have which were thinned out."""
    names = [name for _, rows in histories for row in rows for name in _metrics_of_row(row)]
    if stream == "history":
        keys = [item for run, _ in histories for item in history.keys(run)["keys"].items()]
        names += [key for key, about in keys if _is_metric(key, about)]
    return list(dict.fromkeys(names))


def _is_metric(key: str, about: Row) -> bool:
    """Whether a key of the history has any numbers."""
    counted = any(count.get("type") == "number" for count in about.get("typeCounts", []))
    return counted and not key.startswith("_") and not isinstance(about.get("previousValue"), bool)


def _is_whole(value: Any) -> bool:
    return formats.is_number(value) and value % 1 == 0


def _metrics_of_row(row: Row, path: str = "") -> list[str]:
    """The names of a row's numbers, dotted where they are nested."""
    names = []
    for key, value in row.items():
        if isinstance(value, dict) and "_type" not in value:
            names += _metrics_of_row(value, f"{path}{key}.")
        elif formats.is_number(value) and (path or not key.startswith("_")):
            names.append(path + key)
    return names


def _points(rows: list[Row], name: str, axis: str) -> tuple[Points, int]:
    """The points of rows that have both values, and how many can't be drawn. Time counts from the first row."""
    key = AXES.get(axis, axis)
    start = next((row[key] for row in rows if formats.is_number(row.get(key))), 0) if axis == "time" else 0
    pairs = [(within(row, key), within(row, name)) for row in rows]
    pairs = [(x, y) for x, y in pairs if formats.is_number(x) and formats.is_number(y)]
    points = [(x - start, y) for x, y in pairs if abs(x) < HUGE and abs(y) < HUGE]
    return points, len(pairs) - len(points)


def smoothed(values: list[float], weight: float) -> list[float]:
    """An exponential moving average without a bias towards its start, as TensorBoard and W&B draw it."""
    mean, seen, averages = 0.0, 0.0, []
    for value in values:
        mean = mean * weight + (1 - weight) * value
        seen = seen * weight + (1 - weight)
        averages.append(mean / seen)
    return averages


def metric_chart(
    name: str, series: list[tuple[str, Points]], axis: str, smoothing: float, undrawable: int
) -> MetricChart:
    """One chart; `series` has the name and the points of each line."""
    points = [point for _, values in series for point in values]
    if not points:
        return MetricChart(name, [], Axis(FRAME.x_scale(0, 1), []), Axis(FRAME.y_scale(0, 1), []), undrawable)
    xs = [x for x, _ in points]
    x = FRAME.x_scale(min(xs), max(xs))
    y = FRAME.y_scale(*padded([value for _, value in points], 0.06))
    lines = []
    for run, values in series:
        if values:
            raw = polyline(values, x, y)
            smooth = smoothed([value for _, value in values], smoothing) if smoothing else []
            line = polyline(zip([at for at, _ in values], smooth, strict=True), x, y) if smooth else raw
            lines.append(MetricLine(run, line, raw if smooth else None, values[-1][1], values))
    x_marks = [x.value_at(share) for share in (0, 0.5, 1)] if x.high > x.low else [x.low]
    x_label = _time_label if axis == "time" else _step_label
    y_marks = [y.value_at(share) for share in (0.1, 0.5, 0.9)]
    return MetricChart(
        name,
        lines,
        Axis(x, [(x.coordinate(mark), x_label(mark, x.high - x.low)) for mark in x_marks]),
        Axis(y, [(y.coordinate(mark), _value_label(mark, y.high - y.low)) for mark in y_marks]),
        undrawable,
    )


def _value_label(value: float, span: float) -> str:
    """A label with as many digits as tell the labels of an axis apart."""
    if max(abs(value), span) >= 1e7 or span < 1e-6:
        return f"{value:.3g}".replace("-", "−")
    return f"{value:,.{max(0, min(6, 1 - math.floor(math.log10(span))))}f}".replace("-", "−")


def _step_label(step: float, span: float) -> str:
    """A step is most often a whole number."""
    return f"{step:,.0f}" if step == round(step) and abs(step) < 1e7 else _value_label(step, span)


def _time_label(seconds: float, span: float) -> str:
    return f"{seconds:.1f}s" if span < 10 else formats.duration(seconds)

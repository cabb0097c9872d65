"""Draws what `wandb.plot` has logged: a table of values and, in the run's config, the kind of plot and its columns.

It draws lines, curves, points, bars, histograms and confusion matrices. A custom plot stays a table.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

from wandb_registry.drawing.bar_chart import histogram_bars, horizontal_bars
from wandb_registry.drawing.line_chart import Frame
from wandb_registry.model.runs import runs
from wandb_registry.web import formats
from wandb_registry.web.charts import metric_charts
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]
LARGEST_TABLE = 2**20  # bytes
CONFUSION = ("Actual", "Predicted", "nPredictions")
LINES = {  # by the SDK's name of the plot: the fields for x, y and the name of the line
    "wandb/line/v0": ("x", "y", "stroke"),
    "wandb/lineseries/v0": ("step", "lineVal", "lineKey"),
    "wandb/area-under-curve/v0": ("x", "y", "class"),
    "wandb/scatter/v0": ("x", "y", ""),
}
SCATTER, BAR, HISTOGRAM = "wandb/scatter/v0", "wandb/bar/v0", "wandb/histogram/v0"
TABLES = ("{}_table", "Custom Chart Tables/{}_table")  # keys under which the table of a plot is logged
MOST_LINES = 12
MOST_BARS = 40
BAR_ROW = 28  # height of a bar with the gap around it
BINS = 20
HISTOGRAM_FRAME = Frame(width=100, height=42, left=0, right=100, top=1, bottom=41)


@dataclass(frozen=True)
class Plot:
    """How to draw a table: the SDK's name of the plot, its columns by their roles, its title and labels."""

    drawing: str
    fields: Row
    strings: Row


def plot_of_table(request: PageRequest, run: Row, key: str, file: Row) -> Row | None:
    """The drawing of a table that belongs to a plot. None for any other table, and for one that is too large."""
    if file["size"] > LARGEST_TABLE:
        return None
    try:
        table = json.loads(request.store.blobs.path(file["md5"]).read_bytes())
        names, rows = [str(name) for name in table["columns"]], table["data"]
        if tuple(names) == CONFUSION:
            return {"kind": "matrix", **_confusion_matrix(rows)}
        plot = _read_plot(run, key)
        return _drawing(plot, key, [dict(zip(names, row, strict=True)) for row in rows]) if plot else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _read_plot(run: Row, key: str) -> Plot | None:
    config = runs.loads(run["config"])
    for name, plot in config["_wandb"]["value"]["visualize"].items():
        if key in [form.format(name) for form in TABLES]:
            panel = plot["panel_config"]
            return Plot(panel["panelDefId"], panel["fieldSettings"], panel["stringSettings"])
    return None


def _drawing(plot: Plot, key: str, rows: list[Row]) -> Row | None:
    name = str(plot.strings.get("title") or key)
    if plot.drawing in LINES:
        x, y, line = (plot.fields.get(field) for field in LINES[plot.drawing])
        series, undrawable = _series(rows, x, y, line)
        axis = str(plot.strings.get("xname") or plot.strings.get("x-axis-title") or x)
        chart = metric_charts.metric_chart(name, series, "", 0, undrawable)
        return {"kind": "lines", "chart": chart, "axis": axis, "dots": plot.drawing == SCATTER}
    if plot.drawing == BAR:
        return {"kind": "bars", "key": name, **_bars(rows, plot.fields["label"], plot.fields["value"])}
    if plot.drawing == HISTOGRAM:
        column = plot.fields["value"]
        counts, ends = _binned([row[column] for row in rows if _is_finite(row[column])])
        return {"kind": "histogram", "key": name, **histogram(counts), "ends": ends}
    return None


def _series(rows: list[Row], x: Any, y: Any, line: Any) -> tuple[list[tuple[str, metric_charts.Points]], int]:
    """The lines by name, in the order of the rows, and how many rows can't be drawn."""
    series: dict[str, metric_charts.Points] = {}
    undrawable = 0
    for row in rows:
        if _is_finite(row[x]) and _is_finite(row[y]):
            series.setdefault(str(row[line]) if line else str(y), []).append((row[x], row[y]))
        else:
            undrawable += 1
    return list(series.items())[:MOST_LINES], undrawable


def _is_finite(value: Any) -> bool:
    return formats.is_number(value) and abs(value) < metric_charts.HUGE


def _bars(rows: list[Row], label: str, value: str) -> Row:
    """The first bars with their labels and values, and how many rows are left out."""
    drawable = [(str(row[label]), row[value]) for row in rows if _is_finite(row[value])][:MOST_BARS]
    frame = Frame(width=470, height=BAR_ROW * len(drawable), left=140, right=410, top=0, bottom=BAR_ROW * len(drawable))
    bars = horizontal_bars([number for _, number in drawable], frame)
    return {
        "frame": frame,
        "bars": [(name, number, bar) for (name, number), bar in zip(drawable, bars, strict=True)],
        "left_out": len(rows) - len(drawable),
    }


def _binned(values: list[float]) -> tuple[list[int], tuple[float, float] | None]:
    """How many values lie in each of BINS equal parts of their range, and that range."""
    if not values:
        return [], None
    low, high = min(values), max(values)
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, math.floor((value - low) / ((high - low) or 1) * BINS))] += 1
    return counts, (low, high)


def histogram(counts: list[float] | list[int]) -> Row:
    """The bars of a histogram with these counts, and their frame."""
    return {"frame": HISTOGRAM_FRAME, "bars": histogram_bars(counts, HISTOGRAM_FRAME)}


def _confusion_matrix(table: list[Any]) -> Row:
    """The classes, and each class's row: its cells as (count, CSS class of the shade)."""
    counts = {(str(actual), str(predicted)): int(count) for actual, predicted, count in table}
    classes = list(dict.fromkeys(actual for actual, _ in counts))
    most = max((count for (actual, predicted), count in counts.items() if actual != predicted), default=0)

    def shade(actual: str, predicted: str, count: int) -> str:
        if actual == predicted:
            return "d"
        return "" if not count else "h2" if count * 2 > most else "h1"

    rows = []
    for actual in classes:
        cells = [(counts.get((actual, predicted), 0), predicted) for predicted in classes]
        rows.append((actual, [(count, shade(actual, predicted, count)) for count, predicted in cells]))
    return {"classes": classes, "rows": rows}

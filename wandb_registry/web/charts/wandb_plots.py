"""What `wandb.plot` has logged: a table of values and, in the run's config, the kind of plot and its columns.

The script of a page draws the SDK's own plots with Vega. Small confusion matrices are tables.
"""

import json
from dataclasses import dataclass
from typing import Any

from wandb_registry.drawing.bar_chart import histogram_bars
from wandb_registry.drawing.line_chart import Frame
from wandb_registry.model.runs import runs
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]
LARGEST_MATRIX = 2**20  # bytes of a confusion matrix that is shown as a table; larger ones are drawn
CONFUSION = ("Actual", "Predicted", "nPredictions")
PLOTS = {  # the SDK's names of its plots
    "wandb/line/v0",
    "wandb/lineseries/v0",
    "wandb/area-under-curve/v0",
    "wandb/scatter/v0",
    "wandb/bar/v0",
    "wandb/histogram/v0",
    "wandb/confusion_matrix/v1",
}
TABLES = ("{}_table", "Custom Chart Tables/{}_table")  # keys under which the table of a plot is logged
HISTOGRAM_FRAME = Frame(width=100, height=42, left=0, right=100, top=1, bottom=41)


@dataclass(frozen=True)
class Panel:
    """What a run's config says of a plot: its name, what draws it, and its columns and texts by their roles."""

    name: str
    chart: str
    fields: Row
    strings: Row

    @property
    def title(self) -> str:
        return str(self.strings.get("title") or self.name)


def panel_of(run: Row, key: str) -> Panel | None:
    """The plot that the table under this key belongs to."""
    try:
        for name, plot in runs.loads(run["config"])["_wandb"]["value"]["visualize"].items():
            if key in [form.format(name) for form in TABLES]:
                settings = plot["panel_config"]
                fields, strings = settings.get("fieldSettings") or {}, settings.get("stringSettings") or {}
                return Panel(name, str(settings["panelDefId"]), dict(fields), dict(strings))
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    return None


def plot_of_table(request: PageRequest, run: Row, key: str, file: Row, rows: str) -> Row | None:
    """What draws a table that belongs to one of the SDK's plots; else None. `rows` is the address of its content."""
    if file["size"] <= LARGEST_MATRIX and (matrix := _matrix_of(request, file)):
        return {"kind": "matrix", **matrix}
    panel = panel_of(run, key)
    if panel is None or panel.chart not in PLOTS:
        return None
    drawn = {"plot": panel.chart, "fields": panel.fields, "strings": panel.strings, "rows": rows}
    return {"kind": "plot", "key": panel.title, "plot": json.dumps(drawn)}


def _matrix_of(request: PageRequest, file: Row) -> Row | None:
    try:
        table = json.loads(request.store.blobs.local(file["md5"]).read_bytes())
        return _confusion_matrix(table["data"]) if tuple(table["columns"]) == CONFUSION else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


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

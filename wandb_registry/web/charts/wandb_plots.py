"""What `wandb.plot` has logged: a table of values and, in the run's config, the kind of plot and its columns.

The script of a page draws the SDK's own plots with Vega. Small confusion matrices are tables, and so are custom plots.
"""

import json
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


def plot_of_table(request: PageRequest, run: Row, key: str, file: Row, rows: str) -> Row | None:
    """What draws a table that belongs to a plot; None for any other table. `rows` is the address of its content."""
    if file["size"] <= LARGEST_MATRIX and (matrix := _matrix_of(request, file)):
        return {"kind": "matrix", **matrix}
    try:
        config = runs.loads(run["config"])
        for name, plot in config["_wandb"]["value"]["visualize"].items():
            panel = plot["panel_config"]
            if key in [form.format(name) for form in TABLES] and panel["panelDefId"] in PLOTS:
                strings = panel.get("stringSettings") or {}
                drawn = {
                    "plot": panel["panelDefId"],
                    "fields": panel["fieldSettings"],
                    "strings": strings,
                    "rows": rows,
                }
                return {"kind": "plot", "key": str(strings.get("title") or key), "plot": json.dumps(drawn)}
    except (KeyError, TypeError, AttributeError):
        pass
    return None


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

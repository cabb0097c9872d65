"""Tables that a run logged to be drawn by a chart that somebody specified: `wandb.plot_table` with a name of the own.

Vega draws them in a sandboxed frame, since a specification is a user's text, as an uploaded file is.
"""

import json
from typing import Any

from wandb_registry.errors import NotFound
from wandb_registry.model import custom_charts
from wandb_registry.web import addresses
from wandb_registry.web.charts import wandb_plots
from wandb_registry.web.media import drawings
from wandb_registry.web.views import Framed, PageRequest

Row = dict[str, Any]
NO_CHART = (
    "This plot is drawn by the custom chart '{}', which is not in this registry or not for you to see: make it with "
    "wandb.Api().create_custom_chart. Its table has the values."
)


def of_table(request: PageRequest, run: Row, key: str, frame: str) -> Row | None:
    """The frame in which a chart that somebody specified draws a table, or why none does; None for any other table.

    `frame` is the address of frames of the table's file.
    """
    panel = wandb_plots.panel_of(run, key)
    if panel is None or panel.chart in wandb_plots.PLOTS:
        return None
    if custom_charts.find(request.db, request.viewer, panel.chart) is None:
        return {"note": NO_CHART.format(panel.chart)}
    return {"kind": "drawing", "key": panel.title, "frame": addresses.with_query(frame, {"plot": key})}


def framed(request: PageRequest, run: Row, file: Row, key: str) -> Framed:
    """The page of a frame that draws a table by a chart that somebody specified. Raises NotFound."""
    panel = wandb_plots.panel_of(run, key)
    chart = custom_charts.find(request.db, request.viewer, panel.chart) if panel else None
    if panel is None or chart is None:
        raise NotFound(NO_CHART.format(panel.chart) if panel else f"No plot of this run has the table '{key}'.")
    about = {"spec": json.loads(chart["spec"]), "fields": panel.fields, "strings": panel.strings}
    return drawings.framed(file["md5"], file["name"], drawings.Drawing("chart", "json", json.dumps(about)))

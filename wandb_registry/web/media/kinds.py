"""The kinds of what a run has logged, by which a page of media is filtered: kind=pictures."""

from collections import Counter
from typing import Any

from wandb_registry.web.charts import wandb_plots
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]
PLOTS, OTHERS = "plots", "others"
KINDS = {  # by what the SDK calls a value, or a list of such, without the ending -file
    "image": "pictures", "images": "pictures", "audio": "sounds", "video": "films", "videos": "films",
    "table": "tables", "incremental-table": "tables", "partitioned-table": "tables", "joined-table": "tables",
    "html": "pages", "plotly": PLOTS, "bokeh": PLOTS, "object3D": "objects", "molecule": "molecules",
    "histogram": "histograms",
}  # fmt: skip


def kind_of(run: Row, key: str, value: Row) -> str:
    """The kind of a logged value. A table that a plot of the SDK is drawn from is a plot."""
    type_name = str(value["_type"]).removesuffix("-file").partition("/")[0]
    kind = KINDS.get(type_name, OTHERS)
    return PLOTS if kind == "tables" and wandb_plots.panel_of(run, key) else kind


def chosen(request: PageRequest) -> str:
    """The kind of the address; '' for all."""
    return request.query.get("kind", "")


def options(run: Row, logged: list[tuple[str, Row]]) -> list[tuple[str, str]]:
    """(value, label) of all media, and of each kind that these are of."""
    counts = Counter(kind_of(run, key, value) for key, value in logged)
    return [("", f"all {len(logged)}"), *((kind, f"{kind} {counts[kind]}") for kind in sorted(counts))]

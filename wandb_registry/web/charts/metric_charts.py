"""The charts of a page: which metrics its runs have, in sections by prefix, and what the script needs to draw them.

The address holds how they are drawn: axis, smoothing, log scales, hidden runs, folded sections, and what is zoomed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wandb_registry.model.runs import history, runs, version_metrics
from wandb_registry.model.runs.defined_metrics import DefinedMetrics, defined_axis
from wandb_registry.model.runs.series import STEP, TIME
from wandb_registry.web import addresses, formats
from wandb_registry.web.charts import run_colors
from wandb_registry.web.pager import Pager, paginate
from wandb_registry.web.views import PageRequest, Redirect

Row = dict[str, Any]
MOST_CHARTS = 48  # on a page
SYSTEM = "system"  # the prefix of the machine's metrics, which come last
TOGGLED = {"toggle-eye": "hide", "toggle-fold": "fold", "toggle-log": "log"}  # buttons, and the lists that they change


@dataclass(frozen=True)
class MetricChart:
    """A chart: its metric, and the axis that it was defined over or that was chosen."""

    id: str
    name: str
    axis: str
    stream: str
    log: bool


@dataclass(frozen=True)
class Section:
    """The charts of one prefix, such as 'val/'; '' for metrics without one."""

    id: str
    name: str
    charts: list[MetricChart]
    folded: bool


@dataclass(frozen=True)
class MetricCharts:
    """One page of the charts of those metrics whose names contain `name_filter`."""

    sections: list[Section]
    pager: Pager
    name_filter: str
    axes: list[str]  # to choose from
    axis: str  # the one that was chosen for all charts; '' if each has its own
    smoothing: float
    lines: list[Row]  # one for each run: its name in addresses, the one that is shown, its CSS classes
    hidden: list[str]
    grouped: bool  # whether groups are drawn as means
    series: str  # the address of the lines
    values: str  # the address of all values of a metric
    line_addresses: dict[str, str]  # where each run is a line, and where each group is one
    kept: list[tuple[str, str]]  # what is in the address, for forms that change some of it

    @property
    def any(self) -> bool:
        return bool(self.sections)


def chosen_smoothing(request: PageRequest) -> float:
    """The weight of smoothing in the address, from 0 (none) to 0.99."""
    try:
        return min(0.99, max(0.0, float(request.query.get("smooth", "0"))))
    except ValueError:
        return 0.0


def toggled(request: PageRequest) -> Redirect | None:
    """The address behind a button that switches a run, a section or a log scale; None if none was pressed.

    The page's script goes there without leaving the page. A scatter plot's two columns become one entry as well.
    """
    query = {name: request.query.getlist(name) for name in request.query}
    path = request.address.partition("?")[0]
    if "across" in query and "up" in query:
        pair = f"{query.pop('across')[-1]} {query.pop('up')[-1]}"
        return Redirect(addresses.with_query(path, query | {"scatter": [*query.get("scatter", []), pair]}))
    for button, kept in TOGGLED.items():
        if button in query:
            value = query.pop(button)[-1]
            named = query.get(kept, [])
            query[kept] = [name for name in named if name != value] if value in named else [*named, value]
            return Redirect(addresses.with_query(path, query))
    return None


def metric_charts(
    request: PageRequest,
    project: Row,
    shown: list[Row],
    *,
    streams: Iterable[str] = ("history",),
    most: int = MOST_CHARTS,
    groups: list[str] | None = None,
) -> MetricCharts:
    """Charts of the metrics that any of the runs has, of each stream; `groups` has the group of each run."""
    axis = request.query.get("axis", "")
    defined = [DefinedMetrics(run) for run in shown]
    known = [history.keys(run)["keys"] for run in shown]
    axes = possible_axes(known)
    axis = axis if axis in axes else ""
    name_filter = request.query.get("metric", "").strip()
    named: list[tuple[str, str]] = []
    for stream in streams:
        names = _metrics(known, defined) if stream == "history" else _machine_metrics(request, shown)
        across = {defined_axis(defined, name, axes) for name in names}  # an axis says little as a chart: it comes last
        found = sorted(names, key=lambda name: (name in across, _prefix(name), version_metrics.rank(name), name))
        named += [(stream, name) for name in found if name_filter.lower() in name.lower()]
    pager = paginate(request, len(named), most, "charts")
    project_address = addresses.join(project["entity_name"], project["name"])
    logs, folded = request.query.getlist("log"), request.query.getlist("fold")
    sections: dict[str, list[MetricChart]] = {}
    for number, (stream, name) in enumerate(named[pager.offset : pager.last], pager.offset):
        own = axis or defined_axis(defined, name, axes) if stream == "history" else TIME
        prefix = SYSTEM if stream != "history" else _prefix(name)
        chart = MetricChart(f"chart-{number}", name, own, stream, name in logs)
        sections.setdefault(prefix, []).append(chart)
    places = run_colors.places(request.db, shown)
    return MetricCharts(
        [Section(f"section-{at}", name, charts, name in folded) for at, (name, charts) in enumerate(sections.items())],
        pager,
        name_filter,
        axes,
        axis,
        chosen_smoothing(request),
        [
            {"run": run["name"], "name": run["display_name"], "color": run_colors.css_class(places[run["id"]])}
            | ({"live": True} if runs.state(run) in runs.UNDER_WAY else {})
            | ({"group": groups[at]} if groups else {})
            for at, run in enumerate(shown)
        ],
        request.query.getlist("hide"),
        groups is not None and request.query.get("lines") != "runs",
        f"{project_address}/series",
        f"{project_address}/values",
        _line_addresses(request),
        [(name, value) for name in request.query for value in request.query.getlist(name)],
    )


def _line_addresses(request: PageRequest) -> dict[str, str]:
    path = request.address.partition("?")[0]
    query = {name: request.query.getlist(name) for name in request.query if name != "lines"}
    return {"groups": addresses.with_query(path, query), "runs": addresses.with_query(path, query | {"lines": "runs"})}


def possible_axes(known: list[Row]) -> list[str]:
    """Step, time, and the metrics that never fall in any run which has them, such as an epoch."""
    falls = {key for keys in known for key, about in keys.items() if not about.get("monotonic")}
    growing = [
        key
        for keys in known
        for key, about in keys.items()
        if key not in falls and _is_metric(key, about) and formats.is_number(about.get("previousValue"))
    ]
    return [STEP, TIME, *dict.fromkeys(growing)]


def _metrics(known: list[Row], defined: list[DefinedMetrics]) -> set[str]:
    """The metrics of the histories that some run doesn't hide."""
    return {
        key
        for keys, definitions in zip(known, defined, strict=True)
        for key, about in keys.items()
        if _is_metric(key, about) and not definitions.is_hidden(key)
    }


def _is_metric(key: str, about: Row) -> bool:
    """Whether a key of the history has any numbers."""
    counted = any(count.get("type") == "number" for count in about.get("typeCounts", []))
    return counted and not key.startswith("_") and not isinstance(about.get("previousValue"), bool)


def _machine_metrics(request: PageRequest, shown: list[Row]) -> set[str]:
    """What the machines of the runs measured: of one run all, of several what their last rows have."""
    if len(shown) == 1:
        return set(request.store.series.columns(request.db, shown[0], "events").metrics)
    names = (history.system_metrics(request.db, run).items() for run in shown)
    return {key for items in names for key, value in items if formats.is_number(value)}


def _prefix(name: str) -> str:
    """What stands before the last slash of a name, with it."""
    return name.rpartition("/")[0] + "/" if "/" in name else ""


def best_value(metric: str, values: list[Any], shown: list[Row]) -> float | None:
    """The best of a metric's values: as `define_metric` told, or else as its name tells. None if all are the same."""
    numbers = [value for value in values if formats.is_number(value) and abs(value) < version_metrics.HUGE]
    if len(set(numbers)) < 2:
        return None
    told = (found.smaller_is_better for run in shown if (found := DefinedMetrics(run).of(metric)))
    smaller = next((one for one in told if one is not None), version_metrics.smaller_is_better(metric))
    return min(numbers) if smaller else max(numbers)

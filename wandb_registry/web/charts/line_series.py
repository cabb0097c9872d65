"""What charts ask for: the lines of metrics, thinned to the width that they are drawn at, and all values as a table."""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from wandb_registry.drawing.downsampling import mean_and_range, min_and_max
from wandb_registry.errors import BadInput
from wandb_registry.model.runs import runs
from wandb_registry.model.runs.defined_metrics import DefinedMetrics, defined_axis
from wandb_registry.model.runs.series import STEP, TIME, Columns, Line
from wandb_registry.web import addresses, lookups
from wandb_registry.web.charts import run_colors
from wandb_registry.web.pager import paginate
from wandb_registry.web.views import Data, Export, Page, PageRequest

Row = dict[str, Any]
STREAMS = {"history": "history", "system": "events"}  # as the address calls them, and as they are stored
NARROWEST, WIDEST = 50, 4000  # pixels
MOST_POINTS = 10_000  # of a chart: beyond, a stretch of the axis is wider than a pixel
FINEST_PLACE = 1_000_000  # parts of the length of an axis that places tell apart
MOST_VALUES = 500  # rows on a page of values


def series(request: PageRequest) -> Data:
    """The lines of the metrics that the address names, of the runs that it names.

    Each line has the steps from one place along the axis to the next, in units of 10^-scale, and its values. No peak is
    lost: of each pixel there are the least and the greatest value.
    """
    chosen = _chosen_runs(request)
    stream, axis = _stream(request), request.query.get("axis") or STEP
    low, high = _number(request, "from", -math.inf), _number(request, "to", math.inf)
    width = int(min(WIDEST, max(NARROWEST, _number(request, "width", 300))))
    columns = [(run, request.store.series.columns(request.db, run, stream)) for run in chosen]
    charts = []
    for metric in request.query.getlist("metric"):
        if labels := request.query.getlist("group"):  # one for each run
            if len(labels) != len(chosen):
                raise BadInput("There is a group for each run, or for none.")
            charts.append(_bands(columns, labels, metric, axis, low, high, width))
        else:
            stretches = min(width, max(NARROWEST, MOST_POINTS // 2 // max(1, len(chosen))))
            key = metric, axis, low, high, stretches
            charts.append([text for run, held in columns if (text := _drawn(run, held, key))])
    return Data('{"charts":[' + ",".join("[" + ",".join(lines) + "]" for lines in charts) + "]}")


def _chosen_runs(request: PageRequest) -> list[Row]:
    """The runs that the address names, in its order. Those that don't exist are left out."""
    project = lookups.find_project(request)
    names = list(dict.fromkeys(request.query.getlist("run")))
    by_name = {run["name"]: run for run in runs.named(request.db, project["id"], names)}
    return [by_name[name] for name in names if name in by_name]


def _stream(request: PageRequest) -> str:
    name = request.query.get("stream") or "history"
    if name not in STREAMS:
        raise BadInput(f"Runs have no stream '{name}'. There are: {', '.join(STREAMS)}.")
    return STREAMS[name]


def _number(request: PageRequest, name: str, otherwise: float) -> float:
    text = request.query.get(name)
    try:
        number = float(text) if text else otherwise
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise BadInput(f"'{text}' is no number for '{name}'.")
    return number


def _drawn(run: Row, columns: Columns, key: tuple[str, str, float, float, int]) -> str:
    """A run's line as JSON; '' if it has no value."""
    text = columns.drawn.get(key)
    if text is None:
        metric, axis, low, high, stretches = key
        line = columns.line(metric, axis)
        thinned = min_and_max(line.xs, line.ys, low, high, stretches) if line.xs else None
        text = _encoded_line(line, *thinned) if thinned else _undrawn(line)
        if math.isinf(low) and math.isinf(high):  # each zoom is another stretch, and seldom asked for twice
            columns.drawn[key] = text
    return text and f'{{"run":{json.dumps(run["name"])},{text}}}'


def _undrawn(line: Line) -> str:
    return f'"x":[],"scale":0,"y":[],"undrawable":{line.undrawable}' if line.undrawable else ""


def _encoded_line(line: Line, xs: list[float], ys: list[float]) -> str:
    facts = {"undrawable": line.undrawable, "points": len(line.xs), "last": line.ys[-1], "least": min(line.ys),
             "greatest": max(line.ys)}  # fmt: skip
    return f'{_places(xs)},"y":{_values(ys)},{json.dumps(facts)[1:-1]}'


def _bands(
    columns: list[tuple[Row, Columns]], labels: list[str], metric: str, axis: str, low: float, high: float, width: int
) -> list[str]:
    """Each group of runs as its mean with the range around it."""
    groups: dict[str, list[Line]] = {}
    for (_, held), label in zip(columns, labels, strict=True):
        groups.setdefault(label, []).append(held.line(metric, axis))
    bands = []
    for label, lines in groups.items():
        drawn = [(line.xs, line.ys) for line in lines if line.xs]
        xs, means, least, greatest = mean_and_range(drawn, low, high, width)
        facts = {"group": label, "runs": len(drawn), "undrawable": sum(line.undrawable for line in lines)}
        if xs:
            facts |= {"points": len(xs), "last": means[-1], "least": min(least), "greatest": max(greatest)}
            lists = f'"y":{_values(means)},"low":{_values(least)},"high":{_values(greatest)}'
            bands.append(f"{{{json.dumps(facts)[1:-1]},{_places(xs)},{lists}}}")
        elif facts["undrawable"]:  # so that a chart tells of them
            bands.append(f'{{{json.dumps(facts)[1:-1]},{_places([])},"y":[]}}')
    return bands


def _places(xs: list[float]) -> str:
    """Places along an axis as whole numbers, each the distance from the one before: these compress well."""
    if not xs:
        return '"x":[],"scale":0'
    scale = 0
    if not all(x.is_integer() for x in xs):
        length = max(xs[-1] - xs[0] or abs(xs[0]), 1e-9)
        scale = max(0, math.ceil(math.log10(FINEST_PLACE / length)))
    unit = 10**scale
    whole = [round(x * unit) for x in xs]
    steps = [whole[0], *(after - before for before, after in pairwise(whole))]
    return f'"x":{json.dumps(steps, separators=(",", ":"))},"scale":{scale}'


def _values(ys: list[float]) -> str:
    """Values with as many digits as tell the heights of a chart apart, four at least."""
    if not ys:
        return "[]"
    least, greatest = min(ys), max(ys)
    largest, span = max(abs(least), abs(greatest)), greatest - least
    digits = 4 + (min(11, math.ceil(math.log10(largest / span))) if 0 < span < largest else 0)
    return "[" + ",".join(map(f"%.{digits}g".__mod__, ys)) + "]"


# ---- all values, for a person or a spreadsheet ----


def values_page(request: PageRequest) -> Page | Export:
    """All values of one metric, or of one that the machines measured, along its axis; with `format=csv` as a file."""
    project = lookups.find_project(request)
    chosen = _chosen_runs(request)
    metric, axis, stream = request.query.get("metric", ""), request.query.get("axis"), "history"
    if machine := request.query.get("system"):
        metric, axis, stream = machine, TIME, "events"
    axis = axis or defined_axis([DefinedMetrics(run) for run in chosen], metric)
    lines = [(run, request.store.series.columns(request.db, run, stream).line(metric, axis)) for run in chosen]
    if request.query.get("format") == "csv":
        return Export(_as_csv(lines, metric, axis), f"{_file_name(metric)}.csv", "text/csv; charset=utf-8")
    pager = paginate(request, sum(len(line.xs) for _, line in lines), MOST_VALUES)
    places = run_colors.places(request.db, chosen)
    return Page(
        "values.html",
        {
            "title": metric,
            "project": project,
            "axis": axis,
            "rows": list(_page_of(lines, pager.offset, pager.last)),
            "colors": {run["id"]: run_colors.css_class(places[run["id"]]) for run in chosen},
            "undrawable": sum(line.undrawable for _, line in lines),
            "pager": pager,
            "csv": addresses.with_query(
                request.address.partition("?")[0],
                {name: request.query.getlist(name) for name in request.query if name != "page"} | {"format": "csv"},
            ),
            "runs": addresses.join(project["entity_name"], project["name"], "runs"),
        },
    )


def _page_of(lines: list[tuple[Row, Line]], first: int, end: int) -> Iterator[tuple[Row, float, float]]:
    """The values from one to another of all lines put one behind the other, each with its run and its place."""
    before = 0
    for run, line in lines:
        for at in range(max(0, first - before), min(len(line.xs), end - before)):
            yield run, _whole(line.xs[at]), line.ys[at]
        before += len(line.xs)


def _as_csv(lines: list[tuple[Row, Line]], metric: str, axis: str) -> Iterator[str]:
    def text(rows: Iterable[tuple]) -> str:
        written = io.StringIO()
        csv.writer(written).writerows(rows)
        return written.getvalue()

    yield text([("run", "id", axis, metric)])
    for run, line in lines:
        yield text((run["display_name"], run["name"], _whole(x), y) for x, y in zip(line.xs, line.ys, strict=True))


def _whole(x: float) -> float:
    return int(x) if x.is_integer() else x


def _file_name(metric: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in metric)[:80] or "values"

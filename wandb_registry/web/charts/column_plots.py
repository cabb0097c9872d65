"""Bars and scatter plots of the columns of a table of runs, drawn by the server.

The address names them: `bars=summary.accuracy`, `scatter=config.lr summary.accuracy`.
"""

from dataclasses import dataclass
from typing import Any

from wandb_registry.drawing.bar_chart import Bar, horizontal_bars
from wandb_registry.drawing.line_chart import Axis, Frame, Scale, padded, round_ticks
from wandb_registry.model.runs.series import HUGE
from wandb_registry.web import addresses, formats
from wandb_registry.web.charts import FRAME
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]
BAR_ROW = 20  # height of a bar with the gap around it
TICKS = 4


@dataclass(frozen=True)
class Bars:
    """A bar for each run that has the column."""

    column: str
    frame: Frame
    bars: list[tuple[Row, float, Bar]]
    without: int  # runs that have no number there
    remove: str  # the address of the page without this panel


@dataclass(frozen=True)
class Scatter:
    """A point for each run that has both columns."""

    across: str
    up: str
    x: Axis
    y: Axis
    points: list[tuple[Row, float, float, float, float]]  # the run, its place, its values
    without: int
    remove: str
    frame: Frame = FRAME


def panels(request: PageRequest, shown: list[Row]) -> list[Bars | Scatter]:
    """The panels that the address names, of the runs that aren't hidden; each has `name`, `color` and `facts`."""
    hidden = set(request.query.getlist("hide"))
    drawn = [run for run in shown if run["name"] not in hidden]
    found: list[Bars | Scatter] = [_bars(request, drawn, column) for column in request.query.getlist("bars") if column]
    for pair in request.query.getlist("scatter"):
        across, _, up = pair.partition(" ")
        if up:
            found.append(_scatter(request, drawn, across, up))
    return found


def _value(run: Row, column: str) -> float | None:
    value = run["facts"].get(column)
    return value if formats.is_number(value) and abs(value) < HUGE else None


def _bars(request: PageRequest, drawn: list[Row], column: str) -> Bars:
    measured = [(run, value) for run in drawn if (value := _value(run, column)) is not None]
    height = BAR_ROW * max(1, len(measured))
    frame = Frame(width=470, height=height, left=150, right=400, top=0, bottom=height)
    bars = horizontal_bars([value for _, value in measured], frame)
    drawn_bars = [(run, value, bar) for (run, value), bar in zip(measured, bars, strict=True)]
    return Bars(column, frame, drawn_bars, len(drawn) - len(measured), _without(request, "bars", column))


def _scatter(request: PageRequest, drawn: list[Row], across: str, up: str) -> Scatter:
    places = [(run, _value(run, across), _value(run, up)) for run in drawn]
    measured = [(run, x, y) for run, x, y in places if x is not None and y is not None]
    x = FRAME.x_scale(*padded([x for _, x, _ in measured] or [0, 1], 0.06))
    y = FRAME.y_scale(*padded([y for _, _, y in measured] or [0, 1], 0.08))
    points = [(run, x.coordinate(along), y.coordinate(value), along, value) for run, along, value in measured]
    remove = _without(request, "scatter", f"{across} {up}")
    return Scatter(across, up, _axis(x), _axis(y), points, len(drawn) - len(measured), remove)


def _axis(scale: Scale) -> Axis:
    marks = [mark for mark in round_ticks([scale.low, scale.high], TICKS) if scale.low <= mark <= scale.high]
    return Axis(scale, [(scale.coordinate(mark), formats.given(mark)) for mark in marks])


def _without(request: PageRequest, name: str, value: str) -> str:
    """This page without one of its panels."""
    query = {key: request.query.getlist(key) for key in request.query}
    query[name] = [kept for kept in query.get(name, []) if kept != value]
    return addresses.with_query(request.address.partition("?")[0], query)

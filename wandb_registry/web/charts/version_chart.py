"""A line chart of a metric over the versions of a registered model."""

from dataclasses import dataclass
from typing import Any

from wandb_registry.drawing.line_chart import Axis, Frame, padded, polyline
from wandb_registry.web.charts import FRAME

Row = dict[str, Any]
GRID_LINES = 4


@dataclass(frozen=True)
class VersionPoint:
    """A version's value, and where it is drawn."""

    x: float
    y: float
    version: str
    value: float


@dataclass(frozen=True)
class VersionChart:
    """A line through the values of a metric, oldest version first."""

    name: str
    points: list[VersionPoint]
    y: Axis
    line: str  # the attribute `points` of its SVG
    frame: Frame = FRAME


def version_chart(name: str, versions: list[Row]) -> VersionChart | None:
    """The chart of a metric; `versions` come newest first. None if fewer than two have the metric."""
    measured = [(row["version"], row["metrics"][name]) for row in reversed(versions) if name in row["metrics"]]
    if len(measured) < 2:
        return None
    x = FRAME.x_scale(0, len(measured) - 1)
    y = FRAME.y_scale(*padded([value for _, value in measured], 0.15))
    marks = [y.value_at(number / (GRID_LINES - 1)) for number in range(GRID_LINES)]
    digits = 2 if y.high - y.low > 0.05 else 4
    return VersionChart(
        name,
        [
            VersionPoint(x.coordinate(at), y.coordinate(value), version, value)
            for at, (version, value) in enumerate(measured)
        ],
        Axis(y, [(y.coordinate(mark), f"{mark:.{digits}f}".replace("-", "−")) for mark in marks]),
        polyline(enumerate(value for _, value in measured), x, y),
    )

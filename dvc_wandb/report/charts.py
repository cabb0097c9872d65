"""A line chart as self-contained SVG; lines are told apart by colour, by their ends' names and by dashes."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from dvc_wandb.project.plots import Curves
from dvc_wandb.report.graph_text import truncate
from wandb_registry.drawing.line_chart import Frame, Point, Scale, polyline, round_ticks, spread

FRAME = Frame(width=560, height=260, left=56, right=410, top=14, bottom=220)
NAME_GAP = 14  # between the middles of two names at the right
COLOURS = 6  # in the page's style sheet: --line-0 …


@dataclass(frozen=True)
class Line:
    name: str
    points: list[Point]
    colour: int
    dashed: bool = False


def chart(now: Curves, base: Curves | None) -> str:
    """The curves of `now`, and those of `base` dashed behind them where they differ."""
    lines = _lines(now, base)
    points = [point for line in lines for point in line.points]
    x_ticks, y_ticks = round_ticks([x for x, _ in points], 6), round_ticks([y for _, y in points], 5)
    x, y = FRAME.x_scale(x_ticks[0], x_ticks[-1]), FRAME.y_scale(y_ticks[0], y_ticks[-1])
    description = "; ".join(f"{line.name}: {line.points[0][1]:.4g} to {line.points[-1][1]:.4g}" for line in lines)
    return "\n".join(
        [
            f'<svg class="chart" viewBox="0 0 {FRAME.width} {FRAME.height}" role="img" '
            f'aria-label="{escape(now.title)}. {escape(description)}">',
            *(_grid_line(tick, y) for tick in y_ticks),
            *(_x_tick(tick, x) for tick in x_ticks),
            f'<text x="{(FRAME.left + FRAME.right) / 2}" y="{FRAME.height - 6}" class="middle">'
            f"{escape(now.x or 'row')}</text>",
            *(_curve(line, x, y) for line in lines),
            *_line_names(lines, y),
            "</svg>",
        ]
    )


def _lines(now: Curves, base: Curves | None) -> list[Line]:
    """In the order in which they are drawn."""
    lines = [Line(name, points, at % COLOURS) for at, (name, points) in enumerate(now.lines.items())]
    before = base.lines if base else {}
    changed = [line for line in lines if before.get(line.name, line.points) != line.points]
    return [Line(f"{line.name}, base", before[line.name], line.colour, dashed=True) for line in changed] + lines


def _curve(line: Line, x: Scale, y: Scale) -> str:
    style = f'class="line-{line.colour}{" base" if line.dashed else ""}"'
    if len(line.points) == 1:
        along, up = line.points[0]
        return f'<circle {style} cx="{x.coordinate(along)}" cy="{y.coordinate(up)}" r="3"/>'
    return f'<polyline {style} points="{polyline(line.points, x, y)}"/>'


def _line_names(lines: list[Line], y: Scale) -> list[str]:
    """The name of each line beside its end, moved apart where they would overlap."""
    ends = sorted((y.coordinate(line.points[-1][1]), line.name, line.colour) for line in lines)
    moved = spread([end for end, _, _ in ends], FRAME.top, NAME_GAP)
    return [
        f'<text class="line-{colour}" x="{FRAME.right + 8}" y="{at + 4:.1f}">{escape(truncate(name, 22))}</text>'
        for at, (_, name, colour) in zip(moved, ends, strict=True)
    ]


def _grid_line(tick: float, y: Scale) -> str:
    at = y.coordinate(tick)
    rule = f'<path class="grid" d="M{FRAME.left} {at}H{FRAME.right}"/>'
    return f'{rule}<text class="end" x="{FRAME.left - 6}" y="{at}" dy="4">{tick:.4g}</text>'


def _x_tick(tick: float, x: Scale) -> str:
    return f'<text class="middle" x="{x.coordinate(tick)}" y="{FRAME.bottom + 16}">{tick:.4g}</text>'

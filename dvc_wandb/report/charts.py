"""A line chart as self-contained SVG; lines are told apart by colour, by their ends' names and by dashes."""

from __future__ import annotations

import math
from html import escape

from dvc_wandb.project.plots import Curves
from dvc_wandb.report.graph_text import cut

WIDTH, HEIGHT = 560, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 150, 14, 40
COLOURS = 6  # in the page's style sheet: --line-0 …
APART = 14  # pixels between two names

Points = list[tuple[float, float]]


def chart(now: Curves, base: Curves | None) -> str:
    """The curves of `now`, and those of `base` dashed behind them where they differ."""
    lines = [(name, points, at % COLOURS, False) for at, (name, points) in enumerate(now.lines.items())]
    if base:
        at = {name: colour for name, _, colour, _ in lines}
        old = [(name, points) for name, points in base.lines.items() if name in at and points != now.lines[name]]
        lines = [(f"{name}, base", points, at[name], True) for name, points in old] + lines
    every = [point for _, points, _, _ in lines for point in points]
    xs, ys = _ticks([x for x, _ in every], 6), _ticks([y for _, y in every], 5)
    told = "; ".join(f"{name}: {points[0][1]:.4g} to {points[-1][1]:.4g}" for name, points, _, _ in lines)
    return "\n".join(
        [
            f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{escape(now.title)}. {escape(told)}">',
            *(_line_across(y, ys) for y in ys),
            *(_mark_below(x, xs) for x in xs),
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" class="middle">{escape(now.x or "row")}</text>',
            *(_drawn(points, colour, dashed, xs, ys) for _, points, colour, dashed in lines),
            *_names(lines, xs, ys),
            "</svg>",
        ]
    )


def _drawn(points: Points, colour: int, dashed: bool, xs: list[float], ys: list[float]) -> str:
    places = " ".join(f"{_x(x, xs):.1f},{_y(y, ys):.1f}" for x, y in points)
    style = f'class="line-{colour}{" base" if dashed else ""}"'
    if len(points) == 1:
        x, y = places.split(",")
        return f'<circle {style} cx="{x}" cy="{y}" r="3"/>'
    return f'<polyline {style} points="{places}"/>'


def _names(lines: list[tuple[str, Points, int, bool]], xs: list[float], ys: list[float]) -> list[str]:
    """The name of each line beside its end, moved apart where they would overlap."""
    ends = sorted((_y(points[-1][1], ys), name, colour) for name, points, colour, _ in lines)
    drawn, lowest = [], TOP - APART
    for y, name, colour in ends:
        lowest = max(y, lowest + APART)
        drawn.append(
            f'<text class="line-{colour}" x="{WIDTH - RIGHT + 8}" y="{lowest + 4:.1f}">{escape(cut(name, 22))}</text>'
        )
    return drawn


def _line_across(y: float, ys: list[float]) -> str:
    at = f"{_y(y, ys):.1f}"
    rule = f'<path class="grid" d="M{LEFT} {at}H{WIDTH - RIGHT}"/>'
    return f'{rule}<text class="end" x="{LEFT - 6}" y="{at}" dy="4">{y:.4g}</text>'


def _mark_below(x: float, xs: list[float]) -> str:
    return f'<text class="middle" x="{_x(x, xs):.1f}" y="{HEIGHT - BOTTOM + 16}">{x:.4g}</text>'


def _x(value: float, ticks: list[float]) -> float:
    return LEFT + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (WIDTH - LEFT - RIGHT)


def _y(value: float, ticks: list[float]) -> float:
    return HEIGHT - BOTTOM - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (HEIGHT - TOP - BOTTOM)


def _ticks(values: list[float], about: int) -> list[float]:
    """Round numbers, at least two, that span `values`."""
    low, high = min(values), max(values)
    if low == high:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / about
    size = 10 ** math.floor(math.log10(rough))
    step = next(one * size for one in (1, 2, 5, 10) if one * size >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(at * step, 12) for at in range(first, last + 1)]

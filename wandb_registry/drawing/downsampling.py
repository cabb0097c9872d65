"""Thins lines to the points that their drawing needs: of each stretch of the axis the least and the greatest value."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence


def min_and_max(
    xs: Sequence[float], ys: Sequence[float], low: float, high: float, stretches: int
) -> tuple[list[float], list[float]]:
    """The points of a line between `low` and `high` along the axis; `xs` ascend.

    Where there are more than two for each of so many equal stretches, each keeps its least and its greatest value in
    the order in which they stand. So no peak is lost, however thin it is. The first and the last point are kept, and
    the neighbours outside of the range, so that the line goes on to the edge.
    """
    begin, end = max(0, bisect_left(xs, low) - 1), min(len(xs), bisect_right(xs, high) + 1)
    if end - begin <= 2 * stretches + 2:
        return list(xs[begin:end]), list(ys[begin:end])
    kept = [begin]
    first, width = xs[begin], (xs[end - 1] - xs[begin]) / stretches
    at = begin + 1
    for stretch in range(1, stretches + 1):
        to = bisect_left(xs, first + stretch * width, at, end - 1) if stretch < stretches else end - 1
        if to > at:
            inside = ys[at:to]
            least, greatest = at + inside.index(min(inside)), at + inside.index(max(inside))
            kept += [least] if least == greatest else [least, greatest] if least < greatest else [greatest, least]
            at = to
    kept.append(end - 1)
    return [xs[place] for place in kept], [ys[place] for place in kept]


Line = tuple[Sequence[float], Sequence[float]]  # along the axis, in ascending order, and the values


def mean_and_range(lines: Sequence[Line], low: float, high: float, stretches: int) -> tuple[list[float], ...]:
    """Several lines as one: places along the axis, and there the mean of the lines, the least and the greatest value.

    The places are those of the points, or one in the middle of each of so many equal stretches if there are more.
    In a stretch a line counts once, with the mean of its values there. Points outside of `low` to `high` are left out.
    """
    inside = []
    for xs, ys in lines:
        begin, end = bisect_left(xs, low), bisect_right(xs, high)
        inside.append((xs[begin:end], ys[begin:end]))
    places = sorted({x for xs, _ in inside for x in xs})
    if not places:
        return [], [], [], []
    width = (places[-1] - places[0]) / stretches
    exact = len(places) <= 2 * stretches
    edges = (
        [*places[1:], math.inf] if exact else [places[0] + width * (at + 1) for at in range(stretches - 1)] + [math.inf]
    )
    middles = (
        places
        if exact
        else [places[bisect_left(places, edge - width / 2) if edge < math.inf else -1] for edge in edges]
    )
    found = ([], [], [], [])
    at = [0] * len(inside)
    for middle, edge in zip(middles, edges, strict=True):
        means, least, greatest = [], math.inf, -math.inf
        for number, (xs, ys) in enumerate(inside):
            to = bisect_left(xs, edge, at[number])
            if values := ys[at[number] : to]:
                means.append(sum(values) / len(values))
                least, greatest = min(least, min(values)), max(greatest, max(values))
                at[number] = to
        if means:
            for column, value in zip(found, (middle, sum(means) / len(means), least, greatest), strict=True):
                column.append(value)
    return found

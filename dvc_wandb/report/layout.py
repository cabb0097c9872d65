"""Where the nodes of a layered drawing lie: rows from top to bottom, few crossings, short edges. Deterministic.

After Sugiyama, Tagawa and Toda (1981): ranks by longest path, a waypoint where an edge passes a row, rows ordered by
the means of their neighbours, then each row moved towards its neighbours without changing that order.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)
SWEEPS = 8


@dataclass(frozen=True)
class NodePosition:
    """The middle of a node, and the row that it lies in."""

    x: float
    row: int


def layered(
    nodes: Sequence[Node], edges: Sequence[tuple[Node, Node]], room: float, narrow: float
) -> tuple[dict[Node, NodePosition], list[list[NodePosition]]]:
    """The place of each node, and of each edge the places that it passes, its ends included.

    `nodes` upstream first; a node takes `room` of its row, an edge that passes it `narrow`.
    """
    ranks = _ranks(nodes, edges)
    rows: list[list[Hashable]] = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
    for node in nodes:
        rows[ranks[node]].append(node)
    paths: list[list[Hashable]] = []
    for number, (start, end) in enumerate(edges):
        passed = [("passes", number, row) for row in range(ranks[start] + 1, ranks[end])]
        for waypoint in passed:
            rows[waypoint[2]].append(waypoint)
        paths.append([start, *passed, end])
    near = _neighbours(paths)
    _order(rows, near)
    widths = {one: room if one in ranks else narrow for row in rows for one in row}
    x = _columns(rows, near, widths)
    places = {one: NodePosition(x[one], at) for at, row in enumerate(rows) for one in row}
    return {node: places[node] for node in nodes}, [[places[one] for one in path] for path in paths]


def _ranks(nodes: Sequence[Node], edges: Sequence[tuple[Node, Node]]) -> dict[Node, int]:
    """The row of each node: below all that it comes from; what comes from nothing lies just above its first reader."""
    before: dict[Node, list[Node]] = {node: [] for node in nodes}
    after: dict[Node, list[Node]] = {node: [] for node in nodes}
    for start, end in edges:
        before[end].append(start)
        after[start].append(end)
    ranks: dict[Node, int] = {}
    for node in nodes:
        ranks[node] = max((ranks[one] + 1 for one in before[node]), default=0)
    for node in nodes:
        if not before[node] and after[node]:
            ranks[node] = min(ranks[one] for one in after[node]) - 1
    return ranks


def _neighbours(paths: list[list[Hashable]]) -> dict[Hashable, tuple[list[Hashable], list[Hashable]]]:
    """What lies one row above and one row below each node and waypoint, along the edges."""
    found: dict[Hashable, tuple[list[Hashable], list[Hashable]]] = {}
    for path in paths:
        for upper, lower in pairwise(path):
            found.setdefault(lower, ([], []))[0].append(upper)
            found.setdefault(upper, ([], []))[1].append(lower)
    return found


def _order(rows: list[list[Hashable]], near: dict[Hashable, tuple[list[Hashable], list[Hashable]]]) -> None:
    """Sort each row by the mean position of its neighbours above, then below, a few times."""
    at = {one: number for row in rows for number, one in enumerate(row)}
    for sweep in range(SWEEPS):
        side = sweep % 2
        for row in rows if side == 0 else reversed(rows):
            means = {one: _mean([at[other] for other in near.get(one, ([], []))[side]], at[one]) for one in row}
            row.sort(key=means.__getitem__)
            at |= {one: number for number, one in enumerate(row)}


def _columns(
    rows: list[list[Hashable]],
    near: dict[Hashable, tuple[list[Hashable], list[Hashable]]],
    widths: dict[Hashable, float],
) -> dict[Hashable, float]:
    """The middle of everything, left edge at 0."""
    x: dict[Hashable, float] = {}
    for row in rows:
        x |= dict(zip(row, _apart([0.0] * len(row), [widths[one] for one in row]), strict=True))
    for sweep in range(2 * SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = [_mean([x[other] for side in near.get(one, ([], [])) for other in side], x[one]) for one in row]
            x |= dict(zip(row, _apart(wanted, [widths[one] for one in row]), strict=True))
    left = min((x[one] - widths[one] / 2 for one in x), default=0.0)
    return {one: round(value - left, 1) for one, value in x.items()}


def _apart(wanted: list[float], widths: list[float]) -> list[float]:
    """The places nearest to `wanted` (least squares) that keep the order and leave each its width.

    Pools neighbours that would overlap, as isotonic regression does.
    """
    ends = list(accumulate(widths))
    offsets = [end - width / 2 for end, width in zip(ends, widths, strict=True)]
    pools: list[tuple[float, int]] = []  # the sum and the number of those that lie side by side
    for value, offset in zip(wanted, offsets, strict=True):
        total, count = value - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            before, many = pools.pop()
            total, count = total + before, count + many
        pools.append((total, count))
    moved = [total / count for total, count in pools for _ in range(count)]
    return [value + offset for value, offset in zip(moved, offsets, strict=True)]


def _mean(values: Sequence[float], otherwise: float = 0.0) -> float:
    return sum(values) / len(values) if values else otherwise

"""The layout of a lineage graph: layers from the top down, few crossings, fixed gaps. Pure functions over names.

Layers by longest path and orders by barycentre, as Sugiyama, Tagawa and Toda (1981) have it; an edge over several
layers runs through a lane of its own in each.
"""

import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Node = Hashable
Edge = tuple[Node, Node]

SWEEPS = 4
GAP_X, GAP_Y = 24, 44
LANE = 14  # width of a lane for a long edge


@dataclass(frozen=True)
class Layout:
    """Where each node's box begins, the course of each edge from box to box, and the size of it all."""

    places: dict[Any, tuple[float, float]]
    edges: dict[Any, str]
    width: float
    height: float


@dataclass(frozen=True)
class _Lane:
    """Stands for an edge in a layer that it only passes."""

    edge: Edge
    layer: int


def arrange(sizes: Mapping[Any, tuple[float, float]], edges: Sequence[tuple[Any, Any]]) -> Layout:
    """Lays out nodes of given (width, height); edges that close a cycle are drawn, but lead no layer down."""
    forward = _acyclic(list(sizes), edges)
    layer = _layers(list(sizes), forward)
    rows, chains = _rows(list(sizes), forward, layer)
    _untangle(rows, chains)
    wide = {**{node: size[0] for node, size in sizes.items()}}
    x = _across(rows, chains, wide)
    tops, y = [], 0.0
    for row in rows:
        tops.append(y)
        y += max((sizes[node][1] for node in row if not isinstance(node, _Lane)), default=0) + GAP_Y
    places = {node: (round(x[node], 1), tops[layer[node]]) for node in sizes}
    width = max((left + sizes[node][0] for node, (left, _) in places.items()), default=0)
    drawn = {edge: _course(edge, chains.get(edge), x, tops, sizes, places) for edge in edges}
    return Layout(
        places,
        drawn,
        round(max(width, *(x[lane] for chain in chains.values() for lane in chain), 0.0), 1),
        max(0.0, y - GAP_Y),
    )


def _acyclic(nodes: list[Node], edges: Sequence[Edge]) -> list[Edge]:
    """The edges without those that lead back to where a walk came from."""
    after: dict[Node, list[Node]] = {node: [] for node in nodes}
    for tail, head in edges:
        after[tail].append(head)
    state: dict[Node, int] = {}
    back: set[Edge] = set()
    for start in nodes:
        stack = [(start, iter(after[start]))] if start not in state else []
        state.setdefault(start, 1)
        while stack:
            node, heads = stack[-1]
            head = next(heads, None)
            if head is None:
                state[node] = 2
                stack.pop()
            elif head not in state:
                state[head] = 1
                stack.append((head, iter(after[head])))
            elif state[head] == 1:
                back.add((node, head))
    return [edge for edge in edges if edge not in back]


def _layers(nodes: list[Node], edges: list[Edge]) -> dict[Node, int]:
    """The longest way to each node from one that nothing leads to."""
    layer = dict.fromkeys(nodes, 0)
    waiting = dict.fromkeys(nodes, 0)
    after: dict[Node, list[Node]] = {node: [] for node in nodes}
    for tail, head in edges:
        after[tail].append(head)
        waiting[head] += 1
    ready = [node for node in nodes if not waiting[node]]
    for node in ready:
        for head in after[node]:
            layer[head] = max(layer[head], layer[node] + 1)
            waiting[head] -= 1
            if not waiting[head]:
                ready.append(head)
    return layer


def _rows(nodes: list[Node], edges: list[Edge], layer: dict[Node, int]) -> tuple[list[list], dict[Edge, list[_Lane]]]:
    rows: list[list] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for node in nodes:
        rows[layer[node]].append(node)
    chains = {}
    for edge in edges:
        lanes = [_Lane(edge, at) for at in range(layer[edge[0]] + 1, layer[edge[1]])]
        for lane in lanes:
            rows[lane.layer].append(lane)
        chains[edge] = lanes
    return rows, chains


def _untangle(rows: list[list], chains: dict[Edge, list[_Lane]]) -> None:
    """Orders each layer by the mean place of its neighbours, down and up again."""
    above: dict[Node, list[Node]] = {}
    below: dict[Node, list[Node]] = {}
    for (tail, head), lanes in chains.items():
        course = [tail, *lanes, head]
        for upper, lower in itertools.pairwise(course):
            above.setdefault(lower, []).append(upper)
            below.setdefault(upper, []).append(lower)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        beside = above if down else below
        for at in range(1, len(rows)) if down else range(len(rows) - 2, -1, -1):
            fixed = {node: place for place, node in enumerate(rows[at - 1 if down else at + 1])}
            now = {node: place for place, node in enumerate(rows[at])}

            rows[at].sort(key=lambda node, fixed=fixed, now=now, beside=beside: _mean(node, fixed, now, beside))


def _mean(node: Node, fixed: dict[Node, int], now: dict[Node, int], beside: dict[Node, list[Node]]) -> float:
    near = [fixed[other] for other in beside.get(node, []) if other in fixed]
    return sum(near) / len(near) if near else now[node]


def _across(rows: list[list], chains: dict[Edge, list[_Lane]], wide: dict[Node, float]) -> dict[Node, float]:
    """The left side of each node: side by side, then pulled towards its neighbours as far as the gaps allow."""

    def width(node: Node) -> float:
        return wide.get(node, LANE)

    x: dict[Node, float] = {}
    for row in rows:
        left = 0.0
        for node in row:
            x[node] = left
            left += width(node) + GAP_X
    beside: dict[Node, list[Node]] = {}
    for (tail, head), lanes in chains.items():
        course = [tail, *lanes, head]
        for upper, lower in itertools.pairwise(course):
            beside.setdefault(upper, []).append(lower)
            beside.setdefault(lower, []).append(upper)
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = []
            for node in row:
                near = [x[other] + width(other) / 2 for other in beside.get(node, [])]
                wanted.append((sum(near) / len(near) - width(node) / 2) if near else x[node])
            _spread(row, wanted, width, x)
    least = min(x.values(), default=0.0)
    return {node: left - least for node, left in x.items()}


def _spread(row: list, wanted: list[float], width, x: dict[Node, float]) -> None:
    """Places a layer's nodes in their order, each as near to where it wants to be as least squares has it."""
    offsets, offset = [], 0.0
    for node in row:
        offsets.append(offset)
        offset += width(node) + GAP_X
    # without the fixed gaps this is isotonic regression: pool neighbours that would change places
    pools: list[list[float]] = []  # [sum, count]
    for want, gap in zip(wanted, offsets, strict=True):
        pools.append([want - gap, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            total, count = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += count
    places = [total / count for total, count in pools for _ in range(int(count))]
    for node, place, gap in zip(row, places, offsets, strict=True):
        x[node] = place + gap


def _course(edge: Edge, lanes: Any, x: dict, tops: list[float], sizes: Mapping, places: dict) -> str:
    """A smooth path from the bottom of one box to the top of the other, through the lanes between."""
    tail, head = edge
    start = (places[tail][0] + sizes[tail][0] / 2, places[tail][1] + sizes[tail][1])
    end = (places[head][0] + sizes[head][0] / 2, places[head][1])
    points = [start, *((x[lane] + LANE / 2, tops[lane.layer] + 20) for lane in lanes or []), end]
    path = f"M{start[0]:.1f} {start[1]:.1f}"
    for (ax, ay), (bx, by) in itertools.pairwise(points):
        middle = (ay + by) / 2
        path += f"C{ax:.1f} {middle:.1f} {bx:.1f} {middle:.1f} {bx:.1f} {by:.1f}"
    return path

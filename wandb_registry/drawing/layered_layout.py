"""The layered layout of a directed graph: edges lead down, few of them cross, no two boxes touch. Deterministic.

After Sugiyama, Tagawa and Toda (1981): layers by longest path, a lane for an edge through each layer that it passes,
layers ordered by the means of their neighbours, then moved towards these without changing that order.
Coordinates are those of SVG: x to the right, y down, (0, 0) the upper left corner of the drawing.
"""

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Generic, TypeVar

Node = TypeVar("Node", bound=Hashable)
Edge = tuple[int, int]  # from and to; nodes have the numbers from 0, lanes those behind
Neighbours = list[list[int]]  # of each node and lane
SWEEPS = 6
COORDINATES = re.compile(r"(-?[\d.]+) (-?[\d.]+)")  # of a point on a path


@dataclass(frozen=True)
class Spacing:
    """The gap between neighbours in a layer, the gap between layers, and the width of an edge's lane."""

    across: float
    down: float
    lane: float


@dataclass(frozen=True)
class Layout(Generic[Node]):
    """The upper left corner of each node's box, each edge as the path of an SVG, and the size of the drawing."""

    corners: dict[Node, tuple[float, float]]
    paths: dict[tuple[Node, Node], str]
    width: float
    height: float


def arrange(
    sizes: Mapping[Node, tuple[float, float]],
    edges: Sequence[tuple[Node, Node]],
    spacing: Spacing,
    lower_sources: bool = False,
) -> Layout[Node]:
    """Lays out nodes of the given (width, height). An edge that closes a cycle is drawn, but leads up.

    `lower_sources` puts a node without predecessors just above its first successor instead of into the top layer.
    """
    nodes = list(sizes)
    numbers = {node: number for number, node in enumerate(nodes)}
    numbered = [(numbers[tail], numbers[head]) for tail, head in edges]
    forward = _acyclic(len(nodes), numbered)
    layer_of = _layers(len(nodes), forward)
    if lower_sources:
        _lower_sources(layer_of, forward)
    layers, courses = _with_lanes(layer_of, forward)
    above, below = _neighbours(courses.values(), sum(map(len, layers)))
    _reduce_crossings(layers, above, below)
    widths = [width for width, _ in sizes.values()] + [spacing.lane] * (len(above) - len(nodes))
    middles = _middles(layers, above, below, widths, spacing.across)

    tall = [max((sizes[nodes[item]][1] for item in layer if item < len(nodes)), default=0) for layer in layers]
    tops = list(accumulate((height + spacing.down for height in tall), initial=0.0))
    corners = {
        node: (round(middles[number] - sizes[node][0] / 2, 1), tops[layer_of[number]])
        for number, node in enumerate(nodes)
    }
    paths = {}
    for edge, (tail, head) in zip(edges, numbered, strict=True):
        lanes = courses.get((tail, head), [tail, head])[1:-1]
        passed = range(layer_of[tail] + 1, layer_of[head])
        paths[edge] = _path(
            (middles[tail], tops[layer_of[tail]] + sizes[edge[0]][1]),
            [
                (middles[lane], tops[layer], tops[layer] + tall[layer])
                for lane, layer in zip(lanes, passed, strict=True)
            ],
            (middles[head], tops[layer_of[head]]),
        )
    right = max((middle + width / 2 for middle, width in zip(middles, widths, strict=True)), default=0.0)
    return Layout(corners, paths, round(right, 1), max(0.0, tops[-1] - spacing.down))


def turned(layout: Layout[Node]) -> Layout[Node]:
    """The same from left to right, for boxes whose width and height were given in each other's place."""
    paths = {edge: COORDINATES.sub(r"\2 \1", path).replace("V", "H") for edge, path in layout.paths.items()}
    return Layout({node: (x, y) for node, (y, x) in layout.corners.items()}, paths, layout.height, layout.width)


def _acyclic(count: int, edges: list[Edge]) -> list[Edge]:
    """The edges, each once, without those that lead back to where a walk in depth came from."""
    successors = _successors(count, edges)
    done: list[bool | None] = [None] * count  # None: not reached yet; False: on the walk's way
    backward: set[Edge] = set()
    for start in range(count):
        if done[start] is not None:
            continue
        done[start] = False
        way = [(start, iter(successors[start]))]
        while way:
            node, ahead = way[-1]
            head = next(ahead, None)
            if head is None:
                done[node] = True
                way.pop()
            elif done[head] is None:
                done[head] = False
                way.append((head, iter(successors[head])))
            elif not done[head]:
                backward.add((node, head))
    return [edge for edge in dict.fromkeys(edges) if edge not in backward]


def _layers(count: int, edges: list[Edge]) -> list[int]:
    """The length of the longest path to each node."""
    layer = [0] * count
    waiting = [0] * count
    successors = _successors(count, edges)
    for _, head in edges:
        waiting[head] += 1
    ready = [node for node in range(count) if not waiting[node]]
    for node in ready:  # grows meanwhile
        for head in successors[node]:
            layer[head] = max(layer[head], layer[node] + 1)
            waiting[head] -= 1
            if not waiting[head]:
                ready.append(head)
    return layer


def _lower_sources(layer_of: list[int], edges: list[Edge]) -> None:
    heads = {head for _, head in edges}
    for node, after in enumerate(_successors(len(layer_of), edges)):
        if after and node not in heads:
            layer_of[node] = min(layer_of[head] for head in after) - 1


def _successors(count: int, edges: list[Edge]) -> Neighbours:
    neighbours: Neighbours = [[] for _ in range(count)]
    for tail, head in edges:
        neighbours[tail].append(head)
    return neighbours


def _with_lanes(layer_of: list[int], edges: list[Edge]) -> tuple[list[list[int]], dict[Edge, list[int]]]:
    """The nodes and lanes of each layer, and those along each edge, its ends included."""
    layers: list[list[int]] = [[] for _ in range(max(layer_of, default=-1) + 1)]
    for node, layer in enumerate(layer_of):
        layers[layer].append(node)
    courses: dict[Edge, list[int]] = {}
    free = len(layer_of)
    for tail, head in edges:
        courses[tail, head] = [tail]
        for layer in range(layer_of[tail] + 1, layer_of[head]):
            layers[layer].append(free)
            courses[tail, head].append(free)
            free += 1
        courses[tail, head].append(head)
    return layers, courses


def _neighbours(courses: Iterable[list[int]], count: int) -> tuple[Neighbours, Neighbours]:
    """What lies one layer above and one below each node and lane, along the edges."""
    above: Neighbours = [[] for _ in range(count)]
    below: Neighbours = [[] for _ in range(count)]
    for course in courses:
        for upper, lower in pairwise(course):
            above[lower].append(upper)
            below[upper].append(lower)
    return above, below


def _reduce_crossings(layers: list[list[int]], above: Neighbours, below: Neighbours) -> None:
    """Sorts each layer by the mean place of its neighbours above, then below, a few times."""
    place = [0] * len(above)
    for layer in layers:
        for at, item in enumerate(layer):
            place[item] = at
    for sweep in range(SWEEPS):
        beside = below if sweep % 2 else above
        for layer in reversed(layers) if sweep % 2 else layers:
            means = {item: _mean(place, beside[item], place[item]) for item in layer}
            layer.sort(key=means.__getitem__)
            for at, item in enumerate(layer):
                place[item] = at


def _middles(
    layers: list[list[int]], above: Neighbours, below: Neighbours, widths: list[float], gap: float
) -> list[float]:
    """The middle of each node and lane: side by side, then near its neighbours as far as the gaps allow."""
    beside = [upper + lower for upper, lower in zip(above, below, strict=True)]
    middles = [0.0] * len(widths)
    for layer in layers:
        right = 0.0
        for item in layer:
            middles[item] = right + widths[item] / 2
            right += widths[item] + gap
    dense = list(middles)
    for sweep in range(SWEEPS):
        for layer in reversed(layers) if sweep % 2 else layers:
            wanted = [_mean(middles, beside[item], middles[item]) for item in layer]
            for item, middle in zip(layer, _spread(wanted, [dense[item] for item in layer]), strict=True):
                middles[item] = middle
    left = min((middle - width / 2 for middle, width in zip(middles, widths, strict=True)), default=0.0)
    return [middle - left for middle in middles]


def _spread(wanted: list[float], offsets: list[float]) -> list[float]:
    """The places nearest to `wanted` by least squares that are as far from each other as `offsets`, or farther.

    Without the offsets this is isotonic regression: neighbours that would change places are pooled.
    """
    pools: list[tuple[float, int]] = []  # sum and number of what is pooled
    for place, offset in zip(wanted, offsets, strict=True):
        total, count = place - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            before, many = pools.pop()
            total, count = before + total, many + count
        pools.append((total, count))
    means = [total / count for total, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _mean(values: Sequence[float], items: list[int], otherwise: float) -> float:
    return sum([values[item] for item in items]) / len(items) if items else otherwise


def _path(start: tuple[float, float], lanes: list[tuple[float, float, float]], end: tuple[float, float]) -> str:
    """From the bottom of one box to the top of another, upright through each lane, given as (x, top, bottom)."""
    x, y = start
    path = f"M{x:.1f} {y:.1f}"
    for to, top, bottom in [*lanes, (*end, end[1])]:
        bend = (y + top) / 2
        path += f"C{x:.1f} {bend:.1f} {to:.1f} {bend:.1f} {to:.1f} {top:.1f}"
        path += f"V{bottom:.1f}" if bottom > top else ""
        x, y = to, bottom
    return path

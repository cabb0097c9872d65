"""The layout of a lineage graph: whatever the graph, boxes lie apart and edges lead down."""

from __future__ import annotations

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from wandb_registry.drawing.layered_layout import Layout, Spacing, arrange, turned

SPACING = Spacing(across=24, down=44, lane=14)

SIZES = st.dictionaries(
    st.integers(0, 12), st.tuples(st.floats(10, 200), st.floats(10, 60)), min_size=1, max_size=12
)  # of boxes by their names


@st.composite
def graphs(draw: st.DrawFn, acyclic: bool = False) -> tuple[dict, list]:
    sizes = draw(SIZES)
    names = sorted(sizes)
    pairs = [(one, other) for one in names for other in names if one < other or (one > other and not acyclic)]
    return sizes, draw(st.lists(st.sampled_from(pairs), unique=True, max_size=20)) if pairs else []


def anchors(path: str) -> list[tuple[float, float]]:
    """The points that a path leads through."""
    found: list[tuple[float, float]] = []
    for command, text in re.findall(r"([MCV])([-\d. ]+)", path):
        numbers = [float(one) for one in text.split()]
        found.append((found[-1][0], numbers[0]) if command == "V" else (numbers[-2], numbers[-1]))
    return found


def bottom(layout: Layout, sizes: dict, node: int) -> float:
    return layout.corners[node][1] + sizes[node][1]


@given(graphs())
def test_no_two_boxes_touch_and_all_lie_within_the_picture(graph: tuple[dict, list]):
    sizes, edges = graph
    layout = arrange(sizes, edges, SPACING)
    assert layout.corners.keys() == sizes.keys()
    for node, (x, y) in layout.corners.items():
        assert x >= 0
        assert y >= 0
        assert x + sizes[node][0] <= layout.width + 0.1
        assert bottom(layout, sizes, node) <= layout.height + 0.1
    for one, other in itertools.combinations(sizes, 2):
        (ax, ay), (bx, by) = layout.corners[one], layout.corners[other]
        left, right = sorted(((ax, sizes[one][0]), (bx, sizes[other][0])))
        if ay == by:
            assert left[0] + left[1] + SPACING.across - 0.2 <= right[0]
        else:
            upper, lower = (one, by) if ay < by else (other, ay)
            assert bottom(layout, sizes, upper) + SPACING.down <= lower + 0.1


@given(graphs(acyclic=True))
def test_each_edge_leads_down_from_the_middle_of_a_box_to_the_middle_of_another(graph: tuple[dict, list]):
    sizes, edges = graph
    layout = arrange(sizes, edges, SPACING)
    assert list(layout.paths) == edges
    for (tail, head), course in layout.paths.items():
        assert bottom(layout, sizes, tail) < layout.corners[head][1]
        points = anchors(course)
        begin = layout.corners[tail][0] + sizes[tail][0] / 2, bottom(layout, sizes, tail)
        end = layout.corners[head][0] + sizes[head][0] / 2, layout.corners[head][1]
        for found, wanted in ((points[0], begin), (points[-1], end)):
            assert abs(found[0] - wanted[0]) < 0.2
            assert abs(found[1] - wanted[1]) < 0.2


@given(graphs())
def test_the_same_graph_is_drawn_the_same_and_every_edge_of_a_circle_is_drawn(graph: tuple[dict, list]):
    sizes, edges = graph
    assert arrange(sizes, edges, SPACING) == arrange(dict(sizes), list(edges), SPACING)
    assert set(arrange(sizes, edges, SPACING).paths) == set(edges)


def test_a_layer_is_the_longest_way_from_the_top():
    box = (100.0, 40.0)
    layout = arrange(dict.fromkeys("abcd", box), [("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")], SPACING)
    tops = {node: y for node, (_, y) in layout.corners.items()}
    assert tops["a"] < tops["b"] == tops["d"] < tops["c"]


def test_crossings_that_can_be_avoided_are():
    box = (100.0, 40.0)
    layout = arrange(dict.fromkeys("abxy", box), [("a", "y"), ("b", "x")], SPACING)
    x = {node: x for node, (x, _) in layout.corners.items()}
    assert (x["a"] < x["b"]) == (x["y"] < x["x"])


def test_nothing_is_a_picture_without_size():
    assert arrange({}, [], SPACING) == Layout({}, {}, 0, 0)


def test_an_edge_over_several_layers_runs_upright_beside_the_boxes_of_each():
    box = (100.0, 40.0)
    layout = arrange(dict.fromkeys("abc", box), [("a", "b"), ("b", "c"), ("a", "c")], SPACING)
    _, (lane, top), (same, low), _ = anchors(layout.paths["a", "c"])
    x, y = layout.corners["b"]
    assert lane == same
    assert (top, low) == (y, y + 40)
    assert lane <= x - SPACING.across or lane >= x + 100 + SPACING.across


def test_a_source_can_lie_just_above_its_first_successor():
    graph = dict.fromkeys("abcs", (100.0, 40.0)), [("a", "b"), ("b", "c"), ("s", "c")]
    tops = {lowered: arrange(*graph, SPACING, lower_sources=lowered).corners for lowered in (False, True)}
    assert tops[False]["s"][1] == tops[False]["a"][1]
    assert tops[True]["s"][1] == tops[True]["b"][1]


@given(graphs(acyclic=True))
def test_turned_all_edges_lead_to_the_right(graph: tuple[dict, list]):
    sizes, edges = graph
    layout = arrange(sizes, edges, SPACING)
    flat = turned(layout)
    assert (flat.width, flat.height) == (layout.height, layout.width)
    assert flat.corners == {node: (y, x) for node, (x, y) in layout.corners.items()}
    for edge, path in flat.paths.items():
        upright = anchors(layout.paths[edge])
        ends = re.findall(r"M([-\d.]+) ([-\d.]+)|[ H]([-\d.]+)(?: ([-\d.]+))?$", path)
        assert (float(ends[0][0]), float(ends[0][1])) == (upright[0][1], upright[0][0])
        assert "V" not in path

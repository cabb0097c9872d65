"""The layout of the lineage's picture: whatever the graph, boxes lie apart and edges lead down."""

from __future__ import annotations

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from wandb_registry.web.charts.graph_layout import GAP_X, GAP_Y, Layout, arrange

SIZES = st.dictionaries(
    st.integers(0, 12), st.tuples(st.floats(10, 200), st.floats(10, 60)), min_size=1, max_size=12
)  # of boxes by their names


@st.composite
def graphs(draw: st.DrawFn, acyclic: bool = False) -> tuple[dict, list]:
    sizes = draw(SIZES)
    names = sorted(sizes)
    pairs = [(one, other) for one in names for other in names if one < other or (one > other and not acyclic)]
    return sizes, draw(st.lists(st.sampled_from(pairs), unique=True, max_size=20)) if pairs else []


def numbers(course: str) -> list[tuple[float, float]]:
    found = [float(one) for one in re.findall(r"-?[\d.]+", course)]
    return list(zip(found[::2], found[1::2], strict=True))


def bottom(layout: Layout, sizes: dict, node: int) -> float:
    return layout.places[node][1] + sizes[node][1]


@given(graphs())
def test_no_two_boxes_touch_and_all_lie_within_the_picture(graph: tuple[dict, list]):
    sizes, edges = graph
    layout = arrange(sizes, edges)
    assert layout.places.keys() == sizes.keys()
    for node, (x, y) in layout.places.items():
        assert x >= 0
        assert y >= 0
        assert x + sizes[node][0] <= layout.width + 0.1
        assert bottom(layout, sizes, node) <= layout.height + 0.1
    for one, other in itertools.combinations(sizes, 2):
        (ax, ay), (bx, by) = layout.places[one], layout.places[other]
        left, right = sorted(((ax, sizes[one][0]), (bx, sizes[other][0])))
        if ay == by:
            assert left[0] + left[1] + GAP_X - 0.2 <= right[0]
        else:
            upper, lower = (one, by) if ay < by else (other, ay)
            assert bottom(layout, sizes, upper) + GAP_Y <= lower + 0.1


@given(graphs(acyclic=True))
def test_each_edge_leads_down_from_the_middle_of_a_box_to_the_middle_of_another(graph: tuple[dict, list]):
    sizes, edges = graph
    layout = arrange(sizes, edges)
    assert list(layout.edges) == edges
    for (tail, head), course in layout.edges.items():
        assert bottom(layout, sizes, tail) < layout.places[head][1]
        points = numbers(course)
        begin = layout.places[tail][0] + sizes[tail][0] / 2, bottom(layout, sizes, tail)
        end = layout.places[head][0] + sizes[head][0] / 2, layout.places[head][1]
        for found, wanted in ((points[0], begin), (points[-1], end)):
            assert abs(found[0] - wanted[0]) < 0.2
            assert abs(found[1] - wanted[1]) < 0.2


@given(graphs())
def test_the_same_graph_is_drawn_the_same_and_every_edge_of_a_circle_is_drawn(graph: tuple[dict, list]):
    sizes, edges = graph
    assert arrange(sizes, edges) == arrange(dict(sizes), list(edges))
    assert set(arrange(sizes, edges).edges) == set(edges)


def test_a_layer_is_the_longest_way_from_the_top():
    box = (100.0, 40.0)
    layout = arrange(dict.fromkeys("abcd", box), [("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")])
    tops = {node: y for node, (_, y) in layout.places.items()}
    assert tops["a"] < tops["b"] == tops["d"] < tops["c"]


def test_crossings_that_can_be_avoided_are():
    box = (100.0, 40.0)
    layout = arrange(dict.fromkeys("abxy", box), [("a", "y"), ("b", "x")])
    x = {node: x for node, (x, _) in layout.places.items()}
    assert (x["a"] < x["b"]) == (x["y"] < x["x"])


def test_nothing_is_a_picture_without_size():
    assert arrange({}, []) == Layout({}, {}, 0, 0)

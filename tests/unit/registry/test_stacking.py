"""Which nodes of a lineage are alike: same label, same origin."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wandb_registry.drawing.stacking import ancestors, stacks

EDGES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30)


def test_what_comes_from_the_same_is_one_and_so_is_what_it_makes():
    labels = {
        "data": "data",
        "a": "train",
        "b": "train",
        "c": "train",
        "m": "net",
        "n": "net",
        "o": "net",
        "other": "train",
    }
    edges = [("data", "a"), ("data", "b"), ("data", "c"), ("a", "m"), ("b", "n"), ("c", "o")]
    assert stacks(labels, edges, (), 3) == [["data"], ["a", "b", "c"], ["m", "n", "o"], ["other"]]
    # one that stands apart takes its successors out of the stack, which is then too small for one
    assert stacks(labels, edges, ("a",), 3) == [["data"], ["a"], ["b"], ["c"], ["m"], ["n"], ["o"], ["other"]]
    assert stacks(labels, edges, ("a",), 2) == [["data"], ["a"], ["b", "c"], ["m"], ["n", "o"], ["other"]]


@given(EDGES, st.integers(1, 3))
def test_every_node_is_in_one_stack_whatever_circles_there_are(edges: list[tuple[int, int]], least: int):
    labels = {node: node % 3 for node in range(10)}
    found = stacks(labels, edges, (), least)
    assert sorted(node for members in found for node in members) == list(range(10))
    assert all(len({labels[node] for node in members}) == 1 for members in found)


def test_ancestors_are_all_that_leads_there():
    assert ancestors([(1, 2), (2, 3), (4, 3), (3, 5), (5, 1)], [2]) == {1, 2, 3, 4, 5}
    assert ancestors([(1, 2), (3, 4)], [2]) == {1, 2}

"""Which nodes of a directed graph are alike, so that one drawn node stands for all of them.

Nodes are alike if they have the same label and come from the same: from the same nodes, or from nodes that are alike.
"""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def stacks(
    labels: Mapping[Node, Hashable], edges: Sequence[tuple[Node, Node]], apart: Collection[Node], least: int
) -> list[list[Node]]:
    """The nodes in stacks, in the order of their first nodes; those that are like fewer than `least` stand alone.

    Nodes in `apart` are like no other one. An edge from a node to one whose descendants lead back to it counts as none:
    what is in a circle stands apart too.
    """
    before: dict[Node, list[Node]] = {node: [] for node in labels}
    after: dict[Node, list[Node]] = {node: [] for node in labels}
    for tail, head in edges:
        before[head].append(tail)
        after[tail].append(head)
    waiting = {node: len(tails) for node, tails in before.items()}
    ready = [node for node, count in waiting.items() if not count]
    stack_of: dict[Node, Hashable] = {}
    while ready:
        # all that is ready at once, since whether a node stands alone depends on how many are like it
        alike: dict[Hashable, list[Node]] = {}
        for node in ready:
            origin = frozenset(stack_of[tail] for tail in before[node])
            signature = ("apart", node) if node in apart else (labels[node], origin)
            alike.setdefault(signature, []).append(node)
        for nodes in alike.values():
            for node in nodes:
                stack_of[node] = nodes[0] if len(nodes) >= least else node
        ready = _heads(ready, after, waiting)
    members: dict[Hashable, list[Node]] = {}
    for node in labels:
        members.setdefault(stack_of.get(node, node), []).append(node)
    return list(members.values())


def _heads(done: Iterable[Node], after: Mapping[Node, list[Node]], waiting: dict[Node, int]) -> list[Node]:
    """The nodes whose last predecessor is among those that are done."""
    heads = []
    for node in done:
        for head in after[node]:
            waiting[head] -= 1
            if not waiting[head]:
                heads.append(head)
    return heads


def ancestors(edges: Iterable[tuple[Node, Node]], starts: Iterable[Node]) -> set[Node]:
    """The nodes from which edges lead to one of `starts`, and these."""
    before: dict[Node, list[Node]] = {}
    for tail, head in edges:
        before.setdefault(head, []).append(tail)
    reached = set(starts)
    waiting = list(reached)
    while waiting:
        ahead = [node for node in before.get(waiting.pop(), []) if node not in reached]
        reached.update(ahead)
        waiting += ahead
    return reached

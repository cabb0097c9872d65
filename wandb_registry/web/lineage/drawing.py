"""A lineage graph as boxes and paths: from top to bottom, and for phones from left to right, with fewer words."""

from collections.abc import Sequence
from typing import Any

from wandb_registry.drawing.layered_layout import Layout, Spacing, arrange, turned

Row = dict[str, Any]
Node = tuple[str, int]  # 'artifact' or 'run', and the row's id
Edge = tuple[Node, Node]
CARD = (210, 58)  # width and height of an artifact's box, and of a run's
PILL = (210, 42)
MINI = (136, 26)  # of a stack with nothing to choose
SPACING = Spacing(across=24, down=44, lane=14)
SMALL = (96, 40)  # of any box on a phone
SMALL_SPACING = Spacing(across=22, down=22, lane=10)
MOST_SMALL = 100  # boxes that are drawn a second time, for phones: of more, a page would weigh too much
STACKED = 14  # room for the edges of a stack and what opens it
MARGIN = 2  # so that the strokes of the outermost boxes aren't cut


def drawing(boxes: dict[Node, Row], edges: Sequence[Edge], near: set[Node]) -> Row:
    """The graph from top to bottom, its boxes in reading order. Edges between what is `near` stand out."""
    layout = arrange({node: _size(box) for node, box in boxes.items()}, edges, SPACING)
    whole = {node: box | _extent(_size(box)) | {"few": None} for node, box in boxes.items()}
    return _drawn(layout, whole, near, downwards=True)


def small_drawing(boxes: dict[Node, Row], edges: Sequence[Edge], near: set[Node]) -> Row | None:
    """The graph from left to right. None if it is large: then a phone shows the other one, and it scrolls."""
    if len(boxes) > MOST_SMALL:
        return None
    layout = turned(arrange(dict.fromkeys(boxes, (SMALL[1], SMALL[0])), edges, SMALL_SPACING))
    few = {node: box | _extent(SMALL) | {"few": _few_words(box)} for node, box in boxes.items()}
    return _drawn(layout, few, near, downwards=False)


def _drawn(layout: Layout[Node], boxes: dict[Node, Row], near: set[Node], downwards: bool) -> Row:
    """The boxes stand in the order in which the keyboard reaches them: that of the layers."""
    order = sorted(boxes, key=lambda node: layout.corners[node][:: -1 if downwards else 1])
    corners = {node: dict(zip("xy", layout.corners[node], strict=True)) for node in order}
    return {
        "width": layout.width + 2 * MARGIN + STACKED,
        "height": layout.height + 2 * MARGIN + STACKED,
        "margin": MARGIN,
        "boxes": [boxes[node] | corners[node] for node in order],
        "edges": [(path, tail in near and head in near) for (tail, head), path in layout.paths.items()],
    }


def _size(box: Row) -> tuple[int, int]:
    if box["mini"]:
        return MINI
    return PILL if box["kind"] == "run" else CARD


def _extent(size: tuple[int, int]) -> dict[str, int]:
    return dict(zip(("width", "height"), size, strict=True))


def _few_words(box: Row) -> tuple[str, str]:
    """Two short lines: what it is, and which one or how many."""
    if box["count"] > 1:
        return box["family"], f"×{box['count']}"
    if box["kind"] == "run":
        return box["sub"] or box["name"], box["name"] if box["sub"] else ""
    name, _, version = box["name"].rpartition(":")
    return name, version

"""The lineage of a version, a run or a project, as a graph and as a list."""

from dataclasses import dataclass, field
from typing import Any

from wandb_registry.drawing.layered_layout import Layout, Spacing, arrange
from wandb_registry.model import access
from wandb_registry.model.artifacts import artifacts, collections, dvc_md5, lineage, memberships
from wandb_registry.model.runs import runs
from wandb_registry.model.search import run_search
from wandb_registry.web import addresses, lookups
from wandb_registry.web.pager import Beginning, beginning, paginate
from wandb_registry.web.views import Page, PageRequest

Row = dict[str, Any]
Node = tuple[str, int]  # 'artifact' or 'run', and the row's id
Edge = tuple[Node, Node]
MOST_NODES = 20_000  # that are looked for
MOST_DRAWN = 500  # nodes of a graph; its list has all
RUNS = 100  # that a page of a project's graph begins with
LISTED = 100  # nodes on a page of the list
NEIGHBOURS = 8
DEPTHS = (1, 2, 4, 10, 50)
ZOOMS = (50, 75, 100, 150)  # percent
DIRECTIONS = {"both": (True, False), "up": (True,), "down": (False,)}  # True is upstream, False downstream
CARD = (210, 58)  # width and height of an artifact's box, and of a run's
PILL = (180, 42)
SPACING = Spacing(across=24, down=44, lane=14)
MARGIN = 2  # so that the strokes of the outermost boxes aren't cut


@dataclass
class LineageGraph:
    """Versions and runs, the nearest first, with the edges between them; `cut` says that more lies further away."""

    nodes: list[Node] = field(default_factory=list)
    edges: dict[Edge, None] = field(default_factory=dict)
    cut: bool = False


def version_lineage(request: PageRequest) -> Page:
    project, collection = lookups.find_collection(request)
    membership = lookups.find_membership(request, collection, request.path["version"])
    type_name = collections.type_of(request.db, collection)["name"]
    number = memberships.version(membership)
    address = addresses.version(project["entity_name"], project["name"], type_name, collection["name"], number)
    name = f"{collection['name']}:{number}"
    return _lineage_of(request, project, ("artifact", membership["artifact_id"]), name, address)


def run_lineage(request: PageRequest) -> Page:
    project, run = lookups.find_run(request)
    return _lineage_of(request, project, ("run", run["id"]), run["display_name"], run["address"])


def project_lineage(request: PageRequest) -> Page:
    """A page of a project's runs, newest first, with all that they used and made."""
    project = lookups.find_project(request)
    pager = paginate(request, run_search.count(request.db, project["id"], None), RUNS, "runs")
    rows = run_search.page(request.db, project["id"], None, "-created_at", pager.size, pager.offset)
    graph = reachable(request, [("run", row["id"]) for row in rows], DIRECTIONS["both"], 1)
    graph.cut = graph.cut and len(graph.nodes) >= MOST_NODES  # one step around these runs is all that is meant
    shown = {"name": project["name"], "steps": [], "directions": [], "pages_of_runs": pager}
    return _page(request, project, graph, None, shown)


def reachable(request: PageRequest, starts: list[Node], directions: tuple[bool, ...], depth: int) -> LineageGraph:
    """The nodes within `depth` steps of the start nodes, as far as the viewer may see them.

    `directions` are those to follow: True for upstream, False for downstream.
    """
    graph, known = LineageGraph(list(starts)), set(starts)
    for upstream in directions:
        here = starts
        for _ in range(depth):
            ahead: dict[Node, None] = {}
            for kind in ("artifact", "run"):
                ids = [number for node_kind, number in here if node_kind == kind]
                rows = lineage.edges(request.db, kind, ids, upstream) if ids else []
                for row in access.visible(request.db, request.viewer, rows):
                    run, artifact = ("run", row["run_id"]), ("artifact", row["artifact_id"])
                    other = run if kind == "artifact" else artifact
                    if other not in known:
                        if len(known) >= MOST_NODES:
                            graph.cut = True
                            continue
                        known.add(other)
                        graph.nodes.append(other)
                        ahead[other] = None
                    into_run = (kind == "run") == upstream  # the artifact was used
                    graph.edges[(artifact, run) if into_run else (run, artifact)] = None
            here = list(ahead)
            if not here:
                break
        else:
            graph.cut = graph.cut or bool(here and _leads_further(request, here, upstream, known))
    return graph


def _leads_further(request: PageRequest, here: list[Node], upstream: bool, known: set[Node]) -> bool:
    """Whether an edge leads from these nodes to one that isn't known yet."""
    for kind in ("artifact", "run"):
        ids = [number for node_kind, number in here if node_kind == kind]
        key, other = ("run_id", "run") if kind == "artifact" else ("artifact_id", "artifact")
        if ids and any((other, row[key]) not in known for row in lineage.edges(request.db, kind, ids, upstream)):
            return True
    return False


def _lineage_of(request: PageRequest, project: Row, start: Node, name: str, address: str) -> Page:
    """The page of one node's lineage; the query names the direction and the depth."""
    query = request.query
    direction = query["show"] if query.get("show") in DIRECTIONS else "both"
    depth = int(query["depth"]) if query.get("depth", "") in map(str, DEPTHS) else 10
    labels = (("Upstream", "up"), ("Both", "both"), ("Downstream", "down"))
    shown = {
        "name": name,
        "steps": [(name, address)],
        "directions": [(label, _with(request, show=key), key == direction) for label, key in labels],
        "depths": DEPTHS,
        "depth": depth,
        "kept": [(key, query[key]) for key in ("show", "zoom") if key in query],
        "pages_of_runs": None,
    }
    return _page(request, project, reachable(request, [start], DIRECTIONS[direction], depth), start, shown)


def _page(request: PageRequest, project: Row, graph: LineageGraph, start: Node | None, shown: Row) -> Page:
    """The page of a graph; `start` is the node that the page is about, if it is about one."""
    cards = _cards(request, graph.nodes)
    nodes, edges = _merge_similar_runs(graph, cards, start)
    drawn = dict.fromkeys(nodes[:MOST_DRAWN])  # the nearest; the time that a layout takes grows faster than its graph
    lines = [edge for edge in edges if edge[0] in drawn and edge[1] in drawn]
    layout = arrange({node: PILL if node[0] == "run" else CARD for node in drawn}, lines, SPACING)
    in_reading_order = sorted(drawn, key=lambda node: (layout.corners[node][1], layout.corners[node][0]))
    listed = [*in_reading_order, *nodes[MOST_DRAWN:]]
    pager = paginate(request, len(listed), LISTED, "nodes")
    zoom = int(request.query["zoom"]) if request.query.get("zoom", "") in map(str, ZOOMS) else 100
    return Page(
        "lineage.html",
        {
            "title": f"Lineage of {shown['name']}",
            "project": project,
            "counts": lookups.project_counts(request, project),
            "graph": {
                "width": layout.width + 2 * MARGIN,
                "height": layout.height + 2 * MARGIN,
                "margin": MARGIN,
                "boxes": [_box(node, layout, cards[node]) | {"now": node == start} for node in in_reading_order],
                "edges": _edges(layout, start),
            },
            "nodes": [cards[node] for node in listed[pager.offset : pager.last]],
            "pager": pager,
            "all_nodes": Beginning(len(drawn), len(nodes), "#list"),
            "now": cards[start] if start else None,
            "neighbours": [
                _neighbours(request, "Before it", [cards[tail] for tail, head in edges if head == start]),
                _neighbours(request, "After it", [cards[head] for tail, head in edges if tail == start]),
            ],
            "numbers": [
                sum(card["count"] for card in map(cards.get, nodes) if card and card["kind"] == kind)
                for kind in ("artifact", "run")
            ],
            "cut": graph.cut,
            "full": MOST_NODES if len(graph.nodes) >= MOST_NODES else None,
            "zooms": [(f"{percent} %", _with(request, zoom=percent), percent == zoom) for percent in ZOOMS],
            "zoom": zoom / 100,
        }
        | shown,
    )


def _neighbours(request: PageRequest, heading: str, cards: list[Row]) -> tuple[str, list[Row], Beginning]:
    some = beginning(request, heading.split()[0].lower(), len(cards), NEIGHBOURS)
    return heading, cards[: some.shown], some


def _with(request: PageRequest, **changed: Any) -> str:
    return addresses.with_query(request.address.partition("?")[0], dict(request.query) | changed)


def _cards(request: PageRequest, nodes: list[Node]) -> dict[Node, Row]:
    """The card of each node that the viewer may see: its names, address and kind."""
    cards: dict[Node, Row] = {}
    rows = artifacts.by_ids(request.db, [number for kind, number in nodes if kind == "artifact"])
    aliases = lookups.aliases_of_artifacts(request, list(rows))
    for row in lookups.visible_versions(request, list(rows.values())):
        held = aliases.get(row["id"], [])
        shape = row["type"] if row["type"] in ("model", "dataset") else "other"
        cards["artifact", row["id"]] = {
            "kind": "artifact", "name": row["name"], "sub": lookups.dvc_name(row, held), "type": row["type"],
            "shape": shape, "address": row["address"], "production": "production" in held, "count": 1,
            "aliases": [name for name in held if not dvc_md5.is_content_alias(name)],
        }  # fmt: skip
    ids = [number for kind, number in nodes if kind == "run"]
    for row in lookups.visible_runs(request, lineage.runs_by_id(request.db, ids)):
        cards["run", row["id"]] = {
            "kind": "run", "name": row["display_name"], "sub": row["job_type"] or "", "type": "run", "shape": "runs",
            "address": row["address"], "production": False, "state": runs.state(row), "count": 1, "aliases": [],
        }  # fmt: skip
    return cards


def _merge_similar_runs(
    graph: LineageGraph, cards: dict[Node, Row], start: Node | None
) -> tuple[list[Node], list[Edge]]:
    """The nodes and edges to show: runs of one job that used the same versions and made none become one node."""
    nodes = [node for node in graph.nodes if node in cards]
    inputs: dict[Node, set[Node]] = {}
    makers = {tail for tail, _ in graph.edges}
    for tail, head in graph.edges:
        inputs.setdefault(head, set()).add(tail)
    groups: dict[tuple, list[Node]] = {}
    for node in nodes:
        if node[0] == "run" and node not in makers and node != start:
            groups.setdefault((frozenset(inputs.get(node, ())), cards[node]["sub"]), []).append(node)
    hidden: set[Node] = set()
    for alike in groups.values():
        if len(alike) > 2:
            cards[alike[0]]["count"] = len(alike)
            hidden.update(alike[1:])
    shown = {node: None for node in nodes if node not in hidden}
    return list(shown), [edge for edge in graph.edges if edge[0] in shown and edge[1] in shown]


def _box(node: Node, layout: Layout[Node], card: Row) -> Row:
    x, y = layout.corners[node]
    width, height = PILL if node[0] == "run" else CARD
    return card | {"x": x, "y": y, "width": width, "height": height}


def _edges(layout: Layout[Node], start: Node | None) -> list[tuple[str, bool]]:
    """The SVG path of each edge, and whether it leads to or from the current node, which highlights it."""
    before, after = _ancestors_and_descendants(list(layout.paths), start)
    return [(path, head in before or tail in after) for (tail, head), path in layout.paths.items()]


def _ancestors_and_descendants(edges: list[Edge], start: Node | None) -> tuple[set[Node], set[Node]]:
    """The ancestors and the descendants of a node, each with the node itself."""
    sets = []
    for tail, head in ((1, 0), (0, 1)):
        beside: dict[Node, list[Node]] = {}
        for edge in edges:
            beside.setdefault(edge[tail], []).append(edge[head])
        reached, waiting = {start} if start else set(), [start] if start else []
        while waiting:
            ahead = [node for node in beside.get(waiting.pop(), []) if node not in reached]
            reached.update(ahead)
            waiting += ahead
        sets.append(reached)
    return sets[0], sets[1]

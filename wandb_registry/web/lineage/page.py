"""The lineage of a version, a run or a project, as a graph and as a list."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from wandb_registry.drawing.stacking import ancestors, stacks
from wandb_registry.model import access
from wandb_registry.model.artifacts import artifacts, collections, dvc_md5, lineage, memberships
from wandb_registry.model.runs import runs
from wandb_registry.model.search import run_search
from wandb_registry.web import addresses, lookups
from wandb_registry.web.lineage.drawing import Edge, Node, drawing, small_drawing
from wandb_registry.web.pager import Beginning, beginning, paginate
from wandb_registry.web.views import Page, PageRequest

Row = dict[str, Any]
MOST_NODES = 20_000  # that are looked for
MOST_DRAWN = 500  # nodes of a graph; its list has all
NEWEST = (20, 50, 100, 200)  # runs that a page of a project's graph begins with
RUNS = 100  # of these by default
LISTED = 100  # nodes on a page of the list
NEIGHBOURS = 8
DEPTHS = (1, 2, 4, 10, 50)
ZOOMS = {"fit": "Fit", "50": "50 %", "75": "75 %", "100": "100 %", "150": "150 %"}
DIRECTIONS = {"both": (True, False), "up": (True,), "down": (False,)}  # True is upstream, False downstream
KEPT = ("show", "zoom", "stack", "chips")  # of the address, by the form above a graph
LEAST_STACK = 3  # similar nodes that are drawn as one
CHIPS = {"code": "code", "run_table": "table"}  # types that are told on their runs, and the word for one


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
    newest = int(request.query["newest"]) if request.query.get("newest", "") in map(str, NEWEST) else RUNS
    pager = paginate(request, run_search.count(request.db, project["id"], None), newest, "runs")
    rows = run_search.page(request.db, project["id"], None, ["-created_at"], pager.size, pager.offset)
    graph = reachable(request, [("run", row["id"]) for row in rows], DIRECTIONS["both"], 1)
    graph.cut = graph.cut and len(graph.nodes) >= MOST_NODES  # one step around these runs is all that is meant
    shown = {"name": project["name"], "steps": [], "directions": [], "pages_of_runs": pager}
    shown |= {"choices": [("newest", "Newest", NEWEST, newest)]}
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
        "choices": [("depth", "Steps", DEPTHS, depth)],
        "further": depth < max(DEPTHS),
        "depth": depth,
        "pages_of_runs": None,
    }
    return _page(request, project, reachable(request, [start], DIRECTIONS[direction], depth), start, shown)


def _page(request: PageRequest, project: Row, graph: LineageGraph, start: Node | None, shown: Row) -> Page:
    """The page of a graph; `start` is the node that the page is about, if it is about one."""
    query = request.query
    cards = _cards(request, graph.nodes)
    edges = [edge for edge in graph.edges if edge[0] in cards and edge[1] in cards]
    if query.get("chips") != "no":
        edges = _fold_into_chips(cards, edges, start)
    end = next((node for node in cards if _key(node) == query.get("path")), None)
    way = ancestors(edges, [end] if end else [node for node, card in cards.items() if card["production"]])
    near = way
    if start and not end:
        near = ancestors(edges, [start]) | ancestors([(head, tail) for tail, head in edges], [start])
    goals = [(_key(node), goal) for node, card in cards.items() for goal in _goals(card)]
    boxes = _stacked(request, cards, edges, way | ({start} if start else set()))
    top = {node: first for first, box in boxes.items() for node in box["nodes"]}
    edges = list(dict.fromkeys((top[tail], top[head]) for tail, head in edges if top[tail] != top[head]))
    hidden = {node for node in boxes if _key(node) in query.getlist("hide")}
    edges = [edge for edge in edges if not hidden.intersection(edge)]
    nodes = [node for node in boxes if node not in hidden]
    nodes.sort(key=lambda node: node not in way)
    drawn = dict.fromkeys(nodes[:MOST_DRAWN])  # the nearest; the time that a layout takes grows faster than its graph
    lines = [edge for edge in edges if edge[0] in drawn and edge[1] in drawn]
    _tell_minis(boxes, edges)
    at = next((node for node in nodes if _key(node) == query.get("at")), None)
    shown_boxes = {node: boxes[node] | {"now": node == (at or start), "near": node in near} for node in drawn}
    graph_drawn = drawing(shown_boxes, lines, near)
    listed = [*(box["nodes"][0] for box in graph_drawn["boxes"]), *nodes[MOST_DRAWN:]]
    pager = paginate(request, len(listed), LISTED, "nodes")
    zoom = query["zoom"] if query.get("zoom", "") in ZOOMS else "fit"
    return Page(
        "lineage.html",
        {
            "title": f"Lineage of {shown['name']}",
            "project": project,
            "counts": lookups.project_counts(request, project),
            "graph": graph_drawn,
            "small": small_drawing(shown_boxes, lines, near),
            "goals": goals,
            "goal": (_key(end), _goals(cards[end])[0]) if end and _goals(cards[end]) else None,
            "kept": [(key, query[key]) for key in KEPT if key in query],
            "nodes": [boxes[node] for node in listed[pager.offset : pager.last]],
            "pager": pager,
            "stacked": any(boxes[node]["count"] > 1 for node in drawn),
            "all_nodes": Beginning(len(drawn), len(nodes), "#list"),
            "now": boxes.get(start) if start else None,
            "at": boxes[at] if at else None,
            "way": [boxes[node] for node in listed if node in way],
            "neighbours": [
                _neighbours(request, "Before it", [boxes[tail] for tail, head in edges if head == start]),
                _neighbours(request, "After it", [boxes[head] for tail, head in edges if tail == start]),
            ],
            "numbers": [sum(node[0] == kind for node in graph.nodes if node in cards) for kind in ("artifact", "run")],
            "cut": graph.cut,
            "full": MOST_NODES if len(graph.nodes) >= MOST_NODES else None,
            "zooms": [(label, _with(request, zoom=key), key == zoom) for key, label in ZOOMS.items()],
            "zoom": None if zoom == "fit" else int(zoom) / 100,
            "switches": _switches(request, len(hidden)),
        }
        | shown,
    )


def _neighbours(request: PageRequest, heading: str, cards: list[Row]) -> tuple[str, list[Row], Beginning]:
    some = beginning(request, heading.split()[0].lower(), len(cards), NEIGHBOURS)
    return heading, cards[: some.shown], some


def _with(request: PageRequest, **changed: Any) -> str:
    query = {key: request.query.getlist(key) for key in request.query} | changed
    return addresses.with_query(request.address.partition("?")[0], query)


def _switches(request: PageRequest, hidden: int) -> list[tuple[str, str]]:
    """Links that change how the graph is drawn: (label, address)."""
    query = request.query
    links = [
        ("Show each" if query.get("stack") != "no" else "Stack similar",
         _with(request, stack="no" if query.get("stack") != "no" else None, open=None, at=None)),
        ("Show code and tables" if query.get("chips") != "no" else "Code and tables as chips",
         _with(request, chips="no" if query.get("chips") != "no" else None)),
    ]  # fmt: skip
    if query.getlist("open"):
        links.append(("Stack again", _with(request, open=None)))
    if hidden:
        links.append((f"Show {hidden} hidden", _with(request, hide=None)))
    return links


def _goals(card: Row) -> list[str]:
    """What the way may lead to instead of what is in production: a version, by each alias that somebody gave it."""
    return [f"{_family(card)}:{alias}" for alias in card["aliases"] if alias not in ("latest", "production")]


def _key(node: Node) -> str:
    """A node's name in addresses."""
    return f"{node[0]}-{node[1]}"


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
            "shape": shape, "address": row["address"], "production": "production" in held, "chips": {},
            "aliases": [name for name in held if not dvc_md5.is_content_alias(name)],
        }  # fmt: skip
    ids = [number for kind, number in nodes if kind == "run"]
    for row in lookups.visible_runs(request, lineage.runs_by_id(request.db, ids)):
        cards["run", row["id"]] = {
            "kind": "run", "name": row["display_name"], "sub": row["job_type"] or "", "type": "run", "shape": "runs",
            "address": row["address"], "production": False, "state": runs.state(row), "aliases": [], "chips": {},
        }  # fmt: skip
    return {node: cards[node] for node in nodes if node in cards}


def _fold_into_chips(cards: dict[Node, Row], edges: list[Edge], start: Node | None) -> list[Edge]:
    """Takes code and tables out of the graph: their runs say how many they used or made. Returns the other edges.

    A run that has nothing else, such as one that only logged code, goes with them.
    """
    aside = {node for node, card in cards.items() if card["type"] in CHIPS and node != start and not card["production"]}
    kept = [edge for edge in edges if not aside.intersection(edge)]
    for tail, head in edges:
        chip, run = (tail, head) if tail in aside else (head, tail)
        if chip in aside:
            counts, word = cards[run]["chips"], CHIPS[cards[chip]["type"]]
            counts[word] = counts.get(word, 0) + 1
    linked = {node for edge in kept for node in edge}
    for node in list(cards):
        if node in aside or (node not in linked and node != start and cards[node]["chips"]):
            del cards[node]
    return [edge for edge in kept if edge[0] in cards and edge[1] in cards]


def _stacked(request: PageRequest, cards: dict[Node, Row], edges: list[Edge], apart: set[Node]) -> dict[Node, Row]:
    """The boxes to draw, by the first node of each: similar runs and versions are one, unless they were opened."""
    if request.query.get("stack") == "no":
        found = [[node] for node in cards]
    else:
        made = {tail: set() for tail, _ in edges}
        for tail, head in edges:
            made[tail].add(_family(cards[head]))
        # what a run hands on to its successor, such as the record of what is in production, makes no two runs unlike
        origins = [(tail, head) for tail, head in edges if _family(cards[tail]) not in made.get(head, ())]
        used = {tail for tail, _ in edges}
        labels = {node: (node[0], _family(card) if node in used else _end(card)) for node, card in cards.items()}
        found = stacks(labels, origins, apart, LEAST_STACK)
    opened, boxes, here = request.query.getlist("open"), {}, _with(request, at=None)
    here += "&" if "?" in here else "?"
    for members in found:
        is_open = any(_key(node) in opened for node in members)
        for some in [[node] for node in members] if is_open else [members]:
            key = _key(some[0])
            boxes[some[0]] = _stack_card([cards[node] for node in some]) | {
                "key": key,
                "nodes": some,
                "members": [cards[node] for node in some],
                "open": f"{here}open={key}" if len(some) > 1 else None,
                "at": f"{here}at={key}",
                "hide": f"{here}hide={key}",
            }
    return boxes


def _family(card: Row) -> str:
    """What similar nodes have in common: the collection of a version, the job type of a run."""
    return card["name"].rpartition(":")[0] if card["kind"] == "artifact" else card["sub"]


def _end(card: Row) -> str | tuple[str, str]:
    """The same of nodes that nothing comes after: what a run made beside models and data is alike by its type."""
    return ("type", card["type"]) if card["shape"] == "other" else _family(card)


def _stack_card(cards: list[Row]) -> Row:
    """One card for several: their common name, how many they are, and how the runs ended or which versions they are."""
    first = cards[0] | {"count": len(cards), "chips_said": _chips(cards[0]["chips"])}
    if len(cards) == 1:
        return first
    if first["kind"] == "run":
        states = Counter(card["state"] for card in cards)
        told = ", ".join(f"{count} {state}" for state, count in states.items())
        name = first["sub"] or first["name"]
        return first | {"name": name, "family": name, "sub": told}
    if len({_family(card) for card in cards}) > 1:
        return first | {"name": first["type"], "family": first["type"], "sub": f"{len(cards)} artifacts"}
    versions = sorted(int(card["name"].rpartition(":v")[2]) for card in cards)
    name = first["name"].rpartition(":")[0]
    told = f"{name} v{versions[0]}–v{versions[-1]}"
    return first | {"name": told, "family": name, "sub": f"{len(cards)} versions"}


def _chips(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {word}{'s' if word == 'table' and count > 1 else ''}" for word, count in counts.items())


def _tell_minis(boxes: dict[Node, Row], edges: list[Edge]) -> None:
    """Marks the stacks with nothing to choose, which are drawn small: neither models nor data, nor runs that failed,
    and what such runs made.
    """
    made: dict[Node, list[Node]] = {}
    for tail, head in edges:
        made.setdefault(tail, []).append(head)
    minis = {node for node, box in boxes.items() if box["count"] > 1 and box["shape"] == "other"}
    for node, box in boxes.items():
        plain = (
            box["kind"] == "run" and box["count"] > 1 and all(card["state"] == "finished" for card in box["members"])
        )
        if plain and node in made and minis.issuperset(made[node]):
            minis.add(node)
    for node, box in boxes.items():
        box["mini"] = node in minis

"""Lineage as a graph and as a list: what led to a version or a run and what came of it, or all of a project."""

from dataclasses import dataclass, field
from typing import Any

from wandb_registry.drawing.layered_layout import Layout, Spacing, arrange
from wandb_registry.model import access
from wandb_registry.model.artifacts import artifacts, collections, dvc_md5, lineage, memberships
from wandb_registry.model.runs import runs
from wandb_registry.model.search import run_search
from wandb_registry.web import addresses, lookups
from wandb_registry.web.pages import version as versions
from wandb_registry.web.shell import Page, Visit

Row = dict[str, Any]
Node = tuple[str, int]  # artifact or run, and its number
MOST = 500
NEWEST = 100  # runs that the graph of a project begins with
DEPTHS = (1, 2, 4, 10, 50)
WAYS = {"both": (True, False), "up": (True,), "down": (False,)}
CARD = (210, 58)  # width and height of an artifact's box, and of a run's
PILL = (180, 42)
SPACING = Spacing(across=24, down=44, lane=14)
MARGIN = 2  # so that the strokes of the outermost boxes are seen whole


@dataclass
class Found:
    """The nodes and edges that were reached, and whether there are more."""

    nodes: list[Node] = field(default_factory=list)
    edges: dict[tuple[Node, Node], None] = field(default_factory=dict)
    cut: bool = False


def of_version(visit: Visit) -> Page:
    from wandb_registry.web.pages.artifacts import collection_of

    place, collection = collection_of(visit)
    membership = versions.found(visit, collection, visit.path["version"])
    kind = collections.type_of(visit.db, collection)["name"]
    number = memberships.version(membership)
    address = addresses.version(place["entity_name"], place["name"], kind, collection["name"], number)
    steps = [(f"{collection['name']}:{number}", address)]
    return _around(visit, place, ("artifact", membership["artifact_id"]), steps, f"{collection['name']}:{number}")


def of_run(visit: Visit) -> Page:
    place, run = lookups.run(visit)
    address = addresses.run(place["entity_name"], place["name"], run["name"])
    return _around(visit, place, ("run", run["id"]), [(run["display_name"], address)], run["display_name"])


def of_project(visit: Visit) -> Page:
    """A project's newest runs with all that they used and made."""
    place = lookups.project(visit)
    rows = run_search.page(visit.db, place["id"], None, "-created_at", NEWEST + 1, 0)
    found = reached(visit, [("run", row["id"]) for row in rows[:NEWEST]], WAYS["both"], 1)
    found.cut = len(rows) > NEWEST
    return _page(visit, place, found, None, {"name": place["name"], "steps": [], "ways": []})


def reached(visit: Visit, starts: list[Node], ways: tuple[bool, ...], depth: int) -> Found:
    """What can be reached from some nodes in so many steps, upstream, downstream, or both; only what may be seen."""
    found, known = Found(list(starts)), set(starts)
    for upstream in ways:
        here = starts
        for _ in range(depth):
            ahead: dict[Node, None] = {}
            for kind in ("artifact", "run"):
                ids = [number for one, number in here if one == kind]
                rows = lineage.edges(visit.db, kind, ids, upstream) if ids else []
                for row in access.visible(visit.db, visit.who, rows):
                    run, artifact = ("run", row["run_id"]), ("artifact", row["artifact_id"])
                    other = run if kind == "artifact" else artifact
                    if other not in known:
                        if len(known) >= MOST:
                            found.cut = True
                            continue
                        known.add(other)
                        found.nodes.append(other)
                        ahead[other] = None
                    into = (kind == "run") == upstream  # the artifact was used, so the edge leads to the run
                    found.edges[(artifact, run) if into else (run, artifact)] = None
            here = list(ahead)
            if not here:
                break
        else:
            found.cut = found.cut or bool(here and _goes_on(visit, here, upstream, known))
    return found


def _goes_on(visit: Visit, here: list[Node], upstream: bool, known: set[Node]) -> bool:
    for kind in ("artifact", "run"):
        ids = [number for one, number in here if one == kind]
        key, other = ("run_id", "run") if kind == "artifact" else ("artifact_id", "artifact")
        if ids and any((other, row[key]) not in known for row in lineage.edges(visit.db, kind, ids, upstream)):
            return True
    return False


def _around(visit: Visit, place: Row, start: Node, steps: list[tuple[str, str]], name: str) -> Page:
    """The page of one node's lineage, as far as the address asks for."""
    way = visit.query.get("show") if visit.query.get("show") in WAYS else "both"
    asked = visit.query.get("depth", "")
    depth = int(asked) if asked in {str(steps) for steps in DEPTHS} else 10
    directions = [
        (words, _with(visit, show=key), way == key)
        for words, key in (("Upstream", "up"), ("Both", "both"), ("Downstream", "down"))
    ]
    asked_for = {"name": name, "steps": steps, "ways": directions, "depths": DEPTHS, "depth": depth, "way": way}
    asked_for |= {"kept": [(key, visit.query[key]) for key in ("show", "zoom") if key in visit.query]}
    return _page(visit, place, reached(visit, [start], WAYS[str(way)], depth), start, asked_for)


def _page(visit: Visit, place: Row, found: Found, start: Node | None, asked_for: Row) -> Page:
    """The page of what was found; `start` is the node that it is about, if it is one."""
    cards = _cards(visit, found.nodes)
    nodes, edges = _stacked(found, cards, start)
    layout = arrange({node: PILL if node[0] == "run" else CARD for node in nodes}, edges, SPACING)
    in_reading_order = sorted(nodes, key=lambda node: (layout.corners[node][1], layout.corners[node][0]))
    return Page(
        "lineage.html",
        {
            "title": f"Lineage of {asked_for['name']}",
            "project": place,
            "counts": lookups.counts(visit, place),
            "graph": {
                "width": layout.width + 2 * MARGIN,
                "height": layout.height + 2 * MARGIN,
                "margin": MARGIN,
                "boxes": [_box(node, layout, cards[node]) | {"now": node == start} for node in in_reading_order],
                "edges": _edges(layout, start),
            },
            "nodes": [cards[node] for node in in_reading_order],
            "now": cards[start] if start else None,
            "beside": [
                ("Before it", [cards[tail] for tail, head in edges if head == start]),
                ("After it", [cards[head] for tail, head in edges if tail == start]),
            ],
            "numbers": [
                sum(card["count"] for card in map(cards.get, nodes) if card and card["kind"] == kind)
                for kind in ("artifact", "run")
            ],
            "cut": found.cut,
            "zooms": [(f"{zoom} %", _with(visit, zoom=zoom), _zoom(visit) == zoom) for zoom in (50, 75, 100, 150)],
            "zoom": _zoom(visit) / 100,
        }
        | asked_for,
    )


def _zoom(visit: Visit) -> int:
    text = visit.query.get("zoom", "100")
    return int(text) if text in ("50", "75", "100", "150") else 100


def _with(visit: Visit, **changed: Any) -> str:
    return addresses.with_query(visit.address.partition("?")[0], dict(visit.query) | changed)


def _cards(visit: Visit, nodes: list[Node]) -> dict[Node, Row]:
    """What each node shows: its two names, its address, its kind."""
    cards: dict[Node, Row] = {}
    rows = artifacts.by_ids(visit.db, [number for kind, number in nodes if kind == "artifact"])
    aliases = lookups.aliases_of(visit, list(rows))
    for row in lookups.versions(visit, list(rows.values())):
        held = aliases.get(row["id"], [])
        dvc = lookups.dvc_name(row, held)
        shape = row["type"] if row["type"] in ("model", "dataset") else "other"
        cards["artifact", row["id"]] = {
            "kind": "artifact", "words": row["name"], "sub": dvc, "type": row["type"], "shape": shape,
            "address": row["address"], "production": "production" in held, "count": 1,
            "aliases": [name for name in held if not dvc_md5.is_content_alias(name)],
        }  # fmt: skip
    for row in lookups.runs(visit, lineage.runs_by_id(visit.db, [number for kind, number in nodes if kind == "run"])):
        cards["run", row["id"]] = {
            "kind": "run", "words": row["display_name"], "sub": row["job_type"] or "", "type": "run", "shape": "runs",
            "address": row["address"], "production": False, "state": runs.state(row), "count": 1, "aliases": [],
        }  # fmt: skip
    return cards


def _stacked(found: Found, cards: dict[Node, Row], start: Node | None) -> tuple[list[Node], list[tuple[Node, Node]]]:
    """Runs that used the same versions for the same job and made nothing that is shown become one pill."""
    nodes = [node for node in found.nodes if node in cards]
    inputs: dict[Node, set[Node]] = {}
    makes = {tail for tail, _ in found.edges}
    for tail, head in found.edges:
        inputs.setdefault(head, set()).add(tail)
    groups: dict[tuple, list[Node]] = {}
    for node in nodes:
        if node[0] == "run" and node not in makes and node != start:
            groups.setdefault((frozenset(inputs.get(node, ())), cards[node]["sub"]), []).append(node)
    hidden: set[Node] = set()
    for same in groups.values():
        if len(same) > 2:
            cards[same[0]]["count"] = len(same)
            hidden.update(same[1:])
    kept = [node for node in nodes if node not in hidden]
    shown = set(kept)
    return kept, [edge for edge in found.edges if edge[0] in shown and edge[1] in shown]


def _box(node: Node, layout: Layout[Node], card: Row) -> Row:
    x, y = layout.corners[node]
    width, height = PILL if node[0] == "run" else CARD
    return card | {"x": x, "y": y, "width": width, "height": height}


def _edges(layout: Layout[Node], start: Node | None) -> list[tuple[str, bool]]:
    """Each edge as a path, and whether it is on a way to or from the current node: such ones stand out."""
    before, after = _led(list(layout.paths), start)
    return [(path, head in before or tail in after) for (tail, head), path in layout.paths.items()]


def _led(edges: list[tuple[Node, Node]], start: Node | None) -> tuple[set[Node], set[Node]]:
    """What leads to a node, and what it leads to, each with the node itself."""
    found = []
    for tail, head in ((1, 0), (0, 1)):
        beside: dict[Node, list[Node]] = {}
        for edge in edges:
            beside.setdefault(edge[tail], []).append(edge[head])
        reached, waiting = {start} if start else set(), [start] if start else []
        while waiting:
            ahead = [node for node in beside.get(waiting.pop(), []) if node not in reached]
            reached.update(ahead)
            waiting += ahead
        found.append(reached)
    return found[0], found[1]

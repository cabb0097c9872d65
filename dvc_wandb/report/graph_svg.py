"""Draws a graph as one self-contained SVG: light and dark, readable without its colours, told to screen readers."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.report.graph import Graph, key_of
from dvc_wandb.report.graph_text import RegistryNames, truncate
from wandb_registry.drawing.layered_layout import Spacing, arrange

WIDTH, HEIGHT = 178, 46  # of a node
SPACING = Spacing(across=16, down=42, lane=2)
MARGIN = 12
MAX_LETTERS = 25  # that fit into a node

STYLE = """
.lineage { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #818b98; --box: #f6f8fa; --stage: #ddf4ff;
  font: 12px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) {
  .lineage { --ink: #f0f6fc; --soft: #b1bac4; --line: #8b949e; --box: #21262d; --stage: #0c2d6b; }
}
.lineage rect { fill: var(--box); stroke: var(--line); }
.lineage .stage rect { fill: var(--stage); stroke-width: 2; }
.lineage .source rect { stroke-dasharray: 4 3; }
.lineage text { fill: var(--ink); text-anchor: middle; }
.lineage .stage text:first-of-type { font-weight: 600; }
.lineage text + text { fill: var(--soft); font-size: 11px; }
.lineage path { fill: none; stroke: var(--line); stroke-width: 1.3; }
.lineage marker path { fill: var(--line); stroke: none; }
"""


def svg(graph: Graph, registry: RegistryNames, title: str) -> str:
    """The picture: stages as round boxes, contents as square ones, those that no stage makes with a dashed edge."""
    nodes, edges = _nodes_and_edges(graph)
    layout = arrange(dict.fromkeys(nodes, (WIDTH, HEIGHT)), edges, SPACING, lower_sources=True)
    wide, tall = layout.width + 2 * MARGIN, layout.height + 2 * MARGIN
    stages = {one.key: one for one in graph.executions}
    boxes = [
        _stage(stages[node], registry, corner) if isinstance(node, str) else _content(graph, node, registry, corner)
        for node, corner in layout.corners.items()
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="lineage" role="img" aria-labelledby="lineage-t lineage-d" '
            f'viewBox="0 0 {wide:.0f} {tall:.0f}" width="{wide:.0f}" height="{tall:.0f}">',
            f'<title id="lineage-t">{escape(title)}</title>',
            f'<desc id="lineage-d">{escape(" ".join(_sentences(graph)))}</desc>',
            f"<style>{STYLE}</style>",
            '<defs><marker id="lineage-end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>',
            f'<g transform="translate({MARGIN} {MARGIN})">',
            *(f'<path d="{path}" marker-end="url(#lineage-end)"/>' for path in layout.paths.values()),
            *boxes,
            "</g>",
            "</svg>",
        ]
    )


def _nodes_and_edges(graph: Graph) -> tuple[list, list]:
    """Upstream first; executions by their key, contents by theirs."""
    nodes: list = graph.sources()
    edges: list = []
    for one in graph.executions:
        deps = list(dict.fromkeys(map(key_of, one.reads)))
        outs = [key for key in map(key_of, one.outs) if graph.makers[key] is one and key not in deps]
        nodes += [one.key, *outs]
        edges += [(dep, one.key) for dep in deps] + [(one.key, out) for out in outs]
    return nodes, edges


def _sentences(graph: Graph) -> Iterable[str]:
    """The graph in sentences."""
    for one in graph.executions:
        reads = ", ".join(dep.path for dep in one.reads) or "nothing"
        makes = ", ".join(out.path for out in one.outs) or "nothing"
        yield f"{one.stage} reads {reads} and makes {makes}."


def _stage(execution: Execution, registry: RegistryNames, corner: tuple[float, float]) -> str:
    full = f"{execution.stage}: {execution.desc or execution.cmd}"
    below = execution.job_type if execution.job_type != execution.stage else registry.runs.get(execution.key, "")
    return _box("stage", corner, full, execution.stage, below, HEIGHT // 2)


def _content(graph: Graph, key: tuple, registry: RegistryNames, corner: tuple[float, float]) -> str:
    content: Content = graph.content(key)
    full = " · ".join(filter(None, [content.path, content.md5, registry.version(content)]))
    kind = "made" if key in graph.makers else "source"
    return _box(kind, corner, full, content.path, registry.caption(content), 3)


def _box(kind: str, corner: tuple[float, float], full: str, name: str, below: str, radius: int) -> str:
    x, y = corner
    lines = [(name, y + (20 if below else 28)), (below, y + 36)]
    return (
        f'<g class="{kind}"><title>{escape(full)}</title>'
        f'<rect x="{x:.1f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="{radius}"/>'
        + "".join(
            f'<text x="{x + WIDTH / 2:.1f}" y="{at:.0f}">{escape(truncate(line, MAX_LETTERS))}</text>'
            for line, at in lines
            if line
        )
        + "</g>"
    )

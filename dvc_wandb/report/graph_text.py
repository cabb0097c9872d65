"""Draws a graph with the names of both sides: as text, Mermaid, facts for JSON. graph_svg.py draws it as a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import wcwidth

from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.report.graph import Graph, Key, key_of

MAX_EDGES = 400  # edges; GitHub draws no Mermaid of more than 500


@dataclass(frozen=True)
class RegistryNames:
    """The other side's names: of versions by content, with their types, of runs by execution key.

    Empty while the registry is away.
    """

    url: str | None = None
    versions: dict[Key, str] = field(default_factory=dict)
    types: dict[Key, str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)

    def version(self, content: Content) -> str:
        """The version that mirrors `content`, or that there is none; nothing where nobody was asked."""
        return self.versions.get(key_of(content), "not there") if self.url else ""

    def version_url(self, content: Content) -> str | None:
        """The page of the version that mirrors `content`."""
        name = self.versions.get(key_of(content))
        if not self.url or not name:
            return None
        parts = ("artifacts", self.types.get(key_of(content), content.versioned.type), *name.split(":"))
        return "/".join([self.url, *(quote(part, safe="") for part in parts)])

    def run_url(self, execution: Execution) -> str | None:
        """The page of the run that holds `execution`."""
        return f"{self.url}/runs/{quote(self.runs[execution.key])}" if execution.key in self.runs else None

    def caption(self, content: Content) -> str:
        """The version that mirrors `content`, else its md5."""
        return self.versions.get(key_of(content)) or short_md5(content.md5)


def short_md5(md5: str | None) -> str:
    """The first eight characters of an md5, and whether it is a folder's."""
    return f"{md5[:8]}{'.dir' if md5.endswith('.dir') else ''}" if md5 else "not there"


# ---- text ----


def text(graph: Graph, registry: RegistryNames, width: int) -> str:
    """A paragraph a stage, upstream first: what it reads and makes, under both names; no line is wider than `width`.

    An arrow says which stages a content comes from or goes to.
    """
    rows = {
        one.key: [("◂", dep, _maker_note(graph, dep)) for dep in one.reads]
        + [("▸", out, _readers_note(graph, out)) for out in one.outs]
        for one in graph.executions
    }
    unread = [
        content for key, content in graph.contents.items() if key not in graph.makers and key not in graph.readers
    ]
    shown = [(path, registry.version(content)) for path, content in _paths(rows, unread)]
    columns = _columns(shown, width)
    paragraphs = [
        "\n".join([_head(one, registry, width), *_body(rows[one.key], columns, registry, width)])
        for one in graph.executions
    ]
    if unread:
        paragraphs.append(
            "\n".join(["read by no stage", *_body([("", one, "") for one in unread], columns, registry, width)])
        )
    return "\n\n".join(paragraphs)


def _paths(rows: dict[str, list[tuple[str, Content, str]]], unread: list[Content]) -> list[tuple[str, Content]]:
    return [(one.path, one) for found in rows.values() for _, one, _ in found] + [(one.path, one) for one in unread]


def _columns(shown: list[tuple[str, str]], width: int) -> tuple[int, int]:
    """How wide paths and versions may be: as wide as they are, else they share what the md5 leaves."""
    paths = max((width_of(path) for path, _ in shown), default=0)
    versions = max((width_of(version) for _, version in shown), default=0)
    available = max(width - len("├◂ ") - len("12345678.dir") - 4, 20)
    if paths + versions <= available:
        return paths, versions
    paths = min(paths, max(available - versions, available * 55 // 100))
    return paths, available - paths


def _head(execution: Execution, registry: RegistryNames, width: int) -> str:
    parts = [execution.stage, execution.job_type if execution.job_type != execution.stage else ""]
    parts.append(f"run {registry.runs[execution.key]}" if execution.key in registry.runs else "")
    if registry.url and execution.key not in registry.runs:
        parts.append("no run")
    return truncate(" · ".join(filter(None, parts)), width)


def _body(
    rows: list[tuple[str, Content, str]], columns: tuple[int, int], registry: RegistryNames, width: int
) -> Iterable[str]:
    for at, (arrow, content, note) in enumerate(rows, start=1):
        last = at == len(rows)
        path, version = truncate(content.path, columns[0]), truncate(registry.version(content), columns[1])
        line = f"{'└' if last else '├'}{arrow or '─'} {pad(path, columns[0])}  {short_md5(content.md5):12}  {version}"
        if note and width_of(line) + 2 + width_of(note) > width:
            yield line.rstrip()
            yield truncate(f"{' ' if last else '│'}     {note}", width)
        else:
            yield f"{line}  {note}".rstrip()


def _maker_note(graph: Graph, dep: Content) -> str:
    maker = graph.makers.get(key_of(dep))
    return f"← {maker.stage}" if maker else ""


def _readers_note(graph: Graph, out: Content) -> str:
    readers = sorted(one.stage for one in graph.readers.get(key_of(out), []))
    return f"→ {', '.join(readers)}" if readers else ""


def width_of(shown: str) -> int:
    """How many columns of a terminal a text takes, as `truncate` shows it."""
    return wcwidth.wcswidth(_printable(shown))


def truncate(shown: str, width: int) -> str:
    """The text on one line, without its middle if it takes more than `width` columns."""
    shown = _printable(shown)
    if width_of(shown) <= width:
        return shown
    start, end = shown, ""
    while start and width_of(start) + width_of(end) + 1 > width:
        start = start[:-1]
        longer = shown[len(shown) - len(end) - 1 :]
        if width_of(longer) <= width // 2:
            end = longer
    return f"{start}…{end}"


def _printable(shown: str) -> str:
    return "".join(one if one.isprintable() else "�" for one in shown)


def pad(shown: str, width: int) -> str:
    """The text with blanks after it, so that it takes `width` columns."""
    return shown + " " * (width - width_of(shown))


# ---- Mermaid ----


def mermaid(graph: Graph, registry: RegistryNames) -> str:
    """A flowchart that GitHub draws from a ```mermaid block; of stages alone where `mermaid_limit` says so."""
    lines = _stage_flowchart(graph) if mermaid_limit(graph) else _full_flowchart(graph, registry)
    return "\n".join(["flowchart TD", *(f"  {line}" for line in lines)])


def mermaid_limit(graph: Graph) -> str:
    """A sentence where the flowchart would have more edges than GitHub draws; "" where it has them all."""
    edges = sum(len(one.reads) + len(one.outs) for one in graph.executions)
    if edges <= MAX_EDGES:
        return ""
    return (
        f"the flowchart has stages alone: all {edges} edges are more than the {MAX_EDGES} that it may have; "
        "`dvc-wandb show --svg` draws them."
    )


def _full_flowchart(graph: Graph, registry: RegistryNames) -> Iterable[str]:
    names = {key: f"c{at}" for at, key in enumerate(graph.contents)}
    for key, content in graph.contents.items():
        label = f"{_label(content.path)}<br>{_label(registry.caption(content))}"
        yield f'{names[key]}["{label}"]'
    for at, one in enumerate(graph.executions):
        yield f's{at}(["{_label(one.stage)}"])'
        yield from (f"{names[key]} --> s{at}" for key in dict.fromkeys(map(key_of, one.reads)))
        yield from (f"s{at} --> {names[key_of(out)]}" for out in one.outs)
    yield "classDef stage stroke-width:3px"
    if graph.executions:
        yield f"class {','.join(f's{at}' for at in range(len(graph.executions)))} stage"


def _stage_flowchart(graph: Graph) -> Iterable[str]:
    names = {one.key: f"s{at}" for at, one in enumerate(graph.executions)}
    for one in graph.executions:
        yield f'{names[one.key]}(["{_label(one.stage)}"])'
        makers = {maker.key for dep in one.reads if (maker := graph.makers.get(key_of(dep)))} - {one.key}
        yield from (f"{names[key]} --> {names[one.key]}" for key in names if key in makers)


def _label(shown: str) -> str:
    """A text that Mermaid shows as it is: what has a meaning there is written as the number of its character."""
    shown = truncate(shown, 48)
    return "".join(one if one.isalnum() or one in " /.-_:…" else f"#{ord(one)};" for one in shown)


# ---- JSON ----


def facts(
    graph: Graph, registry: RegistryNames, more: Callable[[Key], dict[str, Any]] = lambda _: {}
) -> dict[str, Any]:
    """The graph for programs: stages, contents, edges from node to node; `more` adds facts to a content."""
    return {
        "registry": registry.url,
        "stages": [
            {
                "stage": one.stage,
                "job_type": one.job_type,
                "cmd": one.cmd,
                "run": registry.runs.get(one.key),
                "reads": [{"path": dep.path, "md5": dep.md5} for dep in one.reads],
                "makes": [{"path": out.path, "md5": out.md5} for out in one.outs],
            }
            for one in graph.executions
        ],
        "contents": [
            {
                "path": content.path,
                "md5": content.md5,
                "kind": content.kind,
                "artifact": content.artifact,
                "type": registry.types.get(key, content.type),
                "version": registry.versions.get(key),
                "made_by": graph.makers[key].stage if key in graph.makers else None,
                **more(key),
            }
            for key, content in graph.contents.items()
        ],
    }

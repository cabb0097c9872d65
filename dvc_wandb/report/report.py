"""One page for those who review a commit: promotion, metrics and plots against a base, what ran, lineage.

The same facts as Markdown (a pull request, a CI job's summary) and as a self-contained HTML page.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dvc_wandb.production.decision import read_decision, read_json
from dvc_wandb.project import metrics, plots
from dvc_wandb.project.lock import Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.plots import Curves, Plot
from dvc_wandb.report import charts, execution_differences, graph_text
from dvc_wandb.report.graph import Graph
from dvc_wandb.report.graph_svg import svg


@dataclass(frozen=True)
class ComparedRevision:
    """A revision that the page is about, or compared with: its name for people, and its commit."""

    name: str
    commit: str | None


@dataclass(frozen=True)
class Decision:
    """The decision of a promoting stage, the models in production at the base and now, and whether it is signed."""

    stage: str
    sentence: str
    before: str
    now: str
    signature: str = ""


@dataclass(frozen=True)
class Metric:
    file: str
    name: str
    base: Any
    now: Any

    @property
    def change(self) -> float | None:
        numbers = [one for one in (self.base, self.now) if isinstance(one, int | float) and not isinstance(one, bool)]
        change = numbers[1] - numbers[0] if len(numbers) == 2 else 0
        return change if 0 < abs(change) < float("inf") else None


@dataclass(frozen=True)
class PipelineReport:
    project: str
    head: ComparedRevision
    base: ComparedRevision | None
    decisions: list[Decision]
    metrics: list[Metric]
    reruns: dict[str, list[str]]  # stage → what it was given otherwise than at the base
    plots: list[tuple[Plot, Plot | None]]
    graph: Graph
    registry: graph_text.RegistryNames


def collect(
    pipeline: Pipeline,
    project: str,
    head: ComparedRevision,
    base: ComparedRevision | None,
    registry: graph_text.RegistryNames,
    signatures: Mapping[str, str],
) -> PipelineReport:
    """The contents of the page. Without `base` nothing is compared. `signatures` say, by stage, what is signed."""
    base_pipeline = pipeline.at(base.commit) if base and base.commit else None
    executions, base_executions = pipeline.locked(), base_pipeline.locked() if base_pipeline else []
    base_plots = {plot.title: plot for plot in plots.read(base_pipeline)} if base_pipeline else {}
    return PipelineReport(
        project=project,
        head=head,
        base=base,
        decisions=[
            replace(_decision(pipeline, base_pipeline, one, base_executions), signature=signatures.get(one.stage, ""))
            for one in executions
            if one.meta.get("promotes")
        ],
        metrics=_metrics(metrics.read(pipeline), metrics.read(base_pipeline) if base_pipeline else {}),
        reruns=_reruns(executions, base_executions) if base else {},
        plots=[(plot, base_plots.get(plot.title)) for plot in plots.read(pipeline)],
        graph=Graph(executions, pipeline.added()),
        registry=registry,
    )


def _decision(
    pipeline: Pipeline, base_pipeline: Pipeline | None, execution: Execution, base_executions: list[Execution]
) -> Decision:
    sentence = read_decision(pipeline, execution).get("decision", "")
    path = execution.meta["promotes"]
    past = next((one for one in base_executions if one.stage == execution.stage), None)
    before = _production(read_json(base_pipeline, past, path)) if base_pipeline and past else "nothing"
    return Decision(execution.stage, sentence, before, _production(read_json(pipeline, execution, path)))


def _production(record: dict[str, Any]) -> str:
    md5 = record.get("model_md5")
    return f"{record.get('registered_model') or 'model'} {md5[:8]}" if isinstance(md5, str) else "nothing"


def _metrics(now: dict[str, dict[str, Any]], before: dict[str, dict[str, Any]]) -> list[Metric]:
    """The metrics of both revisions by file and name, without texts."""
    compared = []
    for file in sorted(now.keys() | before.keys()):
        new, old = now.get(file, {}), before.get(file, {})
        for name in sorted(new.keys() | old.keys()):
            if not isinstance(new.get(name), str):
                compared.append(Metric(file, name, old.get(name), new.get(name)))
    return compared


def _reruns(executions: list[Execution], old: list[Execution]) -> dict[str, list[str]]:
    before = {one.stage: one for one in old}
    found = {
        one.stage: execution_differences.describe_changes(before.get(one.stage), one)
        or ["other bytes from the same command and inputs"]
        for one in executions
        if one.stage not in before or before[one.stage].key != one.key
    }
    gone = before.keys() - {one.stage for one in executions}
    return found | {stage: ["the stage is gone"] for stage in sorted(gone)}


# ---- pages ----


def markdown(report: PipelineReport) -> str:
    return _page("report.md", report, escape=False)


def html(report: PipelineReport) -> str:
    return _page("report.html", report, escape=True)


def page_environment(escape: bool) -> Any:
    """What renders a template of this folder: as HTML, or with texts that Markdown shows as they are."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dvc_wandb.report"),
        autoescape=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "plain": escape_markdown,
        "number": format_metric,
        "signed": format_change,
        "data": _data_url,
    }
    environment.globals["short"] = graph_text.short_md5
    return environment


def _page(template: str, report: PipelineReport, escape: bool) -> str:
    environment = page_environment(escape)
    drawing = svg(report.graph, report.registry, f"Lineage of {report.project}") if escape else ""
    return environment.get_template(template).render(
        report=report,
        mermaid=lambda: graph_text.mermaid(report.graph, report.registry),
        mermaid_limit=lambda: graph_text.mermaid_limit(report.graph),
        xychart=xychart,
        lineage=drawing,
        chart=charts.chart,
        colours=range(charts.COLOURS),
    )


def format_metric(value: Any) -> str:
    """A metric for people: six digits, whole numbers as they are, nothing as a dash."""
    return "–" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def format_change(change: float | None) -> str:
    """A difference for people, with its sign; nothing where there is none."""
    return "" if change is None else f"{change:+.6g}"


def escape_markdown(text: Any) -> str:
    """A text that Markdown shows as it is, in a table too."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", str(text)).replace("\n", " ")


def xychart(curves: Curves) -> str:
    """The curves as Mermaid's own chart, which GitHub draws."""
    first = next(iter(curves.lines.values()))
    ticks = ", ".join(f"{x:g}" for x, _ in first)
    lines = [f"  line [{', '.join(f'{y:.6g}' for _, y in points)}]" for points in curves.lines.values()]
    words = {"title": curves.title, "x": curves.x or "row"}
    safe = {name: re.sub(r'["\n`]', "'", text) for name, text in words.items()}
    return "\n".join(["xychart-beta", f'  title "{safe["title"]}"', f'  x-axis "{safe["x"]}" [{ticks}]', *lines])


def _data_url(picture: plots.Picture) -> str:
    return f"data:{picture.media};base64,{base64.b64encode(picture.content).decode()}"

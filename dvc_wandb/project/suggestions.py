"""Suggests lines for a project's files, so that its lineage is complete. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dvc_wandb.project import git
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_name, setting
from dvc_wandb.project.undeclared import undeclared_deps

IGNORED = (".registry/", "wandb/")  # the embedded registry's data; what the SDK leaves behind


@dataclass(frozen=True)
class Suggestion:
    """Lines for a file, and why; if `file` is "", a command to run. Nothing breaks without an `optional` one."""

    file: str
    lines: list[str]
    why: str
    optional: bool = True


def for_folder(folder: Path) -> Iterator[Suggestion]:
    """What a folder needs that is no DVC project yet."""
    if not git.output_or_none(folder, "rev-parse", "--git-dir"):
        yield Suggestion("", ["git init"], "commits are what lineage is told by", optional=False)
    yield Suggestion("", ["dvc init", "dvc stage add …"], "there is no .dvc folder here or above", optional=False)


def for_project(pipeline: Pipeline) -> Iterator[Suggestion]:
    """What `pipeline` lacks, the necessary first."""
    root = pipeline.root
    if git.output_or_none(root, "rev-parse", "--git-dir"):
        not_ignored = [f"/{name}" for name in IGNORED if git.output_or_none(root, "check-ignore", f"{name}x") is None]
        if not_ignored:
            yield Suggestion(
                ".gitignore", not_ignored, "the embedded registry's data are no part of the project", False
            )
    else:
        yield Suggestion("", ["git init"], "without commits, runs have none and `--all-commits` nothing to walk")
    locked = pipeline.locked()
    if not locked:
        yield Suggestion("", ["dvc repro"], "dvc.lock names nothing that could be mirrored yet", optional=False)
    undeclared = pipeline.undeclared_deps(dict.fromkeys(pipeline.stages, ()))
    for file, lines in undeclared_deps.dvc_yaml_lines(undeclared).items():
        yield Suggestion(file, lines, "stages read these, and DVC doesn't run them again when one changes", False)
    if not setting(root, "project"):
        yield Suggestion("params.yaml", [f"project: {project_name(root)}"], "the W&B project, the same for everybody")
    yield from _job_types(locked)
    yield from _artifact_sections(locked)


def _job_types(locked: list[Execution]) -> Iterator[Suggestion]:
    """Job types for the stages that have none; foreach and matrix say it once, in `do` or beside the command."""
    unnamed = [one.stage for one in locked if "job_type" not in one.meta and not one.stage.endswith(".dvc")]
    files: dict[str, list[str]] = {}
    for address in unnamed:
        file, _, name = address.rpartition(":")
        names = files.setdefault(file or "dvc.yaml", [])
        if (stage_name := name.partition("@")[0]) not in names:
            names.append(stage_name)
    for file, names in files.items():
        lines = ["stages:"]
        for name in names:
            lines += [f"  {name}:", f"    meta: {{wandb: {{job_type: {name}}}}}"]
        yield Suggestion(file, lines, "what kind of job a stage is; else its name is taken")


def _artifact_sections(locked: list[Execution]) -> Iterator[Suggestion]:
    """Names and types for the outs that have none of their own, metrics and plots left out."""
    outs = [out for one in locked for out in one.outs if out.kind == "out" and out.type == "data"]
    if outs:
        lines = ["artifacts:", *(f"  {_name(out)}: {{path: {out.path}, type: dataset}}" for out in outs)]
        yield Suggestion(
            "dvc.yaml", lines, "names and types (dataset, model, …) of your own; else they are made from paths"
        )


def _name(out: Content) -> str:
    """The artifact's name in the characters that DVC allows: letters, digits, hyphens and underscores."""
    return (out.artifact.rpartition("--")[0] or out.artifact).replace(".", "_")

"""Suggests lines for a project's files, so that its lineage is complete. Changes nothing."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from dvc_wandb.project import git, remedies
from dvc_wandb.project.lock import Execution
from dvc_wandb.project.packages import package_locks, packages_file
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_name, setting
from dvc_wandb.project.undeclared import undeclared_deps
from dvc_wandb.project.undeclared.yaml_lines import as_yaml, stage_lines, yaml_keeps

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
    if command := remedies.for_no_commits(pipeline.dvc):
        yield Suggestion("", [command], "without commits, runs have none and `--all-commits` nothing to walk")
    locked = pipeline.locked()
    if not locked:
        command = remedies.for_stages_that_never_ran(pipeline.dvc)
        yield Suggestion("", [command], "dvc.lock names nothing that could be mirrored yet", optional=False)
    undeclared = pipeline.undeclared_deps(dict.fromkeys(pipeline.stages, ()))
    for file, lines in undeclared_deps.dvc_yaml_lines(undeclared).items():
        yield Suggestion(file, lines, "stages read these, and DVC doesn't run them again when one changes", False)
    if compiled := pipeline.dvc.compiled_deps():
        why = f"DVC takes what Python compiles in {', '.join(compiled)} for a part of it, which no other clone has so"
        yield Suggestion(".dvcignore", ["__pycache__/"], why, False)
    if not setting(root, "project"):
        yield Suggestion(
            "params.yaml", [f"project: {as_yaml(project_name(root))}"], "the W&B project, the same for everybody"
        )
    yield from _packages(pipeline)
    yield from _job_types(pipeline, locked)
    yield from _artifact_sections(pipeline, locked)


def _packages(pipeline: Pipeline) -> Iterator[Suggestion]:
    """The packages that stages import, as parameters, where a lock file has their versions."""
    lock = package_locks.find(pipeline.root)
    if lock is None:
        return
    named = pipeline.named_params(packages_file.NAME)
    files: dict[str, list[str]] = {}
    for address, packages in packages_file.imported_by(pipeline, package_locks.read(lock)).items():
        missing = [one for one in packages if one not in named[address]]
        file, _, name = address.rpartition(":")
        if missing and not named[address] and "@" not in name and not name.endswith(".dvc"):
            entry = f"params: [{{{packages_file.NAME}: [{', '.join(map(as_yaml, missing))}]}}]"
            files.setdefault(file or "dvc.yaml", []).extend(stage_lines(name, [entry], False))
    for file, lines in files.items():
        why = (
            f"another version of a package in {lock.name} then runs the stages that import it again; keep what matters"
        )
        yield Suggestion(file, ["stages:", *lines], why)
    if files and not (pipeline.root / packages_file.NAME).exists():
        yield Suggestion(
            "", ["dvc-wandb lock"], f"writes {packages_file.NAME} from {lock.name}, now and after each change"
        )


def _job_types(pipeline: Pipeline, locked: list[Execution]) -> Iterator[Suggestion]:
    """Job types for the stages that have none; `foreach` and `matrix` say it once for all."""
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
            entry = [f"meta: {{wandb: {{job_type: {as_yaml(name)}}}}}"]
            lines += stage_lines(name, entry, pipeline.dvc.is_foreach(file, name))
        yield Suggestion(file, lines, "what kind of job a stage is; else its name is taken")


def _artifact_sections(pipeline: Pipeline, locked: list[Execution]) -> Iterator[Suggestion]:
    """Names and types for the outs that have none of their own, metrics and plots left out."""
    outs = [out for one in locked for out in one.outs if out.kind == "out" and out.type == "data"]
    if outs:
        names = dvc_names({out.path: out.artifact for out in outs}, pipeline.dvc.artifact_sections.get(".", {}))
        lines = [f"  {names[out.path]}: {{path: {as_yaml(out.path)}, type: dataset}}" for out in outs]
        why = "names and types (dataset, model, …) of your own; else they are made from paths"
        yield Suggestion("dvc.yaml", ["artifacts:", *lines], why)


def dvc_names(artifacts: dict[str, str], taken: Container[str]) -> dict[str, str]:
    """A name for the artifact of each path as DVC allows it: letters, digits, hyphens and underscores, each once."""
    names = {path: _dvc_name(artifact) for path, artifact in artifacts.items()}
    count = Counter(names.values())
    return {
        path: f"{name}-{hashlib.md5(path.encode()).hexdigest()[:8]}" if count[name] > 1 or name in taken else name
        for path, name in names.items()
    }


def _dvc_name(artifact: str) -> str:
    name = (artifact.rpartition("--")[0] or artifact).replace(".", "_").strip("_-")
    return name if re.match("[a-z]", name, re.IGNORECASE) and yaml_keeps(name) else f"out-{name}".rstrip("-")

"""Writes one stage execution into an open W&B run: the same for a stage that runs and for one made up later.

    dependencies → use_artifact      outputs → log_artifact      registered models → link_artifact

A run that holds all of its execution carries the tag `dvc-<key>`: set last, so that what was interrupted is
seen and made up.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lineage import media
from lineage.errors import LineageError
from lineage.pipeline import Content, Execution, Pipeline

if TYPE_CHECKING:
    import wandb


def tag(execution: Execution) -> str:
    """The tag of the runs that hold all of `execution`."""
    return f"dvc-{execution.key}"


def config(execution: Execution) -> dict[str, Any]:
    """The run's config: the stage's parameters, and what DVC knows of the execution under `dvc`."""
    nested: dict[str, Any] = {}
    for file, values in sorted(execution.params.items()):
        place = nested if file == "params.yaml" else nested.setdefault(file.removesuffix(".yaml"), {})
        for key, value in values.items():
            *parents, last = key.split(".")
            inner = place
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = value
    facts = {
        "stage": execution.stage,
        "cmd": execution.cmd,
        "deps": {dep.path: dep.md5 for dep in execution.deps},
        "outs": {out.path: out.md5 for out in execution.outs},
    }
    return {**nested, "dvc": facts}


def described(execution: Execution) -> dict[str, Any]:
    """What `wandb.init` is told of an execution: the run's name, job type, notes, group and config."""
    return {
        "name": execution.stage,
        "job_type": execution.job_type,
        "notes": execution.desc or None,
        "group": os.environ.get("DVC_EXP_NAME"),
        "config": config(execution),
    }


def use_inputs(run: wandb.Run, execution: Execution) -> None:
    """Declare the dependencies as the run's inputs, each found by its content alias."""
    through = execution.meta.get("uses") or {}
    for dep in execution.deps:
        run.use_artifact(f"{through.get(dep.path, dep.artifact)}:{dep.alias}")


def log_outputs(run: wandb.Run, pipeline: Pipeline, execution: Execution) -> None:
    """Log the outputs, link and describe them; returns when the registry has them all."""
    log_contents(run, pipeline, execution.outs, execution.meta.get("views"))
    for path, target in (execution.meta.get("links") or {}).items():
        dep = next((dep for dep in execution.deps if dep.path == path), None)
        if dep is None:
            raise LineageError(f"dvc.yaml: stage '{execution.stage}' links {path}, which is not among its deps.")
        version = run.use_artifact(f"{dep.artifact}:{dep.alias}")
        run.link_artifact(version, target, aliases=[dep.alias])
    shown = {**media.summary(pipeline, execution), **media.pictures(pipeline, execution)}
    if shown:
        run.log(shown)
    run.config.update(config(execution), allow_val_change=True)


def mark_complete(run: wandb.Run, execution: Execution) -> None:
    run.tags = tuple({*(run.tags or ()), tag(execution)})


def log_contents(run: wandb.Run, pipeline: Pipeline, contents: Iterable[Content], views: str | None = None) -> None:
    """Log each of `contents` as a version under its content alias, all uploads at once, and wait for them."""
    logged = [
        run.log_artifact(_artifact(pipeline, content, views), aliases=[content.alias])
        for content in contents
        if content.md5
    ]
    for artifact in logged:
        artifact.wait()


def _artifact(pipeline: Pipeline, content: Content, views: str | None) -> wandb.Artifact:
    """The files of `content`, byte for byte under their own names, and beside them its views for people."""
    import wandb

    artifact = wandb.Artifact(
        content.artifact,
        content.type,
        description=content.desc or None,
        metadata={"dvc": {"path": content.path, "md5": content.md5}},
    )
    for name, path in pipeline.files(content).items():
        artifact.add_file(str(path), name, skip_cache=True, policy="immutable")
    if views and content.kind == "out":
        module, _, function = views.partition(":")
        for name, value in getattr(importlib.import_module(module), function)(pipeline.at_hand(content)).items():
            artifact.add(value, name)
    return artifact

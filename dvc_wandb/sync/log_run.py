"""Writes an execution to an open W&B run: for a stage that runs now, and for one that is mirrored later.

    dependencies → use_artifact      outputs → log_artifact      registered models → link_artifact

A run that mirrors all of its execution has the tag `dvc-<key>`. The tag is set last, so `mirror` sees an interrupted
run and completes it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any, TypeVar

from dvc_wandb.client import collection_types
from dvc_wandb.client.versions import ManifestEntry
from dvc_wandb.errors import DvcWandbError, RegistryUnavailableError, error_reason
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.sync import claims, media
from dvc_wandb.sync.compare import digest_of, expected_files, reference_name, reference_url, values_at_top
from dvc_wandb.sync.locks import exclusive

if TYPE_CHECKING:
    import wandb

_Result = TypeVar("_Result")


def config(execution: Execution) -> dict[str, Any]:
    """The run's config: the stage's parameters, and under `dvc` its command, dependencies and outputs."""
    nested: dict[str, Any] = {}
    top_level_keys = {key.partition(".")[0] for key in execution.params.get("params.yaml", {})}
    for file, values in execution.params.items():
        short = file.removesuffix(".yaml")
        prefix = short if short not in {"dvc", *top_level_keys} else file
        for key, value in values.items():
            at_top = file == "params.yaml" and key.partition(".")[0] != "dvc"
            *parents, last = key.split(".") if at_top else [prefix, *key.split(".")]
            inner = nested
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = value
    facts = {
        "stage": execution.stage,
        "cmd": execution.cmd,
        "deps": {dep.path: dep.md5 for dep in execution.deps},
        "outs": {out.path: out.md5 for out in execution.outs},
    }
    if execution.undeclared_deps:
        facts["undeclared_deps"] = list(execution.undeclared_deps)
    return {**nested, "dvc": facts}


def init_arguments(execution: Execution) -> dict[str, Any]:
    """The arguments of `wandb.init` for an execution: name, job type, notes, group and config."""
    return {
        "name": execution.stage,
        "job_type": execution.job_type,
        "notes": execution.desc or None,
        "group": os.environ.get("DVC_EXP_NAME"),
        "config": config(execution),
    }


def use_inputs(run: wandb.Run, execution: Execution, skip: Iterable[str] = ()) -> None:
    """Declare the dependencies as the run's inputs, each by its content alias, without the paths in `skip`."""
    collections = execution.meta.get("uses") or {}
    for dep in execution.reads:
        if dep.path not in skip:
            run.use_artifact(f"{collections.get(dep.path, dep.versioned.artifact)}:{dep.versioned.alias}")


@dataclass(frozen=True)
class Logged:
    """What became of the outputs: an error for all that isn't logged, a sentence for each limit of a run."""

    errors: list[DvcWandbError]
    limits: list[str]


def log_outputs(run: wandb.Run, pipeline: Pipeline, execution: Execution, whole: Execution | None = None) -> Logged:
    """Log the outputs, links, metrics and media of an execution, or of the part of a `whole` one that is at hand.

    Returns when the registry has them.
    """
    refused = log_contents(run, pipeline, execution.outs, execution.meta.get("views"))
    not_linked = link(run, execution)
    values = log_values(run, pipeline, execution, whole)
    return Logged([*refused, *not_linked, *values.errors], values.limits)


def log_new_history(run: wandb.Run, pipeline: Pipeline, execution: Execution) -> None:
    """Log the columns of the history that the run lacks, each row with its step."""
    logged = dict(run.summary).keys()
    for row in media.history(pipeline, execution):
        new = {column: value for column, value in row.items() if column not in logged}
        if new:
            run.log({column: value for column, value in row.items() if column in new or column in media.AXES})


def log_values(run: wandb.Run, pipeline: Pipeline, execution: Execution, whole: Execution | None = None) -> Logged:
    """Log the metrics and media that the run lacks, and its config."""
    errors: list[DvcWandbError] = []
    limits: list[str] = []
    values: dict[str, Any] = {}
    for read in (
        partial(media.summary, pipeline, execution),
        partial(media.pictures, pipeline, execution, limits),
        partial(media.tables, pipeline, execution, limits),
    ):
        try:
            values |= read()
        except DvcWandbError as error:  # of a function of the project's, say; the others are logged
            errors.append(error)
    logged = dict(run.summary)  # by an interrupted mirror
    new = {name: value for name, value in values.items() if name not in logged}
    if new:
        run.log(new)
    shadowed = {name: value for name, value in values.items() if name in logged and _is_another(value, logged[name])}
    if shadowed:
        run.summary.update(shadowed)
    facts = config(whole or execution)
    shown = values_at_top(pipeline, execution)
    facts["dvc"] |= {key: found for key, found in (("limits", limits), ("shown", shown)) if found}
    run.config.update(facts, allow_val_change=True)
    return Logged(errors, limits)


def _is_another(value: Any, logged: Any) -> bool:
    """Whether a metric isn't what the summary has: a plot's last row, where its column has the metric's name."""
    return isinstance(value, int | float | str) and value != logged


def link(run: wandb.Run, execution: Execution) -> list[DvcWandbError]:
    """Link dependencies to the registered models in `meta.wandb.links`; an error for each that isn't linked."""
    errors: list[DvcWandbError] = []
    for path, target in (execution.meta.get("links") or {}).items():
        dep = next((dep for dep in execution.deps if dep.path == path), None)
        if dep is None:
            errors.append(
                DvcWandbError(f"dvc.yaml: stage '{execution.stage}' links {path}, which is not among its deps.")
            )
            continue
        try:
            version = run.use_artifact(f"{dep.artifact}:{dep.alias}")
            run.link_artifact(version, target, aliases=[dep.alias])
        except RegistryUnavailableError:
            raise
        except Exception as error:  # of this link
            errors.append(DvcWandbError(f"{path} is not linked to {target}: {error_reason(error)}"))
    return errors


def mark_complete(run: wandb.Run, execution: Execution) -> None:
    """Tag the run: it mirrors all of `execution`."""
    run.tags = tuple(dict.fromkeys([*(run.tags or ()), execution.inputs_tag, execution.tag]))


def files_of(pipeline: Pipeline, content: Content) -> dict[str, Path]:
    """The files of `content` by name. Raises DvcWandbError if bytes are missing, or the SDK refuses a name."""
    files = {} if content.kind == "reference" else pipeline.files(content)
    for name in files:
        on_windows = PureWindowsPath(name)
        if on_windows.anchor or ".." in on_windows.parts:
            raise DvcWandbError(
                f"in {content.path} is a file named {name!r}, and W&B takes none whose name would lead out of its "
                "folder on Windows; give it another name"
            )
    return files


class NotLoggedError(DvcWandbError):
    """A content that can't be logged, or that the registry refuses."""

    def __init__(self, content: Content, error: Exception) -> None:
        reason = error_reason(error)
        super().__init__(reason if content.path in reason else f"{content.path}: {reason}")
        self.path, self.reason = content.path, reason


def log_contents(
    run: wandb.Run, pipeline: Pipeline, contents: Iterable[Content], views: str | None = None
) -> list[NotLoggedError]:
    """Log each of `contents` as a version with its content alias. Uploads them together, and waits.

    An error for each that can't be logged. Raises RegistryUnavailableError.
    """
    errors: list[NotLoggedError] = []

    def attempt(content: Content, work: Callable[[], _Result]) -> _Result | None:
        try:
            return work()
        except RegistryUnavailableError:
            raise
        except Exception as error:  # of this content; the others are logged
            errors.append(NotLoggedError(content, error))
            return None

    contents = [content for content in contents if content.md5]
    claims.claim(str(run.settings.base_url), pipeline, contents)
    types = collection_types.read(run, list(dict.fromkeys(content.artifact for content in contents)))
    made = [
        (content, attempt(content, partial(_make_artifact, run, pipeline, content, types, views)))
        for content in contents
    ]
    claims.send_small(run, [artifact for _, artifact in made if artifact])
    with exclusive(pipeline.root, "logs"):
        logged = [
            (content, artifact.metadata, attempt(content, partial(run.log_artifact, artifact, aliases=[content.alias])))
            for content, artifact in made
            if artifact
        ]
        for content, metadata, artifact in logged:
            if artifact:
                attempt(content, partial(_wait_for, artifact, metadata))
    return errors


def _wait_for(artifact: wandb.Artifact, metadata: dict[str, Any]) -> None:
    """Wait until the registry has `artifact`, described by `metadata`."""
    artifact.wait()
    if artifact.metadata.get("dvc") != metadata["dvc"]:  # equal bytes are there, which somebody described anew
        artifact.metadata = {**artifact.metadata, **metadata}
        artifact.save()


def _give_type(run: wandb.Run, content: Content, types: dict[str, str]) -> str:
    """The type that the collection of `content` has, by `types`. First gives it the one that dvc.yaml says now."""
    before = types.get(content.artifact, content.type)
    if not content.is_type_declared or content.type == before:
        return before
    collection_types.change(run, content.artifact, before, content.type)
    types[content.artifact] = content.type
    return content.type


def _make_artifact(
    run: wandb.Run, pipeline: Pipeline, content: Content, types: dict[str, str], views: str | None
) -> wandb.Artifact:
    """An artifact with the files of `content`, byte for byte, and its views; `types` are those of collections."""
    import wandb

    kind = _give_type(run, content, types)
    artifact = wandb.Artifact(content.artifact, kind, description=content.desc or None)
    metadata = {"path": content.path, "md5": content.md5}
    if content.kind == "reference":
        _add_reference(artifact, content)
    else:
        _add_files(artifact, pipeline, content)
        if views and content.kind == "out":
            metadata["views"] = _add_views(artifact, pipeline, content, views)
    artifact.metadata = {"dvc": metadata}
    return artifact


def _add_files(artifact: wandb.Artifact, pipeline: Pipeline, content: Content) -> None:
    """Add the files of `content`. Raises DvcWandbError if one doesn't have the md5 of dvc.lock."""
    files = files_of(pipeline, content)
    expected = expected_files(pipeline, content) or {}
    for name, path in files.items():
        entry = artifact.add_file(str(path), name, skip_cache=True, policy="immutable")
        if name not in expected or entry.digest != expected[name].digest:
            full_name = content.path if len(files) == 1 else f"{content.path}/{name}"
            raise pipeline.mismatch_error(content, full_name, path, expected[name].md5)


def _add_reference(artifact: wandb.Artifact, content: Content) -> None:
    """Add a reference to what is outside of the project; its digest is what dvc.lock has."""
    name = reference_name(content)
    (entry,) = artifact.add_reference("dvc:reference", name, checksum=False)  # a URL of which the SDK makes no request
    artifact.remove(entry)
    artifact.manifest.add_entry(entry.model_copy(update={"ref": reference_url(content), "digest": str(content.md5)}))


def _add_views(artifact: wandb.Artifact, pipeline: Pipeline, content: Content, views: str) -> str:
    """Add the tables and pictures that the function `views` makes. Returns a digest of them."""
    files = set(artifact.manifest.entries)
    for name, value in media.call_project_function(views, pipeline, pipeline.locate(content)).items():
        _add_media(artifact, value)
        artifact.add(value, name)
    added = artifact.manifest.entries
    return digest_of({name: ManifestEntry(str(entry.digest)) for name, entry in added.items() if name not in files})


def _add_media(artifact: wandb.Artifact, value: Any) -> None:
    """Add the pictures and other media in a table from the SDK's own temporary files, under the names that it gives.

    By itself the SDK copies each before it sends it, and again afterwards.
    """
    import wandb
    from wandb.sdk.data_types.base_types.media import Media

    cells = (cell for row in value.data for cell in row) if isinstance(value, wandb.Table) else ()
    for cell in cells:
        path = getattr(cell, "_path", None)
        if isinstance(cell, Media) and path and getattr(cell, "_is_tmp", False):
            name = f"{cell.get_media_subdir()}/{Path(path).name}"
            artifact.add_file(path, name, is_tmp=True, skip_cache=True, policy="immutable")

"""Makes the registry agree with dvc.lock: for stages that ran elsewhere, or without the registry.

Idempotent: leaves alone what is there. A run's id is made from its execution's content, so an interrupted mirror
resumes the same run. A run that lacks something is completed. A run with an input that DVC doesn't know loses its tag,
and another run is made.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvc_wandb.client import local_server
from dvc_wandb.client.connection import RegistryConnection, open_run, public_api, start_sdk
from dvc_wandb.client.versions import ExecutionRun
from dvc_wandb.errors import DvcWandbError, RegistryUnavailableError, error_reason
from dvc_wandb.project import cache
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import tmp_folder
from dvc_wandb.sync import compare, log_run, media
from dvc_wandb.sync.locks import exclusive
from dvc_wandb.sync.mirrored_project import MirroredProject

if TYPE_CHECKING:
    import wandb

# Record nothing of this machine: its packages, load and terminal are not those of the execution.
RUN_SETTINGS: dict[str, Any] = {
    "console": "off",
    "disable_git": True,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}


MAX_RUNS = 50  # after which the SDK's service process is restarted


@dataclass(frozen=True)
class NotMirrored:
    """A stage or a source that could not be mirrored, and why not."""

    name: str
    why: str


@dataclass
class RunCounter:
    """Counts the runs of this process. The SDK's service process keeps some 4 MB of each."""

    count: int = 0

    def increment(self) -> None:
        """Count a run. Restarts the service process after some; no run may be open."""
        self.count += 1
        if self.count >= MAX_RUNS:
            import wandb

            wandb.teardown()
            self.count = 0


def mirror_executions(
    pipeline: Pipeline,
    connection: RegistryConnection,
    registry: MirroredProject,
    executions: list[Execution],
    added: Iterable[Content] = (),
    experiment: str | None = None,
    runs: RunCounter | None = None,
) -> list[NotMirrored]:
    """Mirror the `executions` that the registry lacks in full or in part, in their order, and the `added` files.

    Pass `runs` if no other run is open in this process. Raises RegistryUnavailableError if the registry stops
    answering.
    """
    with exclusive(pipeline.root, "mirror"):
        finish_killed_run(pipeline, connection)
        compare.load(registry, executions, added)
        failures = _mirror_sources(pipeline, connection, registry, source_contents(executions, added))
        for at, execution in enumerate(executions, start=1):
            if next(compare.execution_drifts(pipeline, registry, execution, read_manifests=False), None) is None:
                continue
            print(f"mirroring {execution.stage} … ({at} of {len(executions)})", file=sys.stderr, flush=True)
            undeclared = tuple(one.path for one in pipeline.undeclared_deps({execution.stage: ()}))
            execution = replace(execution, undeclared_deps=undeclared)
            try:
                errors = _mirror_execution(pipeline, connection, registry, execution, experiment)
                failures += [NotMirrored(execution.stage, error_reason(error)) for error in errors]
            except RegistryUnavailableError:  # the other stages would fail too
                raise
            except Exception as error:  # go on with the other stages
                connection.check()
                failures.append(NotMirrored(execution.stage, error_reason(error)))
            registry.forget(execution.outs, execution)
            if runs:
                runs.increment()
        if connection.embedded:
            outs = (out for execution in executions for out in execution.outs)
            local_server.share(pipeline.root, cache.unshared_objects(pipeline, [*outs, *added]).items())
    return failures


def source_contents(executions: list[Execution], added: Iterable[Content]) -> list[Content]:
    """The dependencies of `executions` that none of them makes, and the `added` files."""
    outs = {out for execution in executions for out in execution.outs}
    reads = (one.versioned for execution in executions for one in execution.reads)
    return [*(one for one in reads if one not in outs), *added]


def mirror_sources(
    pipeline: Pipeline, connection: RegistryConnection, registry: MirroredProject, contents: Iterable[Content]
) -> list[NotMirrored]:
    """Log `contents` that no stage makes: code, and files added by hand. So every edge has two ends."""
    with exclusive(pipeline.root, "mirror"):
        finish_killed_run(pipeline, connection)
        return _mirror_sources(pipeline, connection, registry, contents)


def _mirror_sources(
    pipeline: Pipeline, connection: RegistryConnection, registry: MirroredProject, contents: Iterable[Content]
) -> list[NotMirrored]:
    sources = list(dict.fromkeys(content for content in contents if content.md5))
    registry.load(sources)
    missing, failures = [], []
    for source in sources:
        if any(True for _ in compare.content_drifts(pipeline, registry, source, read_manifests=False)):
            try:
                log_run.files_of(pipeline, source)
                missing.append(source)
            except DvcWandbError as error:
                failures.append(NotMirrored(source.path, error_reason(error)))
    if missing:
        failures += _log_sources(pipeline, connection, missing, sources)
        registry.forget(missing)
        registry.load(missing)
    return failures


def _log_sources(
    pipeline: Pipeline, connection: RegistryConnection, sources: list[Content], batch: list[Content]
) -> list[NotMirrored]:
    """Log `sources` in one run, whose id is made from their `batch`, so an interrupted mirror resumes it."""
    names = "".join(sorted(f"{source.path}:{source.md5}\n" for source in batch))
    key = hashlib.md5(names.encode()).hexdigest()[:16]
    try:
        with _run(pipeline, connection, f"sources-{key}", pipeline.commit, name="sources", job_type="sources") as run:
            errors = log_run.log_contents(run, pipeline, sources)
    except RegistryUnavailableError:
        raise
    except Exception as error:
        connection.check()
        return [NotMirrored(source.path, error_reason(error)) for source in sources]
    if errors:
        connection.check()
    return [NotMirrored(error.path, error.reason) for error in errors]


def _mirror_execution(
    pipeline: Pipeline,
    connection: RegistryConnection,
    registry: MirroredProject,
    execution: Execution,
    experiment: str | None,
) -> list[DvcWandbError]:
    """Mirror all of `execution` in one run: complete an existing one, or create a new one.

    What lacks bytes or is refused is left out; returns an error for each.
    """
    complete = []
    for run in registry.runs(execution):
        if compare.unknown_inputs(pipeline, registry, execution, run):
            _remove_tag(connection, run, execution)
        else:
            complete.append(run)
    available, errors = _available_part(pipeline, registry, execution)
    if complete:
        refused = _complete_run(pipeline, connection, registry, execution, available, complete[0])
    else:
        refused = _create_run(pipeline, connection, registry, execution, available, experiment)
    if refused:
        connection.check()
    return [*errors, *refused]


def _available_part(
    pipeline: Pipeline, registry: MirroredProject, execution: Execution
) -> tuple[Execution, list[DvcWandbError]]:
    """The part of `execution` that can be mirrored: outs with bytes, deps with a version. And errors for the rest."""
    errors: list[DvcWandbError] = []
    outs = []
    for out in execution.outs:
        try:
            log_run.files_of(pipeline, out)
            outs.append(out)
        except DvcWandbError as error:
            errors.append(error)
    deps, parts = (
        tuple(one for one in contents if registry.version_of(one.versioned))
        for contents in (execution.deps, execution.parts)
    )
    missing = [one for one in execution.reads if one not in (*deps, *parts)]
    errors += [DvcWandbError(f"{one.path}, which it reads, is not there") for one in missing]
    if not errors:
        return execution, errors
    links = {path: to for path, to in execution.meta.get("links", {}).items() if path in {dep.path for dep in deps}}
    meta = {**execution.meta, "links": links, "tables": None}  # a table needs all of its data
    return replace(execution, outs=tuple(outs), deps=deps, parts=parts, meta=meta), errors


def _create_run(
    pipeline: Pipeline,
    connection: RegistryConnection,
    registry: MirroredProject,
    execution: Execution,
    available: Execution,
    experiment: str | None,
) -> list[DvcWandbError]:
    """Create a run for `execution` with the `available` part of it; an error for all that is refused."""
    used_ids = {one.id for one in registry.runs_with_same_inputs(execution)}
    name = f"{_slug(execution.stage)[:90]}-{execution.key}"
    run_id = next(one for one in (name, *(f"{name}-{n}" for n in range(2, 100))) if one not in used_ids)
    arguments = {**log_run.init_arguments(execution), "group": experiment}
    with _run(pipeline, connection, run_id, pipeline.commit, **arguments) as run:
        log_run.use_inputs(run, available)
        rows = media.history(pipeline, available)
        for row in rows[run.step :]:  # an interrupted mirror logged the first ones
            run.log(row)
        logged = log_run.log_outputs(run, pipeline, available, execution)
        if available == execution and not logged.errors:
            log_run.mark_complete(run, execution)
    for limit in logged.limits:
        print(f"{execution.stage}: {limit}.", file=sys.stderr)
    return logged.errors


def _complete_run(
    pipeline: Pipeline,
    connection: RegistryConnection,
    registry: MirroredProject,
    execution: Execution,
    available: Execution,
    existing: ExecutionRun,
) -> list[DvcWandbError]:
    """Add to a run what it lacks of the `available` part of `execution`; an error for all that is refused."""
    drifted = [
        out
        for out in available.outs
        if (version := registry.version_of(out)) is None
        or version.id not in existing.outputs
        or any(True for _ in compare.content_drifts(pipeline, registry, out, read_manifests=False))
    ]
    versions = {dep.path: registry.version_of(dep.versioned) for dep in available.reads}
    used_paths = [path for path, version in versions.items() if version and version.id in existing.inputs]
    with _run(pipeline, connection, existing.id) as run:
        log_run.use_inputs(run, available, skip=used_paths)
        refused: list[DvcWandbError] = [*log_run.log_contents(run, pipeline, drifted, available.meta.get("views"))]
        refused += log_run.link(run, available)
        if compare.values_not_shown(pipeline, execution, existing):
            log_run.log_new_history(run, pipeline, available)
            refused += log_run.log_values(run, pipeline, available, execution).errors
    return refused


def _remove_tag(connection: RegistryConnection, existing: ExecutionRun, execution: Execution) -> None:
    """Remove the tag of `execution` from a run with an input that DVC doesn't know."""
    run = public_api().run(f"{connection.path}/{existing.id}")
    run.tags = [name for name in run.tags if name != execution.tag]  # pyright: ignore[reportAttributeAccessIssue]
    run.update()


@contextlib.contextmanager
def _run(
    pipeline: Pipeline, connection: RegistryConnection, run_id: str, commit: str | None = None, **arguments: Any
) -> Iterator[wandb.Run]:
    """Open a run, beside the one that a stage may have open. Resumes an interrupted one.

    Without a `commit` it keeps the one it has.
    """
    settings = {**RUN_SETTINGS, **({"git_commit": commit} if commit else {})}
    open_run_file = _open_run_file(pipeline, connection)
    open_run_file.write_text(run_id)
    run = open_run(connection, settings, id=run_id, resume="allow", reinit="create_new", **arguments)
    try:
        yield run
    except BaseException:
        run.finish(exit_code=1)
        raise
    else:
        run.finish()
    finally:
        open_run_file.unlink(missing_ok=True)


def finish_killed_run(pipeline: Pipeline, connection: RegistryConnection) -> None:
    """Finish the run that a killed mirror left open. If it is complete, nothing else would resume it."""
    open_run_file = _open_run_file(pipeline, connection)
    if not open_run_file.exists():
        return
    start_sdk()
    with contextlib.suppress(ValueError):  # killed before the project existed
        if any(
            run.state != "finished" for run in public_api().runs(connection.path, {"name": open_run_file.read_text()})
        ):
            with _run(pipeline, connection, open_run_file.read_text()):
                pass
    open_run_file.unlink(missing_ok=True)


def _open_run_file(pipeline: Pipeline, connection: RegistryConnection) -> Path:
    """The file with the id of the run that a mirror has open."""
    project_digest = hashlib.md5(connection.project_url.encode()).hexdigest()[:8]
    return tmp_folder(pipeline.root) / f"mirror-{project_digest}.run"


def _slug(stage: str) -> str:
    return re.sub(r"[^\w-]+", "-", stage, flags=re.ASCII)

"""Makes the registry agree with dvc.lock: for stages that DVC never ran here, or ran while it was away.

Idempotent: what is there is left alone. A run made here has an id made from its execution's content, so that an
interrupted mirror goes on in the same run. A run that lacks something is gone on with; one that uses what DVC doesn't
know no longer stands for the execution, and another is made.
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
from dvc_wandb.errors import LineageError, RegistryAway, in_a_sentence
from dvc_wandb.project import cache
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import tmp_folder
from dvc_wandb.sync import compare, log_run, media
from dvc_wandb.sync.locks import alone
from dvc_wandb.sync.mirrored_project import MirroredProject

if TYPE_CHECKING:
    import wandb

# A run that is made up says nothing of the machine that made it up: its packages, its load and its terminal are not
# those of the execution.
SETTINGS: dict[str, Any] = {
    "console": "off",
    "disable_git": True,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}


FEW_RUNS = 50  # that the SDK's helper process may hold on to


@dataclass(frozen=True)
class NotMirrored:
    """A stage or a source that could not be mirrored, and why."""

    name: str
    why: str


@dataclass
class RunCounter:
    """The runs that a process makes one after the other. The SDK's helper process keeps some 4 MB of each."""

    since: int = 0

    def one_more(self) -> None:
        """Start the helper anew after some runs; none may be open."""
        self.since += 1
        if self.since >= FEW_RUNS:
            import wandb

            wandb.teardown()
            self.since = 0


def make_up(
    pipeline: Pipeline,
    connection: RegistryConnection,
    registry: MirroredProject,
    executions: list[Execution],
    added: Iterable[Content] = (),
    experiment: str | None = None,
    runs: RunCounter | None = None,
) -> list[NotMirrored]:
    """Mirror those of `executions` that the registry doesn't hold whole, in their order, and the files `added` by hand.

    `runs` where no other run is open in this process. Raises RegistryAway where the registry goes away meanwhile.
    """
    with alone(pipeline.root, "mirror"):
        end_what_was_killed(pipeline, connection)
        compare.load(registry, executions, added)
        left = _sources(pipeline, connection, registry, made_by_none(executions, added))
        for at, execution in enumerate(executions, start=1):
            if next(compare.of_execution(pipeline, registry, execution, prove=False), None) is None:
                continue
            print(f"mirroring {execution.stage} … ({at} of {len(executions)})", file=sys.stderr, flush=True)
            try:
                _mend(pipeline, connection, registry, execution, experiment)
            except RegistryAway:  # no run can be opened: the same holds for every other
                raise
            except Exception as error:  # one stage that can't be mirrored is no reason to leave the others
                connection.check()
                left.append(NotMirrored(execution.stage, in_a_sentence(error)))
            registry.forget(execution.outs, execution)
            if runs:
                runs.one_more()
        if connection.embedded:
            made = (out for execution in executions for out in execution.outs)
            local_server.share(pipeline.root, cache.unshared_objects(pipeline, [*made, *added]).items())
    return left


def made_by_none(executions: list[Execution], added: Iterable[Content]) -> list[Content]:
    """What `executions` read and none of them makes, and what was `added` by hand."""
    made = {out for execution in executions for out in execution.outs}
    read = (dep.versioned for execution in executions for dep in execution.deps)
    return [*(one for one in read if one not in made), *added]


def make_up_sources(
    pipeline: Pipeline, connection: RegistryConnection, registry: MirroredProject, contents: Iterable[Content]
) -> list[NotMirrored]:
    """Log those of `contents` that no stage makes (code, files added by hand), so that every edge has two ends."""
    with alone(pipeline.root, "mirror"):
        end_what_was_killed(pipeline, connection)
        return _sources(pipeline, connection, registry, contents)


def _sources(
    pipeline: Pipeline, connection: RegistryConnection, registry: MirroredProject, contents: Iterable[Content]
) -> list[NotMirrored]:
    sources = list(dict.fromkeys(content for content in contents if content.md5))
    registry.load(sources)
    missing, left = [], []
    for source in sources:
        if any(True for _ in compare.of_content(pipeline, registry, source, prove=False)):
            try:
                log_run.files_of(pipeline, source)
                missing.append(source)
            except LineageError as error:
                left.append(NotMirrored(source.path, in_a_sentence(error)))
    if missing:
        left += _log_sources(pipeline, connection, missing, sources)
        registry.forget(missing)
        registry.load(missing)
    return left


def _log_sources(
    pipeline: Pipeline, connection: RegistryConnection, sources: list[Content], batch: list[Content]
) -> list[NotMirrored]:
    """Log `sources` in the run of the `batch` that they are from, which is the same when an interrupted mirror goes on.

    Where that fails, in a run each, so that one which can't be logged is alone in it.
    """
    names = "".join(sorted(f"{source.path}:{source.md5}\n" for source in batch))
    key = hashlib.md5(names.encode()).hexdigest()[:16]
    try:
        with _run(pipeline, connection, f"sources-{key}", pipeline.commit, name="sources", job_type="sources") as run:
            log_run.log_contents(run, pipeline, sources)
    except RegistryAway:
        raise
    except Exception as error:
        connection.check()
        if len(sources) == 1:
            return [NotMirrored(sources[0].path, in_a_sentence(error))]
        return [left for one in sources for left in _log_sources(pipeline, connection, [one], [one])]
    return []


def _mend(
    pipeline: Pipeline,
    connection: RegistryConnection,
    registry: MirroredProject,
    execution: Execution,
    experiment: str | None,
) -> None:
    """Make one run hold all of `execution`: one that does in part, else a new one.

    Raises LineageError, once the rest is mirrored, where bytes are nowhere to be had.
    """
    records = []
    for found in registry.runs(execution):
        if compare.unknown_inputs(pipeline, registry, execution, found):
            _set_aside(connection, found, execution)
        else:
            records.append(found)
    at_hand, lost = _at_hand(pipeline, registry, execution)
    if records:
        _go_on(pipeline, connection, registry, at_hand, records[0])
    else:
        _make(pipeline, connection, registry, execution, at_hand, experiment)
    if lost:
        raise lost[0]


def _at_hand(
    pipeline: Pipeline, registry: MirroredProject, execution: Execution
) -> tuple[Execution, list[LineageError]]:
    """What of `execution` can be mirrored (outs whose bytes are somewhere, deps that have a version), and what not."""
    lost: list[LineageError] = []
    outs = []
    for out in execution.outs:
        try:
            log_run.files_of(pipeline, out)
            outs.append(out)
        except LineageError as error:
            lost.append(error)
    deps = [dep for dep in execution.deps if registry.found(dep.versioned)]
    lost += [LineageError(f"{dep.path}, which it reads, is not there") for dep in execution.deps if dep not in deps]
    if not lost:
        return execution, lost
    links = {path: to for path, to in execution.meta.get("links", {}).items() if path in {dep.path for dep in deps}}
    meta = {**execution.meta, "links": links, "tables": None}  # a table is of all that it needs, or there is none
    return replace(execution, outs=tuple(outs), deps=tuple(deps), meta=meta), lost


def _make(
    pipeline: Pipeline,
    connection: RegistryConnection,
    registry: MirroredProject,
    execution: Execution,
    at_hand: Execution,
    experiment: str | None,
) -> None:
    """Make a run for `execution` with what is `at_hand` of it."""
    taken = {one.id for one in registry.given_the_same(execution)}
    name = f"{_slug(execution.stage)[:90]}-{execution.key}"
    number = next(one for one in (name, *(f"{name}-{n}" for n in range(2, 100))) if one not in taken)
    told = {**log_run.described(execution), "group": experiment}
    with _run(pipeline, connection, number, pipeline.commit, **told) as run:
        log_run.use_inputs(run, at_hand)
        rows = media.history(pipeline, at_hand)
        for row in rows[run.step :]:  # an interrupted mirror has logged the first ones
            run.log(row)
        log_run.log_outputs(run, pipeline, at_hand)
        if at_hand == execution:
            log_run.mark_complete(run, execution)
        else:
            run.config.update(log_run.config(execution), allow_val_change=True)


def _go_on(
    pipeline: Pipeline,
    connection: RegistryConnection,
    registry: MirroredProject,
    at_hand: Execution,
    found: ExecutionRun,
) -> None:
    """Give a run what it lacks of an execution, as far as it is `at_hand`."""
    wrong = [
        out
        for out in at_hand.outs
        if (version := registry.found(out)) is None
        or version.id not in found.outputs
        or any(True for _ in compare.of_content(pipeline, registry, out, prove=False))
    ]
    versions = {dep.path: registry.found(dep.versioned) for dep in at_hand.deps}
    used = [path for path, version in versions.items() if version and version.id in found.inputs]
    with _run(pipeline, connection, found.id) as run:
        log_run.use_inputs(run, at_hand, known=used)
        log_run.log_contents(run, pipeline, wrong, at_hand.meta.get("views"))
        log_run.link(run, at_hand)


def _set_aside(connection: RegistryConnection, found: ExecutionRun, execution: Execution) -> None:
    """Take the tag off a run that uses what DVC doesn't know: it no longer stands for `execution`."""
    run = public_api().run(f"{connection.path}/{found.id}")
    run.tags = [name for name in run.tags if name != execution.tag]  # pyright: ignore[reportAttributeAccessIssue]
    run.update()


@contextlib.contextmanager
def _run(
    pipeline: Pipeline, connection: RegistryConnection, id: str, commit: str | None = None, **arguments: Any
) -> Iterator[wandb.Run]:
    """A run of its own beside the one that a stage may have open; an interrupted one is gone on with.

    Without a `commit` it keeps the one that it was made at.
    """
    settings = {**SETTINGS, **({"git_commit": commit} if commit else {})}
    note = _note(pipeline, connection)
    note.write_text(id)
    run = open_run(connection, settings, id=id, resume="allow", reinit="create_new", **arguments)
    try:
        yield run
    except BaseException:
        run.finish(exit_code=1)
        raise
    else:
        run.finish()
    finally:
        note.unlink(missing_ok=True)


def end_what_was_killed(pipeline: Pipeline, connection: RegistryConnection) -> None:
    """Finish the run that a killed mirror left open. What it holds may be whole: nothing else would come back to it."""
    note = _note(pipeline, connection)
    if not note.exists():
        return
    start_sdk()
    with contextlib.suppress(ValueError):  # killed before there was a project
        if any(run.state != "finished" for run in public_api().runs(connection.path, {"name": note.read_text()})):
            with _run(pipeline, connection, note.read_text()):
                pass
    note.unlink(missing_ok=True)


def _note(pipeline: Pipeline, connection: RegistryConnection) -> Path:
    """The file that names the run which a mirror has open, while it has."""
    place = hashlib.md5(connection.project_url.encode()).hexdigest()[:8]
    return tmp_folder(pipeline.root) / f"mirror-{place}.run"


def _slug(stage: str) -> str:
    return re.sub(r"[^\w-]+", "-", stage, flags=re.ASCII)

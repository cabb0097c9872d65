"""Makes the registry hold what dvc.lock names: for stages that DVC never ran here, or ran while it was away.

Idempotent: what is there is left alone. A run made here has an id made from its execution's content, so that an
interrupted mirror goes on in the same run.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lineage import media, record
from lineage.connection import Connection, open_run
from lineage.errors import NotAtHand, in_a_sentence
from lineage.holdings import Holdings
from lineage.pipeline import Content, Execution, Pipeline

if TYPE_CHECKING:
    import wandb


@dataclass(frozen=True)
class Left:
    """A stage or a source that could not be mirrored, and why."""

    name: str
    why: str


def make_up(pipeline: Pipeline, connection: Connection, holdings: Holdings, executions: list[Execution]) -> list[Left]:
    """Mirror those of `executions` that the registry doesn't hold whole, in their order.

    Raises RegistryAway where the registry goes away meanwhile.
    """
    deps = [dep for execution in executions for dep in execution.deps]
    left = make_up_sources(pipeline, connection, holdings, deps)
    whole = holdings.whole(executions)
    for execution in executions:
        if execution.key in whole:
            continue
        print(f"mirroring {execution.stage} …", file=sys.stderr, flush=True)
        try:
            for out in execution.outs:
                pipeline.at_hand(out)
            id = f"{_slug(execution.stage)}-{execution.key}"
            with _run(connection, id=id, **record.described(execution)) as run:
                _mirror(run, pipeline, execution)
        except Exception as error:  # one stage that can't be mirrored is no reason to leave the others
            connection.check()
            left.append(Left(execution.stage, in_a_sentence(error)))
    return left


def make_up_sources(
    pipeline: Pipeline, connection: Connection, holdings: Holdings, contents: Iterable[Content]
) -> list[Left]:
    """Log those of `contents` that no stage makes (code, files added by hand), so that every edge has two ends."""
    sources = {content.path: content for content in contents if content.kind == "source" and content.md5}
    missing, left = [], []
    for source in sources.values():
        if not holdings.version(source):
            try:
                pipeline.at_hand(source)
                missing.append(source)
            except NotAtHand as error:
                left.append(Left(source.path, in_a_sentence(error)))
    if missing:
        names = "".join(f"{source.path}:{source.md5}\n" for source in missing)
        key = hashlib.md5(names.encode()).hexdigest()[:16]
        with _run(connection, id=f"sources-{key}", name="sources", job_type="sources") as run:
            record.log_contents(run, pipeline, missing)
    return left


@contextlib.contextmanager
def _run(connection: Connection, **arguments: Any) -> Iterator[wandb.Run]:
    """A run of its own beside the one that a stage may have open; an interrupted one is gone on with."""
    run = open_run(connection, resume="allow", reinit="create_new", **arguments)
    try:
        yield run
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()


def _mirror(run: wandb.Run, pipeline: Pipeline, execution: Execution) -> None:
    record.use_inputs(run, execution)
    for row in list(media.history(pipeline, execution))[run.step :]:  # an interrupted mirror has logged the first ones
        run.log(row)
    record.log_outputs(run, pipeline, execution)
    record.mark_complete(run, execution)


def _slug(stage: str) -> str:
    return re.sub(r"[^\w-]+", "-", stage, flags=re.ASCII)

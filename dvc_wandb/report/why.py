"""Explains an out: what changed when its stage last ran, and what has changed since.

Compares the executions in the locks of two commits, then dvc.lock with the workspace.
"""

from __future__ import annotations

from dataclasses import dataclass

from dvc_wandb.project import lock_history
from dvc_wandb.project.lock import Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.report import execution_differences
from dvc_wandb.report.graph import Graph, key_of


@dataclass(frozen=True)
class StageChanges:
    """The changed inputs of a stage; `indent` grows towards the sources."""

    stage: str
    changed: list[str]
    indent: int = 0


@dataclass(frozen=True)
class Explanation:
    """What changed at `commit`, after `before`, so that the stage ran (`then`); and since (`now`), upstream first."""

    stage: str
    commit: lock_history.Commit
    before: lock_history.Commit | None
    then: list[StageChanges]
    now: list[StageChanges]


def explain(pipeline: Pipeline, current: Graph, maker: Execution) -> Explanation:
    """The explanation of `maker`, an execution in dvc.lock; `current` is the graph of dvc.lock."""
    history = list(lock_history.commits(pipeline))
    index, execution = _last_change(history, maker)
    if history[index].is_boundary:  # what was before isn't known
        return Explanation(maker.stage, history[index], None, [], _workspace_changes(pipeline, current, maker))
    previous = history[index - 1] if index else None
    then = _stage_changes(
        Graph(previous.executions) if previous else Graph([]), Graph(history[index].executions), execution
    )
    previous_with_stage = (
        previous if previous and any(one.stage == maker.stage for one in previous.executions) else None
    )
    return Explanation(
        maker.stage, history[index], previous_with_stage, then, _workspace_changes(pipeline, current, maker)
    )


def _last_change(history: list[lock_history.Commit], maker: Execution) -> tuple[int, Execution]:
    """The index in `history` of the commit that brought `maker`: the one before has another execution, or none."""
    index = len(history) - 1
    while index and any(one.key == maker.key for one in history[index - 1].executions):
        index -= 1
        if history[index].is_boundary:
            break
    return index, maker


def _stage_changes(before: Graph, after: Graph, execution: Execution, indent: int = 0) -> list[StageChanges]:
    """The changed inputs of `execution`, then those of the stages that made them."""
    old = next((one for one in before.executions if one.stage == execution.stage), None)
    changes = [StageChanges(execution.stage, execution_differences.describe_changes(old, execution), indent)]
    if old is None:
        return changes
    md5s = {key_of(dep) for dep in old.reads}
    for dep in execution.reads:
        maker = after.makers.get(key_of(dep))
        if maker and key_of(dep) not in md5s:
            changes += _stage_changes(before, after, maker, indent + 1)
    return changes


def _workspace_changes(pipeline: Pipeline, current: Graph, maker: Execution) -> list[StageChanges]:
    """The differences between dvc.lock and the workspace, for `maker` and each stage upstream."""
    changes = []
    for one in current.leading_to(maker).executions:
        if not one.stage.endswith(".dvc"):  # an import stays as it is until `dvc update`
            now = pipeline.workspace_execution(one.stage)
            changed = execution_differences.describe_changes(one, now)
            changed += [
                f"{path} itself: {execution_differences.short_md5(old)} → {execution_differences.short_md5(new)}"
                for path, old, new in execution_differences.changed_contents(one.outs, now.outs)
                if old
            ]
            changes += [StageChanges(one.stage, changed)] if changed else []
    return changes

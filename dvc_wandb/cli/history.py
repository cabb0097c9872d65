"""dvc-wandb history: lists which model was in production when, by whom, why, from which data and commit."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from typing import Any

from dvc_wandb.errors import RegistryUnavailableError, error_reason
from dvc_wandb.production import history, registry_state
from dvc_wandb.production.history import ProductionPeriod
from dvc_wandb.production.promoting_stage import PromotingStage, find_promoting_stage
from dvc_wandb.production.registry_state import AliasMove
from dvc_wandb.project.git import revisions
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_root

TIME = "%Y-%m-%d %H:%M"


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "history",
        help="tell what was in production, as git has it and as the registry's log has it",
        description="Tells what was in production from when to when, by whom, why, from which data and commit, as git "
        "has it; beside it what the registry's activity log has, and where the two differ. Ends with 1 if they do.",
    )
    parser.add_argument("model", metavar="NAME", help="the registered model, such as MNIST-dev")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    stage = find_promoting_stage(Pipeline(project_root()))
    target = stage.registered_model_called(arguments.model)
    all_periods = history.with_workspace(stage.root, stage.record_path)
    of_target = [at for at, one in enumerate(all_periods) if one.record.registered_model == target]
    periods, ends = [all_periods[at] for at in of_target], [(all_periods[at + 1 :] or [None])[0] for at in of_target]
    moves, no_log = _moves(stage, target)
    incomplete = revisions.why_incomplete(stage.root)
    committed = [one for one in periods if one.commit]
    differences = history.differences(committed, moves) if moves is not None and not incomplete else []
    facts = [_facts(stage, periods, at, ends[at], moves or []) for at in range(len(periods))]
    if arguments.json:
        print(json.dumps({"model": target, "history": facts, "differences": differences, "registry": no_log}, indent=2))
        return 1 if differences else 0
    for period in facts:
        print(_text(period))
    for difference in differences:
        print(f"difference: {difference}.")
    if incomplete:
        print(f"Not all is told: {incomplete}.", file=sys.stderr)
    if no_log:
        print(f"Told by git alone: {no_log}.", file=sys.stderr)
    elif not differences and not incomplete:
        print("git and the registry's activity log tell the same story.")
    return 1 if differences else 0


def _moves(stage: PromotingStage, target: str) -> tuple[list[AliasMove] | None, str | None]:
    """The moves in the registry's log, or why it can't be read."""
    try:
        return stage.query_registry(lambda: _query_moves(stage, target))
    except RegistryUnavailableError as error:
        return None, error_reason(error)


def _query_moves(stage: PromotingStage, target: str) -> tuple[list[AliasMove] | None, str | None]:
    connection = stage.connect()
    version = registry_state.find_version(connection, target)
    version = version or registry_state.find_version(connection, target, "latest")
    if version is None:
        return None, f"the registry has no version of {target}"
    moves = registry_state.alias_moves(connection, version)
    return moves, None if moves is not None else f"the registry at {connection.url} has no activity log to read"


def _facts(
    stage: PromotingStage,
    periods: list[ProductionPeriod],
    at: int,
    later: ProductionPeriod | None,
    moves: list[AliasMove],
) -> dict[str, Any]:
    period = periods[at]
    record = period.record
    origin = history.origin_of(stage.root, record.model_md5) if record.model_md5 else None
    same = [move for move in moves if move.md5 == record.model_md5]
    turn = [earlier.record.model_md5 for earlier in periods[: at + 1]].count(record.model_md5)  # the n-th time it was
    move = same[turn - 1] if 0 < turn <= len(same) else None
    return {
        "model_md5": record.model_md5,
        "since": period.at.astimezone().strftime(TIME) if period.commit else None,
        "until": later.at.astimezone().strftime(TIME) if later and later.commit else None,
        "decided_by": record.decided_by,
        "person": period.by,
        "reason": record.reason,
        "commit": period.commit,
        "made_at": origin.commit if origin else None,
        "data": origin.deps if origin else {},
        "version": move.version if move else None,
        "moved": f"{move.at.strftime(TIME)} by {move.people}" if move else None,
    }


def _text(period: dict[str, Any]) -> str:
    md5 = period["model_md5"]
    model = f"{md5[:8]} {period['version'] or ''}".rstrip() if md5 else "nothing"
    since = period["since"] or "not committed yet"
    lines = [f"{since} – {period['until'] or 'now'}   {model}"]
    if md5:
        lines += textwrap.wrap(
            f"why     {period['decided_by']}: {period['reason'] or 'no reason recorded'}",
            76,
            subsequent_indent=" " * 8,
        )
    by = period["person"]
    commit = f"{period['commit'][:10]} by {by}" if period["commit"] else f"none yet{f' ({by})' if by else ''}"
    lines.append(f"commit  {commit}")
    if period["data"]:
        data = ", ".join(f"{path} {found[:8]}" for path, found in period["data"].items())
        lines.append(f"from    {data}, first in the commit {period['made_at'][:10]}")
    if period["moved"]:
        lines += textwrap.wrap(f"alias   {period['moved']}", 76, subsequent_indent=" " * 8)
    return "\n    ".join(lines)

"""dvc-wandb history: what was in production from when to when, by whom, why, from which data and commit."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from typing import Any

from dvc_wandb.cli.get import registered_model_called
from dvc_wandb.errors import RegistryAway, in_a_sentence
from dvc_wandb.production import history, registry_state
from dvc_wandb.production.history import Chapter
from dvc_wandb.production.promoting_stage import PromotingStage, promoting_stage_of
from dvc_wandb.production.registry_state import Move
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
    where = promoting_stage_of(Pipeline(project_root()))
    target = registered_model_called(where, arguments.model)
    everything = history.of_git(where.root, where.path)
    of_target = [at for at, one in enumerate(everything) if one.record.registered_model == target]
    told, ends = [everything[at] for at in of_target], [(everything[at + 1 :] or [None])[0] for at in of_target]
    moves, silent = _moves(where, target)
    cut = history.cut_off(where.root)
    found = history.differences(told, moves) if moves is not None and not cut else []
    chapters = [_facts(where, told, at, ends[at], moves or []) for at in range(len(told))]
    if arguments.json:
        print(json.dumps({"model": target, "history": chapters, "differences": found, "registry": silent}, indent=2))
        return 1 if found else 0
    for chapter in chapters:
        print(_text(chapter))
    for said in found:
        print(f"difference: {said}.")
    if cut:
        print(f"Not all is told: {cut}.", file=sys.stderr)
    if silent:
        print(f"Told by git alone: {silent}.", file=sys.stderr)
    elif not found and not cut:
        print("git and the registry's activity log tell the same story.")
    return 1 if found else 0


def _moves(where: PromotingStage, target: str) -> tuple[list[Move] | None, str | None]:
    """What the registry's log has, or why there is nothing to hear from it."""
    try:
        return where.asked(lambda: _told(where, target))
    except RegistryAway as error:
        return None, in_a_sentence(error)


def _told(where: PromotingStage, target: str) -> tuple[list[Move] | None, str | None]:
    connection = where.connected()
    held = registry_state.held(target) or registry_state.held(target, "latest")
    if held is None:
        return None, f"the registry has no version of {target}"
    moves = registry_state.moves(connection, held)
    return moves, None if moves is not None else f"the registry at {connection.url} has no activity log to read"


def _facts(
    where: PromotingStage, told: list[Chapter], at: int, later: Chapter | None, moves: list[Move]
) -> dict[str, Any]:
    one = told[at]
    record = one.record
    made = history.making(where.root, record.model_md5) if record.model_md5 else None
    same = [move for move in moves if move.md5 == record.model_md5]
    turn = [earlier.record.model_md5 for earlier in told[: at + 1]].count(
        record.model_md5
    )  # the n-th time in production
    move = same[turn - 1] if 0 < turn <= len(same) else None
    return {
        "model_md5": record.model_md5,
        "since": one.at.astimezone().strftime(TIME) if one.commit else None,
        "until": later.at.astimezone().strftime(TIME) if later and later.commit else None,
        "decided_by": record.decided_by,
        "person": one.by,
        "reason": record.reason,
        "commit": one.commit,
        "made_at": made.commit if made else None,
        "data": made.read if made else {},
        "version": move.version if move else None,
        "moved": f"{move.at.strftime(TIME)} by {move.by}" if move else None,
    }


def _text(chapter: dict[str, Any]) -> str:
    md5 = chapter["model_md5"]
    model = f"{md5[:8]} {chapter['version'] or ''}".rstrip() if md5 else "nothing"
    since = chapter["since"] or "not committed yet"
    lines = [f"{since} – {chapter['until'] or 'now'}   {model}"]
    if md5:
        lines += textwrap.wrap(
            f"why     {chapter['decided_by']}: {chapter['reason'] or 'no reason recorded'}",
            76,
            subsequent_indent=" " * 8,
        )
    by = chapter["person"]
    commit = f"{chapter['commit'][:10]} by {by}" if chapter["commit"] else f"none yet{f' ({by})' if by else ''}"
    lines.append(f"commit  {commit}")
    if chapter["data"]:
        data = ", ".join(f"{path} {found[:8]}" for path, found in chapter["data"].items())
        lines.append(f"from    {data}, first in the commit {chapter['made_at'][:10]}")
    if chapter["moved"]:
        lines.append(f"alias   {chapter['moved']}")
    return "\n    ".join(lines)

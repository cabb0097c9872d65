"""dvc-wandb approve, reject and withdraw: a second person's answer to a decision that waits for one."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dvc_wandb.client.promotion_requests import OPEN, PromotionRequest, PromotionRequests
from dvc_wandb.errors import DvcWandbError
from dvc_wandb.production import alias, approvals, registry_state
from dvc_wandb.production.promoting_stage import PromotingStage, find_promoting_stage
from dvc_wandb.production.registry_state import ALIAS
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_root
from dvc_wandb.promotion.decisions import require_registry
from dvc_wandb.sync import production_model

APPROVE, REJECT, WITHDRAW = "approve", "reject", "withdraw"
COMMANDS = {
    APPROVE: (
        "say yes to a decision of somebody else, which moves the alias `production`",
        "Shows what is asked for and what the decision rests on. With a --reason it says yes, and the registry moves "
        "the alias in the same moment. Whoever asked can't.",
    ),
    REJECT: (
        "say no to a decision of somebody else",
        "Shows what is asked for and what the decision rests on. With a --reason it says no: the alias stays.",
    ),
    WITHDRAW: (
        "take back what oneself asked for",
        "Takes back the request that waits for a second person, which only who asked does. `dvc-wandb promote` asks "
        "again.",
    ),
}


def add_parser(commands: Any) -> None:
    for name, (text, description) in COMMANDS.items():
        parser = commands.add_parser(name, help=text, description=description)
        parser.add_argument("model", nargs="?", metavar="MODEL", help="the registered model (default: the record's)")
        parser.add_argument("--reason", metavar="WHY", help="what is kept with the decision")
        parser.add_argument(
            "--request",
            type=int,
            metavar="N",
            help="this one only: nothing is done if another took its place meanwhile",
        )
        parser.set_defaults(command=lambda arguments, name=name: run(name, arguments))


def run(name: str, arguments: argparse.Namespace) -> int:
    stage = find_promoting_stage(Pipeline(project_root()))
    require_registry(stage, lambda: _decide(stage, name, arguments))
    return 0


@dataclass(frozen=True)
class _Asked:
    """The requests of a registered model, and the one that is open for the alias `production`."""

    requests: PromotionRequests
    request: PromotionRequest


def _decide(stage: PromotingStage, name: str, arguments: argparse.Namespace) -> None:
    target = stage.registered_model_called(arguments.model) if arguments.model else stage.last_record().registered_model
    asked = _find(stage, target, arguments.request)
    reason = (arguments.reason or "").strip()
    if name != WITHDRAW:
        print("\n".join(_told(target, asked)), flush=True)
        if not reason:
            raise DvcWandbError(
                f'say why, for the log: dvc-wandb {name} --request {asked.request.number} --reason "…".'
                if not asked.request.why_not
                else asked.request.why_not
            )
    decided = asked.requests.decide(asked.request, name.upper(), reason)
    if name == APPROVE:
        print(f"{target} {decided.version} is {ALIAS} now, approved by {decided.decider} as {decided.asker} asked")
        _note_commit(stage, decided)
    else:
        said = "rejected" if name == REJECT else "taken back"
        print(f"{said}: {target} {decided.version}; {decided.holder or 'nothing'} stays {ALIAS}")


def _find(stage: PromotingStage, target: str, number: int | None) -> _Asked:
    """The open request. Raises DvcWandbError if there is none, or another one than `number`."""
    connection = stage.connect()
    version = registry_state.find_version(connection, target, "latest")
    version = version or registry_state.find_version(connection, target)
    if version is None:
        raise DvcWandbError(f"the registry has no version of {target}, so nobody asks for one.")
    requests = approvals.requests_about(connection, version)
    of_alias = [one for one in requests.all() if one.alias == ALIAS]
    request = next((one for one in of_alias if one.state == OPEN), None)
    if request is None:
        last = f" The last one was {of_alias[0].state.lower()} by {of_alias[0].decider}." if of_alias else ""
        raise DvcWandbError(
            f"nothing waits for a second person: {target} has no open request for '{ALIAS}'.{last} "
            f"`{alias.PROMOTE}` asks for what is committed."
        )
    if number not in (None, request.number):
        raise DvcWandbError(
            f"request {number} is not open any more: {request.asker} asks for {request.version} by now, in request "
            f"{request.number}."
        )
    return _Asked(requests, request)


def _told(target: str, asked: _Asked) -> Iterator[str]:
    """What is asked for, and what the decision rests on."""
    request = asked.request
    facts, before = request.facts, request.holder or "nothing"
    yield f"{target} {request.version} instead of {before}, asked for by {request.asker} (request {request.number})"
    rows = {
        "why": request.reason,
        "verdict": facts.get("decision"),
        "by": {"gate": "the gate", "person": "a person"}.get(str(facts.get("decided_by")), facts.get("decided_by")),
        "commit": f"{str(facts['commit'])[:10]} by {facts.get('committed_by', '?')}" if "commit" in facts else None,
        "numbers": ", ".join(f"{name} {value}" for name, value in _numbers(facts)),
        "in dispute": asked.requests.page_url(request.number),
    }
    for name, text in rows.items():
        if text:
            lines = textwrap.wrap(str(text), 76, break_long_words=False, break_on_hyphens=False) or [""]
            yield f"    {name:<12}" + f"\n{'':<16}".join(lines)


def _numbers(facts: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    numbers = facts.get("numbers")
    for name, value in (numbers if isinstance(numbers, dict) else {}).items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield name, f"{value:.6g}"


def _note_commit(stage: PromotingStage, decided: PromotionRequest) -> None:
    """Let the registry remember the commit that it follows now, where this clone has that on its branch."""
    pipeline = Pipeline(stage.root)
    execution, connection = pipeline.workspace_execution(stage.name), stage.connect()
    model = alias.recorded_model(pipeline, execution)
    if model and (model.md5, model.source.commit) == (decided.facts.get("model"), decided.facts.get("commit")):
        production_model.follow(pipeline, connection, execution)
    elif "commit" not in decided.facts:
        print(f"git doesn't name it yet: `{alias.FROM_REGISTRY}` makes git follow the registry")

"""A second person's yes: with `promote.approvals: 1` a committed decision is a request until somebody else approves it.

Git still decides which model that is; the registry moves the alias in the moment of the yes. The parameter is the one
that `meta.wandb.approvals` of the promoting stage names.
"""

from __future__ import annotations

from typing import Any

from dvc_wandb import content_alias
from dvc_wandb.client.connection import RegistryConnection
from dvc_wandb.client.promotion_requests import (
    APPROVED,
    OPEN,
    WITHDRAWN,
    PromotionRequest,
    PromotionRequests,
    RefusedError,
)
from dvc_wandb.errors import DvcWandbError
from dvc_wandb.production import registry_state
from dvc_wandb.production.decision import read_decision
from dvc_wandb.production.history import CommittedRecord
from dvc_wandb.production.registry_state import ALIAS, FollowedCommit, ModelVersion
from dvc_wandb.project import git
from dvc_wandb.project.lock import Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import setting


def are_needed(pipeline: Pipeline, execution: Execution) -> bool:
    """Whether a decision takes a second person's yes. Raises DvcWandbError for a parameter that is neither 0 nor 1."""
    name = execution.meta.get("approvals")
    if not name:
        return False
    value = setting(pipeline.root, name)
    if value not in (None, 0, 1) or isinstance(value, bool):
        raise DvcWandbError(f"params.yaml: {name} is {value!r}; it must be 0, or 1 for a second person's yes.")
    return value == 1


def requests_about(connection: RegistryConnection, version: ModelVersion) -> PromotionRequests:
    """The requests of the registered model of a version."""
    return PromotionRequests(connection, version.entity, version.project, version.collection)


def ask(
    pipeline: Pipeline,
    execution: Execution,
    connection: RegistryConnection,
    candidate: ModelVersion,
    source: CommittedRecord,
    again: bool,
) -> tuple[PromotionRequest, str]:
    """The open request for the model in the committed record, and the address of its page; made if there is none.

    One that its asker took back is made `again` only for a person. Raises RefusedError after a no, NoApprovalsError.
    """
    requests = requests_about(connection, candidate)
    facts, reason = _facts(pipeline, execution, connection, source), source.record.reason or ""
    if not again:
        last = next((one for one in requests.all() if (one.alias, one.version) == (ALIAS, candidate.version)), None)
        if last and last.state == WITHDRAWN and (last.facts, last.reason) == (facts, reason):
            raise RefusedError(
                f"{last.asker} took back the request for {ALIAS} on {candidate}; `dvc-wandb promote` asks again."
            )
    request = requests.ask(candidate.version, ALIAS, reason, facts)
    return request, requests.page_url(request.number)


def _facts(
    pipeline: Pipeline, execution: Execution, connection: RegistryConnection, source: CommittedRecord
) -> dict[str, Any]:
    """What the decision rests on, by git alone: every clone tells the same, so all of them ask for the same."""
    record, path = source.record, str(execution.meta["promotes"])
    decided = _decision_at(pipeline, execution, source.commit)
    author = git.output_or_none(pipeline.root, "log", "-1", "--format=%an%x1f%ae", source.commit) or "\x1f"
    name, _, email = author.strip().partition("\x1f")
    collection = execution.out(path).artifact
    facts = {
        "model": record.model_md5,
        "commit": source.commit,
        "committed_by": name,
        "email": email,
        "decided_by": record.decided_by,
        "decision": decided.pop("decision", None),
        "measured_on": record.eval_md5,
        "numbers": decided or record.metrics,
        "record": f"{connection.path}/{collection}:{content_alias.make(source.md5)}",
    }
    return {key: value for key, value in facts.items() if value not in (None, "", {})}


def _decision_at(pipeline: Pipeline, execution: Execution, commit: str) -> dict[str, Any]:
    """What the stage decided at a commit, with its numbers; {} if that can't be read here."""
    try:
        then = pipeline.at(commit)
        found = next((one for one in then.locked() if one.stage == execution.stage), None)
        return dict(read_decision(then, found)) if found else {}
    except DvcWandbError:  # such as a dvc.lock that was never whole at that commit
        return {}


def last_approved(connection: RegistryConnection, version: ModelVersion) -> PromotionRequest | None:
    """The last request by which a version got the alias; None if nobody was asked."""
    found = requests_about(connection, version).all()
    return next((one for one in found if one.state == APPROVED and _is_for(one, version)), None)


def open_request(connection: RegistryConnection, version: ModelVersion) -> PromotionRequest | None:
    """The open request for the alias on a version of this registered model, whichever that is."""
    found = requests_about(connection, version).all()
    return next((one for one in found if one.state == OPEN and one.alias == ALIAS), None)


def _is_for(request: PromotionRequest, version: ModelVersion) -> bool:
    return (request.alias, request.version) == (ALIAS, version.version)


def followed_commit(
    pipeline: Pipeline, execution: Execution, connection: RegistryConnection, holder: ModelVersion | None
) -> FollowedCommit | None:
    """The commit that the registry follows; after a yes in the registry, the one that the request named."""
    followed = registry_state.followed_commit(connection, execution)
    if holder is None or (followed and followed.model_md5 == holder.md5) or not are_needed(pipeline, execution):
        return followed
    approved = last_approved(connection, holder)
    if approved is None or approved.facts.get("model") != holder.md5 or "commit" not in approved.facts:
        return followed
    return FollowedCommit(str(approved.facts["commit"]), holder.md5)

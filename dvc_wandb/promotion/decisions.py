"""What changes production: the gate, or a person. First git's record, through the stage that keeps it; then the alias.

Whatever is decided is written to the record, and the stage is run on it: so dvc.lock agrees, and `dvc repro` has
nothing left to do. The alias moves only from a version that the command knew of; else it is decided again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from dvc_wandb import content_alias, production
from dvc_wandb.client.connection import RegistryConnection, public_api
from dvc_wandb.errors import LineageError, RegistryAway, in_a_sentence
from dvc_wandb.production import Record, alias, history, registry_state
from dvc_wandb.production.alias import RecordedModel
from dvc_wandb.production.promoting_stage import PromotingStage
from dvc_wandb.production.registry_state import ALIAS, AliasHolder
from dvc_wandb.project import git
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.recorder import client
from dvc_wandb.sync import mirror
from dvc_wandb.sync.mirrored_project import MirroredProject

TAKE_OVER = "`git pull` or `make promote FROM=registry` takes it over; then decide again if you still mean it."
T = TypeVar("T")
TRIES = 3  # times that the gate runs because somebody else was faster


# ---- deciding ----


def by_gate(where: PromotingStage) -> None:
    """Let the stage decide, then make the registry agree; again where another clone was faster."""
    before, clicked = where.record(), by_click(where)
    for _ in range(TRIES):
        repro(where)
        print(decision(where))
        theirs = tell(where, lambda: _faster(where, before, clicked))
        if theirs is None:
            return
        production.write(where.file, theirs)
    raise LineageError(f"production moves in the registry again and again; it was left alone after {TRIES} tries.")


def _faster(where: PromotingStage, before: Record | None, clicked: AliasHolder | None) -> Record | None:
    """The record of who was faster, to decide on it again; None where both sides agree now."""
    faster = _agree(where, lambda now: now == clicked or chosen_over(where, where.record(), now))
    if faster is None:
        return None
    theirs = taken_over(where, before, where.record(), faster)
    print(deciding_again(faster), flush=True)
    return theirs


def by_person(where: PromotingStage, record: Record) -> None:
    """Write a person's decision, have the stage take it up, and make the registry agree.

    Where somebody else decided meanwhile, neither knew of the other: the first stands, and this one is taken back.
    """
    before, expected = _present(where), holder(where)
    if expected and expected.md5 != record.model_md5:
        print(f"{str(record.model_md5)[:8]} is to replace {ask(where, lambda: _with_its_story(where, expected))}.")
    production.write(where.file, record)
    try:
        repro(where, alone=True)
    except LineageError:
        production.write(where.file, before)
        raise
    print(decision(where))

    def may_leave(
        now: AliasHolder,
    ) -> bool:  # what nobody knew of at first is one that it was chosen over, by git's history
        return now == expected if expected else chosen_over(where, record, now)

    meanwhile = tell(where, lambda: _meanwhile(where, _agree(where, may_leave)))
    if meanwhile:
        production.write(where.file, before)
        repro(where, alone=True, silent=True)  # it says what it has said before
        raise LineageError(f"{meanwhile} Your decision was taken back; {TAKE_OVER}")


def repro(where: PromotingStage, alone: bool = False, silent: bool = False) -> None:
    """Run the stage where something changed; `alone`, without those before it, where all that it reads is there."""
    pipeline = Pipeline(where.root)
    arguments = [where.stage]
    if alone and all((where.root / dep.path).exists() for dep in pipeline.workspace_execution(where.stage).deps):
        arguments = ["--single-item", where.stage]
    _dvc(where, *arguments, silent=silent)
    if not alone and _decided(where).get("rule") == "waits_for_person":  # what it waited for may be back
        _dvc(where, "--force", "--single-item", where.stage)
    client.settle(where.root)


def _dvc(where: PromotingStage, *arguments: str, silent: bool = False) -> None:
    sys.stdout.flush()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "dvc", "repro", *arguments],
        cwd=where.root,
        env=where.environment,
        stdout=subprocess.DEVNULL if silent else None,
        check=False,
    )
    if done.returncode:
        raise LineageError(f"`dvc repro {' '.join(arguments)}` failed, so production is as it was.")


def decision(where: PromotingStage) -> str:
    """The stage's own sentence, from its metrics."""
    return str(_decided(where).get("decision", ""))


def _decided(where: PromotingStage) -> dict[str, Any]:
    execution = next((one for one in Pipeline(where.root).locked() if one.stage == where.stage), None)
    for out in execution.outs if execution else ():
        path = where.root / out.path
        if out.kind == "metrics" and path.suffix == ".json" and path.exists():
            found = json.loads(path.read_text())
            if isinstance(found, dict) and "decision" in found:
                return found
    return {}


# ---- the registry's side ----


def ask(where: PromotingStage, work: Callable[[], T]) -> T:
    """What `work` finds out in the registry, before anything is changed."""
    try:
        return where.asked(work)
    except RegistryAway as error:
        raise LineageError(f"{in_a_sentence(error)}. Nothing was changed; run this again when it is back.") from None


def tell(where: PromotingStage, work: Callable[[], T]) -> T:
    """What comes of `work`, which makes the registry agree with the record; else a sentence on what either side has."""
    from wandb.errors import Error

    try:
        return where.asked(work)
    except (RegistryAway, Error) as error:
        record = where.record()
        raise LineageError(
            f"in production: {(record and alias.of_record(record)) or 'nothing'} in {where.path}{_uncommitted(where)}; "
            f"the registry was not told: {in_a_sentence(error)}. `make promote` tells it when it is back."
        ) from None


def _agree(where: PromotingStage, may_leave: Callable[[AliasHolder], bool]) -> AliasHolder | None:
    """Put the alias where the record has it, from nowhere or from what it `may_leave`, and say what is in production.

    Returns who has it where it may not, or where somebody else was faster: that one keeps it.
    """
    pipeline, connected = Pipeline(where.root), where.connected()
    execution = where.execution(pipeline)
    wanted = alias.recorded(pipeline, execution)
    left = mirror.make_up(pipeline, connected, MirroredProject(connected), pipeline.locked())
    for one in left:
        print(f"dvc-wandb: {one.name} was not mirrored: {one.why}.", file=sys.stderr)
    if wanted is None:
        print(f"nothing is in production, by {where.path}")
        return None
    now = registry_state.held(wanted.registered_model)
    if now and now.md5 != wanted.md5 and not may_leave(now):
        return now
    left_behind = _with_its_story(where, now) if now and now.md5 != wanted.md5 else ""
    moved = alias.move(connected, execution, wanted, now)
    if moved.md5 != wanted.md5:
        return moved
    if left_behind:
        print(f"{ALIAS} moved from {left_behind}, to {moved} in the registry.")
    print(f"in production: {wanted} in {where.path}{_uncommitted(where)}, and {moved.version} at {connected.url}")
    return None


def by_click(where: PromotingStage) -> AliasHolder | None:
    """What a person made production in the registry by hand: no record there tells of it.

    A person who runs the gate has the registry follow git. Nothing is known of it while the registry is away.
    """
    now = holder(where)
    try:
        return now if now and where.asked(lambda: _record_behind(where, now)) is None else None
    except RegistryAway:
        return None


def chosen_over(where: PromotingStage, record: Record | None, now: AliasHolder) -> bool:
    """Whether `record` was chosen over what is production in the registry `now`.

    By git's history, unless that doesn't know that it was taken back since; or directly, by a decision of which the
    registry has not heard yet.
    """
    if record is None or record.model_md5 is None:
        return False
    theirs = _record_behind(where, now)
    if theirs in history.overcome(where.root, where.path, record):
        return not _taken_back(where, record, theirs)
    return now.md5 == record.replaces and not _arrived(where, record)


def _taken_back(where: PromotingStage, record: Record, theirs: Record | None) -> bool:
    """Whether the registry followed `record`, then an earlier one again, as after a revert that git has not here."""
    return theirs != record and not history.follows(where.root, where.path, theirs, record) and _arrived(where, record)


def taken_over(where: PromotingStage, before: Record | None, mine: Record | None, faster: AliasHolder) -> Record:
    """The record of who was faster, from the registry where it has it; `mine` was decided on `before`.

    Raises LineageError where mine is a person's decision: nobody knows which of the two is meant.
    """
    assert mine is not None, "a gate that promoted has a record"
    if mine == before and mine.decided_by == production.PERSON and not _arrived(where, mine):
        raise LineageError(
            f"{_meanwhile(where, faster)} {where.path} has a person's decision that doesn't know of it "
            f"({mine.reason}), so the registry was left as it is; {TAKE_OVER}"
        )
    theirs = _record_behind(where, faster)
    if mine == before and theirs in history.overcome(where.root, where.path, mine):
        raise LineageError(
            f"{_meanwhile(where, faster)} {where.path} was in force before that, and git has no word here of its being "
            f"taken back, so the registry was left as it is; {TAKE_OVER}"
        )
    theirs = theirs or (before or mine).by_person(faster.md5, "moved in the registry", None, None)
    barred = dict.fromkeys([*theirs.only_by_person, *mine.only_by_person])
    return replace(theirs, only_by_person=tuple(one for one in barred if one != faster.md5))


def deciding_again(faster: AliasHolder) -> str:
    return (
        f"Another promotion was faster: {faster} is {ALIAS} in the registry, which this one was not compared with. "
        "Deciding again."
    )


def _meanwhile(where: PromotingStage, faster: AliasHolder | None) -> str:
    """That somebody else was `faster`; nothing where nobody was."""
    if faster is None:
        return ""
    record = _record_behind(where, faster)
    return f"meanwhile {faster} became {ALIAS} in the registry ({record.reason if record else 'somebody moved it'})."


def _with_its_story(where: PromotingStage, now: AliasHolder) -> str:
    """Who has the alias, and who moved it there, when and why: so that nobody's decision is undone unseen."""
    moves, record = registry_state.moves(where.connected(), now), _record_behind(where, now)
    by = f", put there by {moves[-1].by} at {moves[-1].at:%Y-%m-%d %H:%M}" if moves else ""
    return f"{now}{by}{f' ({record.reason})' if record and record.reason else ''}"


def holder(where: PromotingStage) -> AliasHolder | None:
    """Who has the alias; None also while the registry is away."""
    record = where.record()
    try:
        return (
            where.asked(lambda: where.connected() and registry_state.held(record.registered_model)) if record else None
        )
    except RegistryAway:
        return None


def _record_behind(where: PromotingStage, now: AliasHolder) -> Record | None:
    """The record by which it became production in the registry: maybe another clone's, which git will bring."""
    found = registry_state.behind(where.connected(), Pipeline(where.root).workspace_execution(where.stage), now)
    return found[1] if found else None


def _arrived(where: PromotingStage, record: Record) -> bool:
    wanted, execution = alias.of_record(record), Pipeline(where.root).workspace_execution(where.stage)
    return wanted is not None and registry_state.arrived(where.connected(), execution, record, wanted.version)


def _uncommitted(where: PromotingStage) -> str:
    changed = git.output_or_none(where.root, "status", "--porcelain", "--", where.path)
    return " (not committed yet)" if changed else ""


# ---- what a person may mean ----


def version(where: PromotingStage, name: str, reason: str) -> Record:
    """The record once a person has put `name`, a version or an alias of the registered model, in production."""
    before = _present(where)
    _asked(where)
    _check_known(where, before)
    return chosen(where, _in_registry(before.registered_model, name), reason)


def chosen(where: PromotingStage, found: AliasHolder, reason: str) -> Record:
    """The record once a person has chosen a version; as it is where that is in production already."""
    before = _present(where)
    if not found.md5:
        raise LineageError(
            f"{found.version} was not made by this pipeline: DVC has no md5 of it, so git can't name it."
        )
    if found.md5 == before.model_md5:
        return before
    pipeline = Pipeline(where.root)
    last = alias.candidate(pipeline, before.registered_model)
    known = history.last_known(history.of_git(where.root, where.path), found.md5)
    return before.by_person(found.md5, reason, known, last)


def from_registry(where: PromotingStage, reason: str | None) -> Record:
    """The record once git follows the registry: whoever moved the alias there has decided."""
    before, connected = _present(where), _asked(where)
    now = registry_state.held(before.registered_model)
    if now is None:
        raise LineageError(
            f"no version of {before.registered_model} is {ALIAS} in the registry; there is none to follow."
        )
    if theirs := _record_behind(where, now):  # another clone's decision
        return chosen(where, now, reason or f"taken over from the registry: {theirs.reason}")
    moves = registry_state.moves(connected, now) or []
    by = f" by {moves[-1].by}" if moves else ""
    return chosen(where, now, reason or f"moved in the registry{by}")


def back(where: PromotingStage, reason: str | None) -> Record:
    """The record once the model before is in production again."""
    record = _present(where)
    earlier = history.before(history.of_git(where.root, where.path), record)
    if earlier is None or earlier.model_md5 is None:
        if cut := history.cut_off(where.root):
            raise LineageError(f"the model before is not known: {cut}.")
        raise LineageError(
            f"git's history of {where.path} has no model before this one to go back to. `make promote VERSION=v3 "
            'REASON="…"` puts any other in production.'
        )
    _check_there(where, alias.of_record(earlier))
    _check_known(where, record)
    last = alias.candidate(Pipeline(where.root), record.registered_model)
    why = reason or f"rolled back from {str(record.model_md5)[:8]}"
    return record.by_person(earlier.model_md5, why, earlier, last)


def _asked(where: PromotingStage) -> RegistryConnection:
    """The registry, which alone knows what is meant."""
    try:
        return where.connected()
    except RegistryAway as error:
        raise LineageError(
            f"{in_a_sentence(error)}, and only the registry knows which model that is. Nothing was changed; run this "
            "again when it is back."
        ) from None


def _check_known(where: PromotingStage, record: Record) -> None:
    """Raises LineageError where another clone has promoted since: who decides here doesn't know of it."""
    now = holder(where)
    if now and now.md5 != record.model_md5 and _record_behind(where, now) and not chosen_over(where, record, now):
        raise LineageError(f"{_meanwhile(where, now)} Nothing was changed; {TAKE_OVER}")


def _check_there(where: PromotingStage, wanted: RecordedModel | None) -> None:
    """Raises LineageError where the registry lacks the model; one that is away learns of it later."""
    try:
        where.connected()
    except RegistryAway:
        return
    if wanted and registry_state.held(wanted.registered_model, content_alias.make(wanted.md5)) is None:
        raise LineageError(
            f"the registry has no version of {wanted.registered_model} with the bytes of {wanted.md5}, so nothing was "
            f"changed. {alias.FILL}"
        )


def _present(where: PromotingStage) -> Record:
    record = where.record()
    if record is None:
        raise LineageError(f"there is no {where.path} yet; `dvc repro {where.stage}` makes it.")
    return record


def _in_registry(target: str, name: str) -> AliasHolder:
    found = registry_state.held(target, name)
    if found is None:
        raise LineageError(f"{target} has no version or alias '{name}' in the registry.{_offer(public_api(), target)}")
    return found


def _offer(api: Any, target: str) -> str:
    if not api.artifact_exists(f"{target}:latest"):
        return ""
    newest = api.artifact(f"{target}:latest")
    path = f"{newest.entity}/{newest.project}/{newest.name.rpartition(':')[0]}"
    return f" It has {', '.join(sorted(one.version for one in api.artifacts(newest.type, path)))}."

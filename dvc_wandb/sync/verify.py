"""Proves that dvc.lock and the registry agree, or lists every difference. Changes nothing on either side."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dvc_wandb import content_alias
from dvc_wandb.client.connection import RegistryConnection
from dvc_wandb.client.versions import Version
from dvc_wandb.errors import error_reason
from dvc_wandb.production import alias, approvals, history, registry_state
from dvc_wandb.production.alias import AliasBlockedError, RecordedModel
from dvc_wandb.production.record import UnreadableRecordError
from dvc_wandb.project import cache, remedies
from dvc_wandb.project.dvc_project import workspace_md5
from dvc_wandb.project.files import md5_of
from dvc_wandb.project.git import revisions
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.undeclared.undeclared_deps import UndeclaredDep
from dvc_wandb.sync import attestations, compare, fetch
from dvc_wandb.sync.compare import Drift
from dvc_wandb.sync.mirrored_project import MirroredProject
from dvc_wandb.sync.production_model import NowhereError


@dataclass
class VerifyReport:
    """What was compared, and what differs. `notes` don't count as differences."""

    stages: int = 0
    edges: int = 0
    outs: int = 0
    files: int = 0
    downloaded: int = 0
    rehashed: int = 0
    drifts: list[Drift] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    undeclared_deps: list[UndeclaredDep] = field(default_factory=list)
    never_run: list[str] = field(default_factory=list)
    not_deterministic: list[str] = field(default_factory=list)  # all that notes name the first of


def compare_all(
    pipeline: Pipeline,
    connection: RegistryConnection,
    registry: MirroredProject,
    executions: list[Execution],
    added: Iterable[Content] = (),
    deep: bool = False,
) -> VerifyReport:
    """Compare all of `executions` and the `added` files with the registry."""
    report = VerifyReport(stages=len(executions), never_run=pipeline.never_run())
    report.notes += _never_run_notes(pipeline, report.never_run)
    contents = _contents(executions, added)
    compare.load(registry, executions, contents)
    registry.load_files(version for content in contents if (version := registry.version_of(content)))
    outs = {out for execution in executions for out in execution.outs}
    for content in contents:
        if content not in outs:
            report.drifts += compare.content_drifts(pipeline, registry, content, read_manifests=True)
    for execution in executions:
        report.edges += len(execution.reads) + len(execution.outs)
        report.outs += len(execution.outs)
        report.drifts += compare.execution_drifts(pipeline, registry, execution, read_manifests=True)
        if execution.meta.get("promotes"):
            _compare_production(pipeline, connection, registry, execution, report)
        _note_nondeterminism(pipeline, registry, execution, report)
    seen = {one.stage: [path for run in registry.runs(one) for path in run.undeclared_deps] for one in executions}
    report.undeclared_deps = pipeline.undeclared_deps({name: [] for name in report.never_run} | seen)
    versions = {version: content for content in contents if (version := registry.version_of(content))}
    report.files = sum(len(registry.files(version)) for version in versions)
    if deep:
        _verify_deep(pipeline, registry, versions, report)
    return report


def _never_run_notes(pipeline: Pipeline, names: list[str]) -> list[str]:
    """What has no bytes yet, and what brings them: `dvc repro` leaves an import that was not downloaded as it is."""
    stages, imports = [], []
    for name in names:
        (imports if name.endswith(".dvc") else stages).append(name)
    command = remedies.for_stages_that_never_ran(pipeline.dvc)
    notes = [f"dvc.lock has nothing of {compare.first_few(stages)}; `{command}` fills it."] if stages else []
    if imports:
        command = f"dvc update {' '.join(remedies.stage_from_here(pipeline.dvc, name) for name in imports)}"
        notes.append(f"{compare.first_few(imports)} was not downloaded; `{command}` does it.")
    return notes


def _contents(executions: list[Execution], added: Iterable[Content]) -> list[Content]:
    """All contents with a version of their own, each once."""
    contents = [one.versioned for execution in executions for one in (*execution.reads, *execution.outs)]
    return [one for one in dict.fromkeys([*contents, *added]) if one.md5]


# ---- production ----


def _compare_production(
    pipeline: Pipeline,
    connection: RegistryConnection,
    registry: MirroredProject,
    execution: Execution,
    report: VerifyReport,
) -> None:
    """Hold the alias `production` against git's committed record."""
    path = str(execution.meta.get("promotes"))
    try:
        if reason := alias.why_fixed(pipeline, execution):
            report.notes += _note_from_elsewhere(pipeline, connection, registry, path, reason)
            return
        model, note = alias.recorded_model(pipeline, execution), alias.uncommitted_note(pipeline, execution)
    except UnreadableRecordError as error:
        report.drifts.append(Drift("unreadable record", path, error_reason(error), "not asked", error.command))
        return
    report.notes += [f"{note}."] if note else []
    if model is None:
        return
    if not registry.has_alias(model.target, model.md5, alias.ALIAS):
        _compare_alias(pipeline, connection, execution, model, report)
    report.drifts += attestations.drifts(pipeline, connection, registry, execution, model.target, model.md5)
    report.notes += _history_notes(pipeline, connection, execution, model)


def _note_from_elsewhere(
    pipeline: Pipeline, connection: RegistryConnection, registry: MirroredProject, path: str, reason: str
) -> list[str]:
    """How the record of this commit differs from the registry, where it is no place to move the alias from."""
    source = history.committed(pipeline.root, path)
    if source is None or source.record.model_md5 is None:
        return []
    target, md5 = source.record.registered_model, source.record.model_md5
    holder = None if registry.has_alias(target, md5, alias.ALIAS) else registry_state.find_version(connection, target)
    if holder is None or holder.md5 == md5:
        return []
    return [f"{path} names {target} {md5[:8]}, and in the registry {holder} is {alias.ALIAS}: {reason}."]


def _compare_alias(
    pipeline: Pipeline,
    connection: RegistryConnection,
    execution: Execution,
    model: RecordedModel,
    report: VerifyReport,
) -> None:
    """The version that has the alias, where that is not known yet. A model that is nowhere is no difference."""
    holder = registry_state.find_version(connection, model.target)
    if holder and holder.md5 == model.md5:
        return
    followed = approvals.followed_commit(pipeline, execution, connection, holder) if holder else None
    if holder and followed and followed.model_md5 == holder.md5 and history.went_on(pipeline.root, followed.commit):
        report.notes.append(
            f"{execution.meta['promotes']} names {model}; {holder} is {alias.ALIAS} by the later commit "
            f"{followed.commit[:10]}, `git pull` brings it."
        )
        return
    known = registry_state.find_version(connection, model.target, content_alias.make(model.md5))
    if not known and not fetch.at_hand(pipeline, model.md5) and not cache.is_in_remote(pipeline, model.md5):
        nowhere = NowhereError(pipeline, execution, model)
        if holder is None:
            report.notes.append(str(nowhere))
            return
        command = nowhere.command
    else:
        command = compare.MIRROR_COMMAND if holder is None else alias.PROMOTE
    try:
        if holder:
            alias.check_may_move(pipeline, execution, model, holder, followed)
    except AliasBlockedError as error:
        command = error.command
    if command in (alias.PROMOTE, compare.MIRROR_COMMAND) and known and approvals.are_needed(pipeline, execution):
        request = approvals.open_request(connection, known)
        if request and request.version == known.version:
            command = f"{alias.APPROVE}, by somebody else than {request.asker}"
    wanted = f"{model.target} {model.md5} is in production, by the commit {model.source.commit[:10]}"
    there = f"{holder.md5 or 'a version that DVC does not know'}" if holder else "no version"
    report.drifts.append(
        Drift(
            "wrong production",
            str(execution.meta["promotes"]),
            wanted,
            f"{there} has the alias {alias.ALIAS}",
            command,
        )
    )


def _history_notes(
    pipeline: Pipeline, connection: RegistryConnection, execution: Execution, model: RecordedModel
) -> list[str]:
    """The moves of the alias of which git knows nothing: they can't be mended."""
    version = registry_state.find_version(connection, model.target)
    moves = registry_state.alias_moves(connection, version) if version else None
    if not moves or revisions.why_incomplete(pipeline.root):
        return []
    periods = history.from_git(pipeline.root, execution.meta["promotes"])
    periods = [one for one in periods if one.record.registered_model == model.target]
    return [f"{difference}." for difference in history.differences(periods, moves)]


# ---- stages that are not deterministic ----


def _note_nondeterminism(
    pipeline: Pipeline, registry: MirroredProject, execution: Execution, report: VerifyReport
) -> None:
    """Notes on outs that once had other bytes from the same command, dependencies and parameters."""
    if execution.has_persisted_out:  # its earlier output is an input too
        return
    of_runs, of_cache = compare.differing_runs(registry, execution), _differing_cached_runs(pipeline, execution)
    for first, *others in filter(None, (of_runs, list(dict.fromkeys(of_cache)))):
        report.not_deterministic += [first, *others]
        report.notes.append(
            f"{execution.stage} is not deterministic: what it was given was the same, what it made was not: {first}"
            f"{f' (and {len(others)} more; {compare.LISTS_ALL})' if others else ''}."
        )


def _differing_cached_runs(pipeline: Pipeline, execution: Execution) -> Iterator[str]:
    """Other bytes of the same outs in DVC's run cache."""
    now = {out.path: out.md5 for out in execution.outs}
    for entry in cache.cached_runs(pipeline, execution.stage):
        for path, md5 in entry.items():
            if path in now and md5 != now[path]:
                yield f"{path} was {md5} in an entry of DVC's run cache, now it is {now[path]}"


# ---- deep ----


def _verify_deep(
    pipeline: Pipeline, registry: MirroredProject, versions: dict[Version, Content], report: VerifyReport
) -> None:
    """Download and hash every file of `versions`, and hash every object of DVC's cache."""
    for version, content in versions.items():
        report.drifts += _damaged_files(registry, version, content, report)
    names: dict[str, list[str]] = {}  # of what has the object's bytes
    for content in versions.values():
        for name, md5 in _object_names(pipeline, content):
            names.setdefault(md5, []).append(name)
    for folder in sorted(path for path in cache.folder(pipeline).glob("??") if path.is_dir()):
        for path in sorted(folder.iterdir()):
            report.rehashed += 1
            md5 = (folder.name + path.name).removesuffix(".dir")
            actual = md5_of(path)
            if actual != md5:
                named = names.get(folder.name + path.name, [])
                report.drifts.append(_corrupted_object(pipeline, path, md5, actual, named))


def _damaged_files(
    registry: MirroredProject, version: Version, content: Content, report: VerifyReport
) -> Iterator[Drift]:
    """The files of `version` whose served bytes don't have the md5 of its manifest."""
    for name, (expected, served) in registry.hash_served_files(version).items():
        report.downloaded += 1
        if served != expected:
            yield Drift(
                "damaged file",
                content.path,
                f"{name} at {expected}",
                f"{version.name} serves {served}",
                f"delete {version.name} in the registry (and what `wandb-registry check` says is damaged), "
                f"then {compare.MIRROR_COMMAND}",
            )


def _corrupted_object(pipeline: Pipeline, path: Path, md5: str, actual: str, names: list[str]) -> Drift:
    oid = path.parent.name + path.name
    commands = [remedies.for_removed_object(pipeline.dvc, name, oid, _is_there(pipeline, name, oid)) for name in names]
    put_back = next((command for command in commands if command), "")
    return Drift(
        "corrupted DVC cache",
        ", ".join(names) or str(path),
        f"{path} should have the md5 {md5}, it has {actual}",
        "not asked",
        f"rm -f {shlex.quote(str(path))}{put_back and f' && {put_back}'}",
    )


def _is_there(pipeline: Pipeline, name: str, md5: str) -> bool:
    """Whether the workspace has the bytes of `md5` at `name`."""
    file = pipeline.root / name
    if file.is_dir():
        return workspace_md5(pipeline.dvc.outs[name]) == md5
    return file.is_file() and md5_of(file) == md5


def _object_names(pipeline: Pipeline, content: Content) -> Iterator[tuple[str, str]]:
    """The objects of DVC's cache that `content` consists of: (readable name, md5)."""
    yield content.path, str(content.md5)
    if content.is_folder and content.kind != "reference":
        for name, md5 in (pipeline.listing(content) or {}).items():
            yield f"{content.path}/{name}", md5

"""Holds a statement against a project: the commit that it names, the bytes that are at hand, a run of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.project.git import commands as git
from dvc_wandb.project.git import revisions
from dvc_wandb.project.lock import Content
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.provenance import digests, form, statement
from dvc_wandb.provenance.errors import OtherModelError
from dvc_wandb.provenance.statement import Statement

MISSING = object()


@dataclass(frozen=True)
class Comparison:
    """What is not as the statement says, a sentence each, and the materials: all, and those whose bytes were here.

    `packages` are those of the lock file that have hashes there.
    """

    differences: list[str]
    materials: int
    by_bytes: int
    without_bytes: list[str]
    packages: int


def check_subject(stated: Statement, path: Path) -> None:
    """Raise OtherModelError where the file or folder at `path` isn't what the statement is about."""
    about = statement.subject(stated)
    if path.is_dir():
        digest_of_each = {name: digests.of_file(one) for name, one in _files_in(path).items()}
        found, kind = digests.of_folder(digest_of_each), "dirHash"
    else:
        found, kind = digests.of_file(path), "sha256"
    if found[kind] != about["digest"].get(kind):
        stated_digest = about["digest"].get(kind, "none: it is a file" if path.is_dir() else "none: it is a folder")
        raise OtherModelError(
            f"{path} has other bytes than the statement is about: its {kind} is {found[kind]}, that of "
            f"{about['name']} in the statement is {stated_digest}."
        )


def _files_in(folder: Path) -> dict[str, Path]:
    """All files of a folder by name. Raises OtherModelError for what leads out of it: its bytes are nobody's word."""
    found = {}
    for one in folder.rglob("*"):
        name = one.relative_to(folder).as_posix()
        if one.is_file():
            found[name] = one
        elif one.is_symlink() or not one.is_dir():
            what = "a link to no file" if one.is_symlink() else "neither a file nor a folder"
            raise OtherModelError(f"{folder} has other bytes than the statement is about: {name} in it is {what}.")
    return found


def check_is_about(stated: Statement, md5: str) -> None:
    """Raise OtherModelError where the statement is about another model than that of `md5`."""
    about = statement.subject_md5(stated)
    if about != md5:
        name = statement.subject(stated)["name"]
        raise OtherModelError(
            f"the statement is about {name} {about[:8]}, not about the model {md5[:8]}: it was made for another one."
        )


def pipeline_at_its_commit(stated: Statement, root: Path) -> Pipeline:
    """The project at the commit that the statement names. Raises DvcWandbError where this clone lacks it."""
    commit = statement.commit(stated)
    if git.output_or_none(root, "cat-file", "-e", f"{commit}^{{commit}}") is None:
        raise DvcWandbError(
            f"the commit {commit[:10]}, which the statement names, is not in this clone: "
            f"{revisions.how_to_fetch(root, commit)}"
        )
    return Pipeline(root).at(commit)


def out_in(pipeline: Pipeline, path: str) -> Content:
    """The out at `path` by dvc.lock. Raises DvcWandbError where it has none."""
    found = next((out for one in pipeline.locked() for out in one.outs if out.path == path), None)
    if found is None:
        place = f"the commit {str(pipeline.commit)[:10]}" if pipeline.rev else "this project"
        raise DvcWandbError(f"no stage of {place} makes {path}.")
    return found


def compare(stated: Statement, pipeline: Pipeline, read_bytes: bool = True, near: Collection[str] = ()) -> Comparison:
    """The statement against what `pipeline` has: at its commit, or where that was run again.

    The paths that are `near` may have other bytes. Without `read_bytes` by the md5s of dvc.lock alone. Raises
    OtherFormError for a statement of another form.
    """

    def digest_of(content: Content) -> statement.Digest:
        return statement.digest_at_hand(pipeline, content) if read_bytes else statement.digest_of_lock(content)

    about = statement.subject(stated)
    place = f"the commit {str(pipeline.commit)[:10]}"
    found = statement.make(pipeline, out_in(pipeline, about["name"]), digest_of)
    (of_subject,) = found["subject"]  # of a folder that is not at hand it has no digest
    differences = [
        *(() if about["name"] in near else _descriptor_differences(about, of_subject, place)),
        *_stage_differences(stated, found, place),
        *_dependency_differences(stated, found, place, near),
        *_decision_differences(stated, pipeline),
    ]
    files = statement.materials(found)
    without = [one["name"] for one in files if not {"sha256", "dirHash"} & one.get("digest", {}).keys()]
    return Comparison(differences, len(files), len(files) - len(without), without, len(statement.packages(found)))


def _stage_differences(stated: Statement, found: Statement, place: str) -> Iterator[str]:
    about, maker = statement.stage(stated), statement.stage(found)
    if about != maker:
        yield f"the statement says that the stage {about} made it, and in {place} {maker} does"
    mine, theirs = statement.stages(stated), statement.stages(found)
    for name in sorted(mine.keys() | theirs.keys()):
        if name not in mine or name not in theirs:
            missing, having = (place, "the statement") if name in mine else ("the statement", place)
            yield f"{name}: {having} has this stage, {missing} does not"
            continue
        if mine[name].get("command") != theirs[name]["command"]:
            said, ran = mine[name].get("command"), theirs[name]["command"]
            yield f"{name}: the statement says that it ran {said!r}, {place} has {ran!r}"
        yield from _value_differences(name, mine[name].get("parameters"), theirs[name]["parameters"], place)


def _value_differences(name: str, stated: Any, found: Any, place: str) -> Iterator[str]:
    """Each parameter that differs, by its dotted name."""
    if isinstance(stated, dict) and isinstance(found, dict):
        for key in sorted(stated.keys() | found.keys()):
            yield from _value_differences(f"{name}: {key}", stated.get(key, MISSING), found.get(key, MISSING), place)
    elif stated != found:
        mine, theirs = ("nothing" if one is MISSING else repr(one) for one in (stated, found))
        yield f"{name}: the statement says {mine}, {place} has {theirs}"


def _dependency_differences(stated: Statement, found: Statement, place: str, near: Collection[str]) -> Iterator[str]:
    mine, theirs = statement.dependencies(stated), statement.dependencies(found)
    for key in sorted(mine.keys() | theirs.keys()):
        if key not in theirs:
            yield f"{key[0]}: the statement names it, {place} does not"
        elif key not in mine:
            yield f"{key[0]}: {place} reads it, the statement doesn't name it"
        elif key[0] not in near:
            yield from _descriptor_differences(mine[key], theirs[key], place)


def _descriptor_differences(stated: dict[str, Any], found: dict[str, Any], place: str) -> Iterator[str]:
    """A file or folder that has other bytes, by the first digest that both sides know."""
    mine, theirs = ({**one.get("digest", {}), "dvc": one.get("annotations", {}).get("dvc")} for one in (stated, found))
    both = [name for name in ("sha256", "dirHash", "gitCommit", "md5", "dvc") if name in mine and name in theirs]
    differing = [name for name in both if mine[name] != theirs[name]]
    if differing:
        name = differing[0]
        yield f"{stated['name']}: its {name} is {mine[name]} in the statement, and {theirs[name]} in {place}"
    if stated.get("annotations", {}).get("hashes") != found.get("annotations", {}).get("hashes"):
        yield f"{stated['name']}: its files have other hashes in the statement than in the lock file of {place}"


def _decision_differences(stated: Statement, pipeline: Pipeline) -> Iterator[str]:
    """Who decided, where this clone has the commit of the decision."""
    told = statement.byproduct(stated, form.DECISION)
    if told is None:
        return
    facts = told["annotations"]
    found = statement.decision_at(pipeline, str(facts["record"]), str(facts["commit"]))
    place = f"the commit {str(facts['commit'])[:10]}"
    if found is None:
        yield f"{facts['record']}: {place}, which decided by the statement, is not in this clone, or has no such record"
        return
    yield from _descriptor_differences(told, found, place)
    yield from _value_differences(str(facts["record"]), facts, found["annotations"], place)

"""What a person can type to get a file back: true for that file, whether git, DVC or nobody keeps it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dvc_wandb.project import git
from dvc_wandb.project.dvc_project import DvcProject, executes, is_cached, lock_hash
from dvc_wandb.project.git import revisions, submodules


def for_missing_file(dvc: DvcProject, path: str, cache_is_damaged: bool = False) -> str:
    """A sentence for a file or folder that is gone from the workspace, or whose object in DVC's cache is damaged."""
    out = _out_of(dvc, path)
    if out is not None and out.use_cache and is_cached(out) and not cache_is_damaged:
        return f"`dvc checkout {_out_name(dvc, out)}` brings it back."
    if out is not None and executes(out.stage) and out.stage.cmd:
        return f"`{_repro(dvc, dvc.address(out.stage))}` makes it."
    if out is not None and out.use_cache:
        updated = f", or `{_update(dvc, out)}`, where its source has it" if out.stage.is_import else ""
        return f"`dvc pull {_out_name(dvc, out)}` fetches it, where a DVC remote has it{updated}."
    if checkout := _git_checkout(dvc, path):
        return f"`{checkout}` brings it back."
    return "Neither git nor DVC keeps it: put it back."


def for_missing_bytes(dvc: DvcProject, path: str, md5: str) -> str:
    """A sentence for what dvc.lock names and neither the workspace nor git, DVC's cache or its remote has.

    `md5` is that of `path`, which a stage may have read before the one that makes it made other bytes.
    """
    out = _out_of(dvc, path)
    if dvc.rev and (out is None or not out.use_cache):
        inner = submodules.find(dvc.root, path)
        return f"The submodule {inner.folder} lacks it here." if inner else "It was never committed."
    if dvc.rev and out.stage.is_repo_import:
        return "Its source alone can bring it back: DVC pushes nothing that `dvc import` brought."
    if dvc.rev:
        return f"{_push(dvc, out, dvc.rev)} by whoever has it brings it into DVC's remote."
    readers = _readers(dvc, path)
    if out is None:
        repro = _repro(dvc, *readers)
        if dvc.exists(path):
            here = f"`{repro}` takes the file as it is now."
            cut_off = revisions.why_incomplete(dvc.root)
            return f"`git fetch --unshallow` brings it, if an older commit has it; {here}" if cut_off else here
        if checkout := _git_checkout(dvc, path):
            return f"`{checkout} && {repro}` takes the one that git has."
        return f"Put it back, or another one and run `{repro}`."
    if out.stage.cmd and path in dvc.outs and lock_hash(out) not in (None, md5):
        return f"`{_repro(dvc, *_readers(dvc, path))}` takes the one that {dvc.address(out.stage)} made since."
    if out.stage.cmd:
        return f"`{_repro(dvc, dvc.address(out.stage))}` makes it again."
    then = f" && {_repro(dvc, *readers)}" if readers else ""
    if dvc.can_be_imported(out.stage):
        return f"`{_update(dvc, out)}{then}` imports it anew."
    address = stage_from_here(dvc, dvc.address(out.stage))
    taken = f"dvc remove {address} && dvc add {_out_name(dvc, out)}" if out.stage.is_import else None
    return _from_others(dvc, out, f"{taken or f'dvc commit --force {address}'}{then}")


def _from_others(dvc: DvcProject, out: Any, taken: str) -> str:
    """What brings back bytes that only somebody else may have; `taken` makes do with what is there now."""
    sentence = f"{_push(dvc, out)} by whoever has it, then `dvc pull {_out_name(dvc, out)}`, brings it back"
    if out.stage.is_repo_import:
        sentence = f"Its source is gone. Put back {_out_name(dvc, out)} as whoever imported it has it"
    return f"{sentence}; `{taken}` takes what is there now." if dvc.exists(dvc.path(out)) else f"{sentence}."


def for_removed_object(dvc: DvcProject, name: str, md5: str, is_in_workspace: bool) -> str:
    """The command that puts the object of DVC's cache with the bytes of `name` back; "" where DVC can't."""
    out = _out_of(dvc, name)
    if out is None or not out.use_cache:
        return ""
    if is_in_workspace:
        return f"dvc commit {_out_name(dvc, out)}"
    if dvc.can_be_pulled(out, md5):
        return f"dvc pull {_out_name(dvc, out)}"
    return _repro(dvc, dvc.address(out.stage)) if out.stage.cmd else ""


def stage_from_here(dvc: DvcProject, address: str) -> str:
    """A stage's address as it is typed in the current folder."""
    file, separator, name = address.rpartition(":")
    if not separator and not address.endswith(".dvc"):
        file = "dvc.yaml" if dvc.root.resolve() in Path.cwd().parents else ""
    elif not separator:
        return _from_here(dvc, address)
    return f"{_from_here(dvc, file)}:{shlex.quote(name)}" if file else shlex.quote(name)


def for_outdated(dvc: DvcProject, stage: str) -> str:
    """The command that brings a stage, and what it reads, up to date."""
    return _repro(dvc, stage, thawed=dvc.upstream_of((stage,)))


def for_stages_that_never_ran(dvc: DvcProject) -> str:
    """The command that runs all stages: `dvc repro` alone runs those of the dvc.yaml in the current folder."""
    files = {os.path.dirname(dvc.address(stage).rpartition(":")[0]) for stage in dvc.stages.values() if stage.cmd}
    is_at_root = dvc.root.resolve() not in Path.cwd().parents
    repro = "dvc repro" if is_at_root and files <= {""} else "dvc repro --all-pipelines"
    return _thawed(dvc, (name for name, stage in dvc.stages.items() if not dvc.is_locked(stage)), repro)


def for_no_commits(dvc: DvcProject) -> str:
    """The command that gives the project a repository, with which DVC works if it was told that there is none."""
    begun = git.output_or_none(dvc.root, "rev-parse", "--git-dir") is not None
    told = "dvc config core.no_scm false" if dvc.repo.config["core"].get("no_scm") else ""
    return " && ".join(filter(None, ["" if begun else "git init", told]))


def is_in_git(dvc: DvcProject, path: str) -> bool:
    """Whether the last commit has a file or folder."""
    return git.output_or_none(dvc.root, "cat-file", "-e", f"HEAD:./{path}") is not None


def _git_checkout(dvc: DvcProject, path: str) -> str | None:
    """The command that takes a file or folder from the last commit, its own or a submodule's; None if it has none."""
    if is_in_git(dvc, path):
        return f"git checkout HEAD -- {git.pathspec(_relative(dvc, path))}"
    inner = submodules.find(dvc.root, path)
    if inner is None:
        return None
    folder = _from_here(dvc, inner.folder)
    if not inner.is_checked_out:
        return f"git submodule update --init {folder}"
    if git.output_or_none(dvc.root / inner.folder, "cat-file", "-e", f"HEAD:./{inner.path}") is None:
        return None
    return f"git -C {folder} checkout HEAD -- {git.pathspec(inner.path)}"


def _out_of(dvc: DvcProject, path: str) -> Any:
    """The output that `path` is, or is in."""
    return dvc.outs.get(path) or dvc.folder_out(path)


def _push(dvc: DvcProject, out: Any, rev: str | None = None) -> str:
    """The command that pushes an output. For a commit DVC takes the remote that it had itself, or none."""
    command = "dvc push --all-commits" if rev else "dvc push"
    remote = dvc.remote_of(out)
    had_remote = b"remote" in (git.file_at(dvc.root, rev, ".dvc/config") or b"") if rev else True
    if remote and had_remote:
        return f"`{command}`"
    url = dvc.repo.config["remote"][remote]["url"] if remote else "URL"
    level = "--local " if rev else ""
    return f"`dvc remote add {level}--force --default {remote or 'NAME'} {shlex.quote(url)} && {command}`"


def _repro(dvc: DvcProject, *stages: str, thawed: Iterable[str] = ()) -> str:
    """The command that runs stages, and those `thawed` though they are frozen.

    First brings the sources upstream that `dvc repro` would miss, as far as it can.
    """
    upstream = [dvc.stages[name] for name in sorted(dvc.upstream_of(stages))] if stages else []
    kept = [stage for stage in upstream if not stage.cmd or (stage.frozen and dvc.address(stage) not in stages)]
    missing = [out for stage in kept for out in stage.outs if not out.exists]
    cached = [out for out in missing if is_cached(out)]
    pulled = [out for out in missing if out not in cached and dvc.can_be_pulled(out, str(out.hash_info.value))]
    brought = [("checkout", cached), ("pull", pulled)]
    commands = [f"dvc {word} {' '.join(_out_name(dvc, out) for out in outs)}" for word, outs in brought if outs]
    repro = f"dvc repro {' '.join(stage_from_here(dvc, one) for one in stages)}".rstrip()
    lost = {dvc.address(out.stage) for out in missing if out not in cached and out not in pulled}
    return " && ".join([*commands, _thawed(dvc, sorted({*stages, *lost, *thawed}), repro)])


def _thawed(dvc: DvcProject, stages: Iterable[str], repro: str) -> str:
    """The command `repro` for `stages`, of which DVC runs those that are `frozen: true` only while they aren't."""
    names = " ".join(stage_from_here(dvc, one) for one in stages if dvc.stages[one].cmd and dvc.stages[one].frozen)
    return f"dvc unfreeze {names} && {repro} && dvc freeze {names}" if names else repro


def _update(dvc: DvcProject, out: Any) -> str:
    return f"dvc update {stage_from_here(dvc, dvc.address(out.stage))}"


def _out_name(dvc: DvcProject, out: Any) -> str:
    return _from_here(dvc, dvc.path(out))


def _from_here(dvc: DvcProject, path: str) -> str:
    """A path of the project as it is typed for DVC in the current folder: not as an option."""
    name = _relative(dvc, path)
    return shlex.quote(f"./{name}" if name.startswith("-") else name)


def _relative(dvc: DvcProject, path: str) -> str:
    """A path of the project from the current folder, which may be one of the project's."""
    root = dvc.root.resolve()
    return os.path.relpath(root / path) if root in Path.cwd().parents else path


def _readers(dvc: DvcProject, path: str) -> list[str]:
    """The stages that read `path`."""
    return sorted({dvc.address(dep.stage) for dep in dvc.deps() if dvc.path(dep) == path})

"""What a person can type to get a file back: true for that file, whether git, DVC or nobody keeps it."""

from __future__ import annotations

import shlex
from typing import Any

from dvc_wandb.project import git
from dvc_wandb.project.dvc_project import DvcProject, executes, is_cached


def for_missing_file(dvc: DvcProject, path: str, cache_is_damaged: bool = False) -> str:
    """A sentence for a file or folder that is gone from the workspace, or whose object in DVC's cache is damaged."""
    out, name = _out_of(dvc, path), shlex.quote(path)
    if out is not None and out.use_cache and is_cached(out) and not cache_is_damaged:
        return f"`dvc checkout {_out_name(dvc, out)}` brings it back."
    if out is not None and executes(out.stage) and out.stage.cmd:
        return f"`dvc repro {shlex.quote(dvc.address(out.stage))}` makes it."
    if out is not None and out.use_cache:
        return f"`dvc pull {_out_name(dvc, out)}` fetches it, where a DVC remote or the source of an import has it."
    if is_in_git(dvc, path):
        return f"`git checkout HEAD -- {name}` brings it back."
    return "Neither git nor DVC keeps it: put it back."


def for_missing_bytes(dvc: DvcProject, path: str) -> str:
    """A sentence for what dvc.lock names and neither the workspace nor git, DVC's cache or its remote has."""
    out, name = _out_of(dvc, path), shlex.quote(path)
    if dvc.rev and (out is None or not out.use_cache):
        return "It was never committed."
    if dvc.rev:
        return "`dvc push --all-commits` by whoever has it brings it into DVC's remote."
    stages = " ".join(shlex.quote(stage) for stage in _readers(dvc, path))
    if out is None:
        if dvc.exists(path):
            return f"`dvc repro {stages}` takes the file as it is now."
        if is_in_git(dvc, path):
            return f"`git checkout HEAD -- {name} && dvc repro {stages}` takes the one that git has."
        return f"Put it back, or another one and run `dvc repro {stages}`."
    if not executes(out.stage):
        pulled = f"`dvc push` by whoever has it, then `dvc pull {_out_name(dvc, out)}`, brings it back"
        taken = f"dvc commit --force {shlex.quote(dvc.address(out.stage))}"
        taken += f" && dvc repro {stages}" if stages else ""
        return f"{pulled}; `{taken}` takes what is there now." if dvc.exists(path) else f"{pulled}."
    if not out.stage.cmd:
        return f"`dvc update {shlex.quote(dvc.address(out.stage))}` imports it anew, where its source is to be had."
    return f"`dvc repro {shlex.quote(dvc.address(out.stage))}` makes it again."


def is_in_git(dvc: DvcProject, path: str) -> bool:
    """Whether the last commit has a file or folder."""
    return git.output_or_none(dvc.root, "cat-file", "-e", f"HEAD:./{path}") is not None


def _out_of(dvc: DvcProject, path: str) -> Any:
    """The output that `path` is, or is in."""
    return dvc.outs.get(path) or dvc.folder_out(path)


def _out_name(dvc: DvcProject, out: Any) -> str:
    return shlex.quote(dvc.path(out))


def _readers(dvc: DvcProject, path: str) -> list[str]:
    """The stages that read `path`."""
    return sorted({dvc.address(dep.stage) for dep in dvc.deps() if dvc.path(dep) == path})

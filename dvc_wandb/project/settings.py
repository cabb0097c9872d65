"""What we know of a project without DVC: its root, settings and name. Doesn't import DVC."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import tempfile
from pathlib import Path
from typing import Any

from dvc_wandb.errors import ProjectError
from dvc_wandb.project import git
from dvc_wandb.project.artifact_names import with_digest
from dvc_wandb.project.dvc_errors import on_one_line


def project_root() -> Path:
    """The root of the DVC project around the current folder. Raises ProjectError if there is none."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".dvc").is_dir():
            return folder
    raise ProjectError(f"{here} is not in a DVC project: there is no .dvc folder here or above. {_how_to_begin(here)}")


def _how_to_begin(here: Path) -> str:
    """The command that makes a DVC project of a folder: DVC wants git's root, or to be told that it isn't one."""
    top = git.output_or_none(here, "rev-parse", "--show-toplevel")
    if top is None:
        return "Run `git init && dvc init`."
    if kept := next((one for one in (here, *here.parents) if _is_kept_by_git(one)), None):
        folder = shlex.quote(os.path.relpath(kept / ".dvc", top))
        is_sparse = git.output_or_none(here, "config", "--bool", "core.sparseCheckout") == "true"
        command = f"git sparse-checkout add {folder}" if is_sparse else f"git checkout HEAD -- {folder}"
        return f"git has it, and not here: `{command}` in {top} brings it."
    if below := _projects_in(here):
        return f"There are projects in {', '.join(below)}: `cd {shlex.quote(below[0])}`."
    return "Run `dvc init`." if Path(top) == here.resolve() else f"Run `dvc init --subdir`, or `dvc init` in {top}."


def _is_kept_by_git(folder: Path) -> bool:
    """Whether the last commit has a DVC project in a folder."""
    return git.output_or_none(folder, "cat-file", "-e", "HEAD:./.dvc/config") is not None


def tmp_folder(root: Path) -> Path:
    """The folder for files that processes share; an experiment uses that of its repository.

    For a project that one may only read it is one of the user's own, outside of it. Raises ProjectError.
    """
    folder = Path(os.environ.get("DVC_ROOT") or root) / ".dvc" / "tmp"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    own = Path(tempfile.gettempdir()) / f"dvc-wandb-{os.getuid()}"
    inside = own / hashlib.md5(str(folder.absolute()).encode()).hexdigest()
    try:
        own.mkdir(mode=0o700, exist_ok=True)
        is_ours = own.lstat().st_uid == os.getuid()  # another user's link to a folder of ours is none
        if is_ours:
            inside.mkdir(exist_ok=True)
    except OSError as error:
        raise ProjectError(f"neither {folder} nor {own} can be written ({error.strerror}): set TMPDIR.") from None
    if not is_ours:
        raise ProjectError(f"{folder} can't be written, and {own} is another user's: name a folder with TMPDIR.")
    return inside


def setting(root: Path, key: str) -> Any:
    """The value of the dotted `key` in params.yaml; None if there is none."""
    import yaml

    try:
        value: Any = yaml.safe_load((root / "params.yaml").read_text())
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ProjectError(f"params.yaml can't be read: {on_one_line(str(error))}.") from None
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def project_name(root: Path) -> str:
    """The W&B project: WANDB_PROJECT, else `project` in params.yaml, else the repository's name."""
    return os.environ.get("WANDB_PROJECT") or str(setting(root, "project") or _repository_name(root))


def projects_of_same_name(root: Path) -> list[str]:
    """The other DVC projects of the repository whose params.yaml has the same `project`, as paths from its top.

    They share a W&B project on purpose, or by a copied line: outs of one name are versions of one collection.
    """
    name, top = setting(root, "project"), git.output_or_none(root, "rev-parse", "--show-toplevel")
    if not name or not top:
        return []
    folders = (Path(top, folder) for folder in _projects_in(Path(top)))
    return [os.path.relpath(one, top) for one in folders if one != root.resolve() and _has_name(one, name)]


def _projects_in(folder: Path) -> list[str]:
    """The folders below, from there, in which git has DVC projects."""
    configs = git.output_or_none(folder, "ls-files", "-z", ":(glob)**/.dvc/config") or ""
    return [str(Path(config).parents[1]) for config in configs.split("\0") if config]


def _has_name(root: Path, name: Any) -> bool:
    try:
        return setting(root, "project") == name
    except ProjectError:  # for that project's own commands to say
        return False


def _repository_name(root: Path) -> str:
    """The name of the repository on its remote, so it is the same in every clone; else its folder's name.

    A project in a folder of the repository is told apart by that folder's path; without a remote, that is all.
    An experiment in a temporary folder belongs to the repository in DVC_ROOT.
    """
    home = Path(os.environ.get("DVC_ROOT") or root).resolve()
    origin = git.output_or_none(home, "config", "--get", "remote.origin.url") or ""
    repository = re.split(r"[/:]", origin.rstrip("/").removesuffix(".git"))[-1].strip(".")
    folder = _folder_name((git.output_or_none(home, "rev-parse", "--show-prefix") or "").strip("/"))
    return _slug("-".join(filter(None, [repository, folder])) or _clone_name(home))[:128] or "dvc-wandb"


def _clone_name(home: Path) -> str:
    """The name of the clone's folder, of which `home` may be another work tree (`git worktree`)."""
    common = (home / (git.output_or_none(home, "rev-parse", "--git-common-dir") or "")).resolve()
    return common.parent.name if common.name == ".git" else home.name


def _folder_name(folder: str) -> str:
    """A folder's path as a name that no other folder of the repository has."""
    name = _slug(folder.replace("/", "--"))
    is_own = name.replace("--", "/") == folder and len(name) < 64
    return name if is_own else with_digest(name[:64], folder)


def _slug(name: str) -> str:
    return re.sub(r"[\s/\\#?%:]+", "-", name)

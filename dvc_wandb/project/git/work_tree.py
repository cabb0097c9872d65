"""The commit and the work tree's changes as one pack of git's, without history: enough for a clone that runs a stage.

A temporary index takes all that git doesn't ignore, new files too, which `git stash create` forgets. Neither index nor
branch is touched.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dvc_wandb.errors import ProjectError
from dvc_wandb.project.git import commands

FAILURE = "git can't tell what the work tree has"


@dataclass(frozen=True)
class WorkTree:
    """What a pack holds: a commit, and a tree with all files as they are. `prefix` is the project's folder in it."""

    commit: str
    tree: str
    prefix: str
    remote_url: str | None


def pack(root: Path) -> tuple[WorkTree, bytes]:
    """The work tree around `root` and the pack of its objects. Raises ProjectError, such as without a commit."""
    commit = commands.output_or_none(root, "rev-parse", "--verify", "HEAD")
    if commit is None:
        raise ProjectError("stages go to other machines by a commit, and this project has none. Run `git commit`.")
    top = top_of(root)
    with tempfile.TemporaryDirectory(prefix="index-") as folder:
        index = Path(folder, "index")
        present = Path(commands.output(top, "rev-parse", "--absolute-git-dir", failure=FAILURE), "index")
        if present.exists():  # what it knows of unchanged files spares reading them
            shutil.copy(present, index)
        environment = {"GIT_INDEX_FILE": str(index)}
        commands.output(top, "add", "--all", failure=FAILURE, environment=environment)
        tree = commands.output(top, "write-tree", failure=FAILURE, environment=environment)
    listed = commands.output(top, "rev-list", "--objects", "--no-walk", commit, tree, failure=FAILURE)
    names = "".join(f"{line.partition(' ')[0]}\n" for line in listed.splitlines())
    packed = commands.bytes_or_none(top, "pack-objects", "--stdout", "--quiet", stdin=names.encode())
    if packed is None:
        raise ProjectError(f"{FAILURE}: git pack-objects failed.")
    prefix = os.path.relpath(root.resolve(), top)
    return WorkTree(commit, tree, prefix, commands.remote_url(root)), packed


def unpack(work_tree: WorkTree, packed: bytes, folder: Path) -> Path:
    """Make a clone of it in the empty `folder`, at its commit, with its changes; the project's root there."""
    commands.output(folder, "init", "--quiet", "--template=", failure=FAILURE)
    if commands.bytes_or_none(folder, "index-pack", "--stdin", stdin=packed) is None:
        raise ProjectError(f"{FAILURE}: git index-pack failed.")
    (folder / ".git/shallow").write_text(f"{work_tree.commit}\n")
    commands.output(folder, "update-ref", "--no-deref", "HEAD", work_tree.commit, failure=FAILURE)
    commands.output(folder, "read-tree", "-u", "--reset", work_tree.tree, failure=FAILURE)
    if work_tree.remote_url:
        commands.output(folder, "config", "remote.origin.url", work_tree.remote_url, failure=FAILURE)
    return folder / work_tree.prefix


def ignored(top: Path, paths: list[str]) -> list[str]:
    """Those of `paths`, relative to the repository's top, that git ignores."""
    listed = commands.bytes_or_none(top, "check-ignore", "-z", "--stdin", stdin="\0".join(paths).encode())
    return list(filter(None, (listed or b"").decode().split("\0")))


def top_of(root: Path) -> Path:
    """The top of the repository around `root`. Raises ProjectError outside of one."""
    return Path(commands.output(root, "rev-parse", "--show-toplevel", failure=FAILURE))

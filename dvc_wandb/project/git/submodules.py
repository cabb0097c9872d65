"""Submodules: repositories of their own in the project's, which git checks out only where it is asked to."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import Path

from dvc_wandb.project.git import commands as git

GITLINK = "160000 "  # the mode of a submodule in git's index


@dataclass(frozen=True)
class InSubmodule:
    """A path of a project that lies in a submodule: `folder` is the submodule's, `path` the one in it."""

    root: Path
    folder: str
    path: str

    @property
    def is_checked_out(self) -> bool:
        return (self.root / self.folder / ".git").exists()


def find(root: Path, path: str) -> InSubmodule | None:
    """Where `path` lies, if that is in a submodule of the repository of `root`."""
    listed = git.output_or_none(root, "ls-files", "--stage", "-z") or ""
    entries = (entry.partition("\t") for entry in listed.split("\0") if entry.startswith(GITLINK))
    folder = next((folder for _, _, folder in entries if path == folder or path.startswith(f"{folder}/")), None)
    return None if folder is None else InSubmodule(root, folder, posixpath.relpath(path, folder))

"""Finds bytes in git's history by the md5 that dvc.lock has.

They may be committed later than dvc.lock, or changed since. Git has them as they were committed, also where it writes
others into the workspace (`core.autocrlf`), and as a filter makes them there (Git LFS).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath

from dvc_wandb import temporary_folders
from dvc_wandb.project.git import commands as git

HISTORY = ("--literal-pathspecs", "log", "--full-history", "--ignore-missing", "--format=%H")
MERGED = ("MERGE_HEAD", "REBASE_HEAD", "CHERRY_PICK_HEAD")  # the other side, while git merges
ALL_BRANCHES = ("--branches", "--tags", "--remotes")
FILE_MODES = ("100644", "100755")

Version = dict[str, str]  # the blob of each file, by its path
Read = Callable[[Path, str, str], bytes]


def find(root: Path, path: str, commit: str, has_md5: Callable[[dict[str, str]], bool]) -> dict[str, Path] | None:
    """The files at `path`, by name, in the latest commit for whose md5s by name `has_md5` is true; None if none is.

    Looks through the history of `commit` and of all branches.
    """
    versions: Iterator[Version] | list[Version] = _versions(root, path, commit)
    for read in (_as_committed, _as_checked_out):
        md5 = cache(lambda file, blob, read=read: hashlib.md5(read(root, file, blob)).hexdigest())
        tried = []
        for version in versions:
            if has_md5({_name(file, path): md5(file, blob) for file, blob in version.items()}):
                return _write(root, path, version, read)
            tried.append(version)
        versions = tried
    return None


def _versions(root: Path, path: str, commit: str) -> Iterator[Version]:
    """The files at `path` in each commit that changed them, latest first."""
    commits = git.output_or_none(root, *HISTORY, commit, *MERGED, *ALL_BRANCHES, "--", f"./{path}") or ""
    for sha in commits.splitlines():
        listed = git.output_or_none(root, "ls-tree", "-r", "-z", sha, "--", f"./{path}") or ""
        entries = (entry.split("\t", 1) for entry in listed.split("\0") if entry)
        yield {file: facts.split()[2] for facts, file in entries if facts.split()[0] in FILE_MODES}


def _as_committed(root: Path, _file: str, blob: str) -> bytes:
    return git.bytes_or_none(root, "cat-file", "blob", blob) or b""


def _as_checked_out(root: Path, file: str, blob: str) -> bytes:
    return git.bytes_or_none(root, "cat-file", "--filters", f"--path=./{file}", blob) or b""


def _name(file: str, path: str) -> str:
    return file.removeprefix(f"{path}/") if file != path else PurePosixPath(path).name


def _write(root: Path, path: str, version: Version, read: Read) -> dict[str, Path]:
    """The files in a temporary folder."""
    folder = temporary_folders.folder()
    files = {_name(file, path): file for file in version}
    for name, file in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(read(root, file, version[file]))
    return {name: folder / name for name in files}

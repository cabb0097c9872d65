"""Finds the files of a project's contents at the md5s of dvc.lock.

In the workspace (or at the git revision of the project), else in DVC's cache, else where it is kept: in git's history
or in a DVC remote.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import posixpath
import shutil
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from dvc_wandb import temporary_folders
from dvc_wandb.errors import (
    CorruptedContentError,
    DvcWandbError,
    LegacyMd5Error,
    MissingContentError,
    error_reason,
    one_line,
)
from dvc_wandb.project import remedies
from dvc_wandb.project.dvc_project import DvcProject, workspace_md5
from dvc_wandb.project.git import blobs, revisions, submodules
from dvc_wandb.project.lock import Content

NOT_IN_REMOTE = "DVC's remote lacks it"


class FileLocator:
    """Finds the files of a project's contents. `outs_in` tells the outs in a folder."""

    def __init__(self, dvc: DvcProject, outs_in: Callable[[Content], list[Content]]) -> None:
        self._dvc = dvc
        self._repo = dvc.repo
        self._entries = dvc.entries  # DVC's objects by path
        self._outs_in = outs_in
        self._listings: dict[Content, dict[str, str]] = {}
        self._located: dict[Content, dict[str, Path]] = {}
        self._paths: dict[Content, Path | None] = {}
        self._nowhere: dict[Content, bool] = {}
        self._unreadable: dict[str, PermissionError] = {}  # in the workspace, by the path of the content

    def listing(self, content: Content) -> dict[str, str] | None:
        """The md5 of each file of `content` by name; None if this machine lacks a folder's list of files."""
        if content not in self._listings and (read := self._read_listing(content)) is not None:
            self._listings[content] = read
        return self._listings.get(content)

    def md5_in(self, folder: Content, name: str) -> str | None:
        """The md5 that the file or folder `name` has in `folder`; None if it isn't known to have it."""
        listing = (self.listing(folder) if folder.is_folder and folder.kind != "reference" else None) or {}
        below = {file.removeprefix(f"{name}/"): md5 for file, md5 in listing.items() if file.startswith(f"{name}/")}
        return listing.get(name) or (folder_md5(below) if below else None)

    def snapshot(self, content: Content) -> None:
        """Keep the bytes of the workspace as they are now: as hard links if possible, else as copies."""
        target = temporary_folders.folder(Path(self._repo.tmp_dir)) / Path(content.path).name
        links = {name: target / name if content.is_folder else target for name in self.files(content)}
        for name, path in self.files(content).items():
            links[name].parent.mkdir(parents=True, exist_ok=True)
            try:
                links[name].hardlink_to(path)
            except OSError:  # another file system, or one without links
                shutil.copyfile(path, links[name])
        self._paths[content], self._located[content] = target, links

    def _read_listing(self, content: Content) -> dict[str, str] | None:
        if not content.is_folder:
            return {Path(content.path).name: str(content.md5)}
        if content.md5 == folder_md5({}):  # which git can't keep, and nobody has to
            return {}
        listing = _listing_in(self._object_path(content, str(content.md5)), str(content.md5))
        if listing is not None:
            return listing
        entry = self._entries.get(content.path)
        if entry is None:
            return None
        return _hash_folder(entry) if self._is_in_workspace(content) else self._assemble_listing(content, entry)

    def _assemble_listing(self, content: Content, entry: Any) -> dict[str, str] | None:
        """The listing of a folder around outs: theirs, and the files between them; None if its md5 isn't that."""
        outs = self._outs_in(content)
        listings = {posixpath.relpath(out.path, content.path): (out, self.listing(out)) for out in outs}
        if not outs or any(listing is None for _, listing in listings.values()):
            return None
        between = _hash_folder(entry) if entry.exists else {}
        listing = {name: md5 for name, md5 in between.items() if not {name, *_folders(name)} & listings.keys()}
        for name, (out, files) in listings.items():
            listing |= {f"{name}/{file}" if out.is_folder else name: md5 for file, md5 in (files or {}).items()}
        return listing if folder_md5(listing) == content.md5 else None

    def files(self, content: Content) -> dict[str, Path]:
        """The path of each file of `content`, by name. Raises MissingContentError."""
        if content not in self._located:
            self._located[content] = self.files_at_hand(content) or self._pull_files(content)
        return self._located[content]

    def files_at_hand(self, content: Content) -> dict[str, Path] | None:
        """The same, of a `content` that this machine has; None where it lacks the bytes."""
        if content in self._located:
            return self._located[content]
        if root := self._workspace_path(content):
            return {name: root / name if content.is_folder else root for name in self.listing(content) or {}}
        return self._files_in_cache(content) or self._assemble_files(content) or self._files_in_git(content)

    def locate(self, content: Content) -> Path:
        """The path of `content` as a whole, under its own name. Raises MissingContentError."""
        return self._workspace_path(content) or self._link_from_cache(content)

    def mismatch_error(self, content: Content, name: str, path: Path, md5: str) -> DvcWandbError:
        """The error for a file of `content` whose bytes in `path` don't have the md5 of dvc.lock."""
        if self._entries[content.path].hash_name == "md5-dos2unix" and b"\r\n" in path.read_bytes():
            return LegacyMd5Error(name, md5)
        is_in_cache = path == self._object_path(content, md5)
        remedy = remedies.for_missing_file(self._dvc, content.path, cache_is_damaged=is_in_cache)
        return CorruptedContentError(name, path, md5, remedy)

    def is_nowhere(self, content: Content) -> bool:
        """Whether neither this machine nor DVC's remote has the bytes, nor a source that DVC would fetch them from."""
        if content not in self._nowhere:
            self._nowhere[content] = self._can_not_be_found(content)
        return self._nowhere[content]

    def _can_not_be_found(self, content: Content) -> bool:
        if content.kind == "reference" or self._outs_in(content):
            return False
        if self._workspace_path(content) or self._files_in_cache(content):
            return False
        keeper = self._keeper(content)
        if not keeper.use_cache:
            return self._files_in_git(content) is None
        return not self._dvc.can_be_pulled(keeper, str(content.md5))

    def _object_path(self, content: Content, md5: str) -> Path:
        """The path of a file of `content` in DVC's cache, whether it exists or not."""
        entry = self._entries.get(content.path)  # None if only another commit has the path
        return Path((self._repo.cache.local if entry is None else entry.local_cache).oid_to_path(md5))

    def _workspace_path(self, content: Content) -> Path | None:
        """The path of `content` in the workspace or the git revision; None if it differs from dvc.lock."""
        if content not in self._paths:
            entry = self._entries[content.path]
            self._paths[content] = _path_on_disk(entry) if self._is_in_workspace(content) else None
        return self._paths[content]

    def _is_in_workspace(self, content: Content) -> bool:
        """Whether the workspace has `content` as in dvc.lock. What may not be read there may be somewhere else."""
        try:
            return workspace_md5(self._entries[content.path]) == content.md5
        except PermissionError as error:
            self._unreadable[content.path] = error
            return False

    def _link_from_cache(self, content: Content) -> Path:
        """`content` under its own name in a temporary folder, as links to the objects of DVC's cache."""
        target = temporary_folders.folder() / Path(content.path).name
        for name, path in self.files(content).items():
            link = target / name if content.is_folder else target
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
        self._paths[content] = target
        return target

    def _files_in_cache(self, content: Content) -> dict[str, Path] | None:
        listing = self.listing(content)
        if listing is None:
            return None
        objects = {name: self._object_path(content, md5) for name, md5 in listing.items()}
        return objects if all(path.exists() for path in set(objects.values())) else None

    def _assemble_files(self, content: Content) -> dict[str, Path] | None:
        """The files of a folder around outs: from wherever theirs are, and those between them from workspace or git.

        None if it is no such folder. Raises MissingContentError.
        """
        files_by_out = {out: self.files(out) for out in self._outs_in(content)} if content.is_folder else {}
        listing = self.listing(content)  # now that theirs are here
        if listing is None or not files_by_out:
            return None
        entry = self._entries[content.path]
        root = _path_on_disk(entry) if entry.exists else None
        found = {name: root / name for name in listing} if root else {}
        for out, files in files_by_out.items():
            inside = posixpath.relpath(out.path, content.path)
            found |= {f"{inside}/{name}" if out.is_folder else inside: path for name, path in files.items()}
        return found if found.keys() == listing.keys() else None

    def _files_in_git(self, content: Content) -> dict[str, Path] | None:
        """The files as some commit has them, where it is git that keeps them."""
        if self._keeper(content).use_cache or not self._dvc.commit:
            return None

        def has_md5(md5s: dict[str, str]) -> bool:
            kept = {name: md5 for name, md5 in md5s.items() if not self._is_ignored(content, name)}
            found = folder_md5(kept) == content.md5 if content.is_folder else [*kept.values()] == [content.md5]
            if found:
                self._listings[content] = kept
            return found

        files = blobs.find(self._dvc.root, content.path, self._dvc.commit, has_md5)
        inner = None if files else submodules.find(self._dvc.root, content.path)
        if inner and inner.is_checked_out:
            files = blobs.find(inner.root / inner.folder, inner.path, "HEAD", has_md5)
        return files and {name: files[name] for name in self._listings[content]}

    def _is_ignored(self, content: Content, name: str) -> bool:
        """Whether .dvcignore leaves a file out of a folder."""
        return content.is_folder and self._repo.dvcignore.is_ignored_file(
            os.path.join(self._repo.root_dir, content.path, name)
        )

    def _pull_files(self, content: Content) -> dict[str, Path]:
        """The files brought into DVC's cache from its remote."""
        reason = self._pull(content) if self._keeper(content).use_cache else self._not_in_git
        files = self._files_in_cache(content)
        if files is None and content.path in self._unreadable:
            raise DvcWandbError(f"{error_reason(self._unreadable[content.path])}.")
        if files is None:
            remedy = remedies.for_missing_bytes(self._dvc, content.path, str(content.md5))
            raise MissingContentError(content.path, reason, remedy)
        return files

    def _keeper(self, content: Content) -> Any:
        """DVC's object that says where the bytes are kept: of the path, or of the folder output around it."""
        return self._entries[content.versioned.path]

    @property
    def _not_in_git(self) -> str:
        incomplete = revisions.why_incomplete(self._dvc.root)
        return f"no commit here does ({incomplete})" if incomplete else "no commit does"

    def _pull(self, content: Content) -> str:
        """Pull `content` from DVC's remote, an import else from its source. Returns why something may be missing."""
        entry = self._keeper(content)
        remote = self._dvc.remote_of(entry)
        if not remote and not entry.stage.is_import:
            return "no DVC remote is set up"
        reason, is_versioned = NOT_IN_REMOTE, False
        try:
            is_versioned = bool(remote) and self._dvc.keeps_versions(remote)
            if remote and not is_versioned:
                self._pull_objects(entry, content, remote)
        except Exception as error:  # of DVC, or of the remote's client
            reason = f"DVC's remote can't be read: {one_line(error)}"
        if (entry.stage.is_import or is_versioned) and self._files_in_cache(content) is None:
            self._fetch(entry)
            return f"DVC can't fetch it from {entry.stage.deps[0] if entry.stage.is_import else 'its remote'} either"
        return reason

    def _pull_objects(self, entry: Any, content: Content, remote: str) -> None:
        """Pull the objects of `content` by their md5s."""
        from dvc_data.hashfile.hash_info import HashInfo

        if not self._repo.cloud.get_remote_odb(remote, hash_name=entry.hash_name).exists(content.md5):
            return  # DVC would warn
        self._repo.cloud.pull([HashInfo(entry.hash_name, content.md5)], remote=remote)
        files = (self.listing(content) or {}).values() if content.is_folder else ()
        self._repo.cloud.pull([HashInfo(entry.hash_name, md5) for md5 in files], remote=remote)

    def _fetch(self, entry: Any) -> None:
        """Fetch an entry from where DVC knows it to be, as far as that answers."""
        if not self._is_all_fetched:
            with contextlib.suppress(Exception):  # of DVC, git, or the client of the entry's source
                self._repo.fetch(targets=[entry.fs_path])

    @cached_property
    def _is_all_fetched(self) -> bool:
        """Fetch everything once: DVC needs a second for each alone. One source that is gone stops it."""
        try:
            self._repo.fetch()
        except Exception:  # of DVC, git, or the client of a source
            return False
        return True


def copy_to(root: Path, content: Content, files: dict[str, Path]) -> None:
    """Copy the `files` of `content`, by name, to its path in a project at `root`."""
    for name, path in files.items():
        target = root / content.path / name if content.is_folder else root / content.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _listing_in(path: Path, md5: str) -> dict[str, str] | None:
    """The files of a folder by the object of DVC's cache at `path`; None if there is none, or it has other bytes."""
    try:
        listed = path.read_bytes()
        listing = {file["relpath"]: file["md5"] for file in json.loads(listed)}
    except (OSError, ValueError, TypeError, KeyError):
        return None
    is_whole = f"{hashlib.md5(listed).hexdigest()}.dir" == md5 or folder_md5(listing) == md5
    return listing if is_whole else None


def _folders(name: str) -> Iterator[str]:
    """The folders around a file's name."""
    return (str(folder) for folder in PurePosixPath(name).parents)


def _path_on_disk(entry: Any) -> Path:
    """The entry's path in the workspace; from a git revision it is written to a temporary folder."""
    from dvc.fs import GitFileSystem

    if not isinstance(entry.fs, GitFileSystem):
        return Path(entry.fs_path)
    target = temporary_folders.folder() / Path(entry.fs_path).name
    entry.fs.get(entry.fs_path, str(target))
    return target


def _hash_folder(entry: Any) -> dict[str, str]:
    """The md5 of each file of a folder in the workspace, by name."""
    from dvc_data.hashfile.build import build

    _, _, tree = build(
        entry.local_cache, entry.fs_path, entry.fs, entry.hash_name, ignore=entry.dvcignore, dry_run=True
    )
    return {"/".join(key): hash_info.value for key, _, hash_info in tree}  # pyright: ignore[reportGeneralTypeIssues]


def folder_md5(md5s: dict[str, str]) -> str:
    """DVC's md5 of a folder, from the md5s of its files by name."""
    from dvc_data.hashfile.tree import Tree

    tree = Tree.from_list([{"md5": md5, "relpath": name} for name, md5 in md5s.items()], hash_name="md5")
    tree.digest()
    return str(tree.oid)


def md5_of(path: Path) -> str:
    """The md5 of the bytes of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()

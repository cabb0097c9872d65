"""Reads a project with DVC's Python API. Only here and in files.py and cache.py are stages and outs DVC's objects.

DVC itself reads dvc.yaml and dvc.lock (templating, foreach, .dvcignore are its own).
"""

from __future__ import annotations

import atexit
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from dvc_wandb.errors import ProjectError
from dvc_wandb.project import dvc_errors
from dvc_wandb.project.artifact_names import Section
from dvc_wandb.project.git import merges, partial_clone

HINTS = {  # for what DVC says
    "Could not find": " Templates in dvc.yaml take their values from params.yaml.",
    "is not a git repository": " `git init` makes it one; with `dvc config core.no_scm true` DVC does without.",
}


class DvcProject:
    """A project in the workspace at `root`, or at the commit `rev`: its data are where the project has them `now`.

    A stage's address is its name, after the path of its dvc.yaml unless that is the root's. An entry is a dependency or
    an output; it is known by its path in the project. Raises ProjectError if DVC can't read the project.
    """

    def __init__(self, root: Path, rev: str | None = None, now: DvcProject | None = None) -> None:
        from dvc.exceptions import DvcException

        _silence_dvc()
        self.root, self.rev = root, rev
        try:
            self.repo = _open_repo(root, rev, now.repo if now else None)
            self._base = Path(self.repo.root_dir)
            self.stages: dict[str, Any] = {self.address(stage): stage for stage in self.repo.index.stages}
            self.artifact_sections = self._artifact_sections()
            self._graph = self.repo.index.graph
        except (DvcException, TypeError) as error:  # DVC raises TypeError for some values in templates
            reason = dvc_errors.reason(error)
            hint = next((hint for words, hint in HINTS.items() if words in reason), "")
            where = f" at the commit {rev[:10]}" if rev else ""
            merge = "" if rev else merges.how_to_settle(root)
            raise ProjectError(f"DVC can't read this project{where}: {reason}.{hint}{merge}") from None
        self.outs = {self.path(out): out for stage in self.stages.values() for out in stage.outs}
        self.entries = {**{self.path(dep): dep for dep in self.deps()}, **self.outs}
        self._locks: dict[str, dict[str, Any]] = {}
        self._sources_that_answer: dict[str, bool] = {}

    def compiled_deps(self) -> list[str]:
        """The folders that stages read, and of which DVC takes what Python compiles in them for a part."""
        ignored, found = self.repo.dvcignore, []
        for path, dep in self.entries.items():
            caches = Path(dep.fs_path).rglob("__pycache__") if dep.protocol == "local" and dep.isdir() else ()
            if path not in self.outs and any(not ignored.is_ignored_dir(str(one)) for one in caches):
                found.append(path)
        return found

    @property
    def commit(self) -> str | None:
        """The commit of the project; None without git."""
        from dvc.scm import Git

        try:
            return self.rev or (self.repo.scm.get_rev() if isinstance(self.repo.scm, Git) else None)
        except Exception:  # scmrepo's own, in a repository without a commit
            return None

    def deps(self) -> Iterator[Any]:
        """The dependencies of all stages, without parameters."""
        return (dep for stage in self.stages.values() for dep in stage.deps if dep.hash_name != "params")

    def stage(self, name: str) -> Any:
        """The stage called `name`; raises ProjectError."""
        try:
            return self.stages[name]
        except KeyError:
            known = ", ".join(sorted(self.stages)) or "none"
            raise ProjectError(f"dvc.yaml has no stage '{name}'. Its stages: {known}.") from None

    def upstream_of(self, targets: tuple[str, ...]) -> set[str]:
        """The names of the stages that make `targets`, which are stages or outputs, and of all upstream of them."""
        import networkx

        stages = {path: out.stage for path, out in self.outs.items()}
        selected = {stages.get(name.rstrip("/")) or self.stage(name) for name in targets}
        return {
            self.address(stage) for target in selected for stage in networkx.dfs_preorder_nodes(self._graph, target)
        }

    def stages_in_order(self) -> Iterator[Any]:
        """All stages, upstream first."""
        import networkx

        return networkx.dfs_postorder_nodes(self._graph)

    def address(self, stage: Any) -> str:
        """The stage's address. Unlike DVC's `addressing` it doesn't depend on the current folder."""
        file = Path(stage.path).relative_to(self._base).as_posix()
        name = getattr(stage, "name", None)
        return file if name is None else name if file == "dvc.yaml" else f"{file}:{name}"

    def path(self, entry: Any) -> str:
        """The entry's path from the project's root, or its URL. Outside of the project too it is the same in any clone.

        DVC's `fs_path` can't say it: at a commit nothing lies above the repository.
        """
        if url := _url(entry):
            return url
        if entry.hash_name == "params":  # DVC's default file has no path of its own
            return self.relative(entry.fs_path)
        folder = os.path.join(self.root, os.path.relpath(entry.stage.wdir, self._base))
        return Path(os.path.relpath(os.path.normpath(os.path.join(folder, entry.def_path)), self.root)).as_posix()

    def is_inside(self, entry: Any) -> bool:
        """Whether the entry lies in the project."""
        return not _url(entry) and not self.path(entry).startswith("..")

    def relative(self, path: str) -> str:
        """An absolute path, relative to the project's root."""
        return Path(path).relative_to(self._base).as_posix()

    def folder_out(self, path: str) -> Any:
        """The folder output that `path` is in; None if it is in none."""
        if path in self.outs:
            return None
        return next((self.outs[parent] for parent in _parents(path) if parent in self.outs), None)

    def outs_in(self, path: str) -> list[Any]:
        """The outputs that lie in the folder `path`."""
        return self._outs_by_folder.get(path, [])

    def outs_read(self, dep: Any) -> list[Any]:
        """The outputs that a dependency is, lies in, or has in it: those that `dvc dag` draws an edge from."""
        path = self.path(dep)
        out = self.outs.get(path) or self.folder_out(path)
        return [out] if out else self.outs_in(path)

    @cached_property
    def _outs_by_folder(self) -> dict[str, list[Any]]:
        folders: dict[str, list[Any]] = {}
        for path, out in self.outs.items():
            for folder in _parents(path):
                folders.setdefault(folder, []).append(out)
        return folders

    @cached_property
    def params_files(self) -> set[str]:
        """The files that dvc.yaml takes parameters from, also those for its templates."""
        named = {self.path(dep) for stage in self.stages.values() for dep in stage.deps if dep.hash_name == "params"}
        templates = {file for stage in self.stages.values() for file in getattr(stage, "tracked_vars", None) or ()}
        return named | {os.path.relpath(file, self.root) for file in templates}

    def read(self, path: str) -> bytes | None:
        """The bytes of a file of the project; None where there is none."""
        try:
            with self.repo.fs.open(str(self._base / path), "rb") as file:
                return file.read()
        except OSError:
            return None

    def is_foreach(self, file: str, name: str) -> bool:
        """Whether a stage of a dvc.yaml is a `foreach`: it has what belongs to each item in its `do`."""
        import yaml

        loaded = yaml.load(self.read(file) or b"", getattr(yaml, "CBaseLoader", yaml.BaseLoader)) or {}
        return "do" in ((loaded.get("stages") or {}).get(name) or {})

    def exists(self, path: str) -> bool:
        """Whether the project has a file or folder at `path`, with whatever bytes."""
        return self.repo.fs.exists(str(self._base / path))

    def is_source(self, path: str) -> bool:
        """Whether no stage makes `path`: code, data in git, what `dvc add` keeps."""
        out = self.outs.get(path) or self.folder_out(path)
        return out is None or not executes(out.stage)

    def can_be_imported(self, stage: Any) -> bool:
        """Whether the source of an import gives bytes: those of the lock for `dvc import`, else those it has now."""
        address = self.address(stage)
        if address not in self._sources_that_answer:
            self._sources_that_answer[address] = stage.is_import and _gives_bytes(stage.deps[0])
        return self._sources_that_answer[address]

    def remote_of(self, out: Any) -> str | None:
        """The name of the remote that keeps an output; None where none is set up."""
        return out.remote or self.repo.config["core"].get("remote")

    def keeps_versions(self, remote: str) -> bool:
        """Whether a remote keeps files under their own names and finds them by version."""
        data_remote = self.repo.cloud.get_remote(remote)
        return data_remote.fs.version_aware or data_remote.worktree

    def can_be_pulled(self, out: Any, md5: str) -> bool:
        """Whether `dvc pull` finds the bytes: in the remote, which is assumed where it can't be asked, or at a source.

        It asks the sources that are repositories and buckets with versions: elsewhere the bytes may have changed.
        """
        is_fetched = out.stage.is_repo_import or out.stage.is_versioned_import
        if is_fetched and self.can_be_imported(out.stage):
            return True
        remote = self.remote_of(out)
        try:
            odb = self.repo.cloud.get_remote_odb(remote, hash_name=out.hash_name) if remote else None
            return bool(remote and odb and (self.keeps_versions(remote) or odb.exists(md5)))
        except Exception:  # of DVC, or of the remote's client
            return True

    def is_locked(self, stage: Any) -> bool:
        """Whether dvc.lock has the stage with all of its outputs; a .dvc file is its own lock."""
        if any(lock_hash(out) is None for out in stage.outs):
            return False
        return not hasattr(stage, "name") or stage.name in self._lock(stage)

    def locked_command(self, stage: Any) -> str | list[str]:
        """The command in dvc.lock; DVC's object has the one in dvc.yaml."""
        return self._lock(stage)[stage.name]["cmd"] if hasattr(stage, "name") else stage.cmd

    def _lock(self, stage: Any) -> dict[str, Any]:
        """The entries of the dvc.lock beside the stage's dvc.yaml, all values as text; read once."""
        import yaml

        path = stage.dvcfile._lockfile.path
        if path not in self._locks:
            loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # DVC's own is slower by an order of magnitude
            text = self.repo.fs.open(path, "r").read() if self.repo.fs.exists(path) else ""
            self._locks[path] = (yaml.load(text, loader) or {}).get("stages") or {}
        return self._locks[path]

    def _artifact_sections(self) -> dict[str, Section]:
        """The `artifacts:` sections by the folder of their dvc.yaml."""
        return {
            self.relative(str(Path(file).parent)): {name: entry for name, entry in section.items() if entry.get("path")}
            for file, section in self.repo.index._artifacts.items()
        }


def executes(stage: Any) -> bool:
    """Whether `stage` has a command or is an import; else it is a file added with `dvc add`."""
    return bool(stage.cmd or stage.deps)


def _gives_bytes(source: Any) -> bool:
    """Whether a file of an import's source can be read."""
    try:
        path = source.fs_path
        first = next(iter(source.fs.find(path))) if source.fs.isdir(path) else path
        with source.fs.open(first, "rb") as file:
            file.read(1)
    except Exception:  # of DVC, git, or the client of the source
        return False
    return True


def lock_hash(entry: Any) -> str | None:
    """The entry's hash in the lock: an md5, an etag, the commit of an import; None if there is none."""
    repo = getattr(entry, "def_repo", None)
    value = repo.get("rev_lock") if repo else entry.hash_info.value if getattr(entry, "hash_info", None) else None
    if value is None and getattr(entry, "info", None):  # a database or a dataset
        value = entry.dumpd()
    if value is None or isinstance(value, str):
        return value
    return hashlib.md5(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def has_workspace(entry: Any) -> bool:
    """Whether the entry is a file or folder of this machine, so that it may be otherwise than the lock says."""
    return entry.fs.protocol == "local" and not getattr(entry, "def_repo", None)


def workspace_md5(entry: Any) -> str | None:
    """The md5 of the entry in the workspace, from DVC's state if nothing changed; None if it doesn't exist.

    So is a folder with a link that leads nowhere, as after DVC's cache was moved.
    """
    try:
        return entry.get_hash().value if entry.exists else None
    except FileNotFoundError:
        return None


def is_cached(out: Any) -> bool:
    """Whether DVC's cache has the output of the lock; for a folder, its list of files."""
    return bool(out.hash_info) and out.local_cache.exists(out.hash_info.value)


def workspace_params(stage: str, dep: Any) -> dict[str, Any]:
    """The values in the workspace of the parameters that `stage` names in one file; raises ProjectError."""
    from dvc.exceptions import DvcException

    try:
        values = dep.read_params(flatten=True)
    except DvcException as error:
        raise ProjectError(f"{dep} can't be read: {dvc_errors.reason(error)}.") from None
    missing = [name for name in dep.params if name not in values]
    if missing:
        raise ProjectError(f"{dep} has no {', '.join(missing)}, which stage '{stage}' in dvc.yaml reads.")
    return values


def _silence_dvc() -> None:
    """What DVC logs, on stdout too, is for its own command line: we say ourselves what failed.

    So is what the clients of its remotes say of sessions that DVC left open.
    """
    for name in ("dvc", "dvc_objects", "dvc_data", "aiohttp_retry", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _open_repo(root: Path, rev: str | None, now: Any) -> Any:
    """DVC's Repo. A commit is read straight from git's objects; its bytes are in the remotes of the Repo `now`."""
    from dvc.fs import GitFileSystem
    from dvc.repo import Repo
    from dvc.scm import SCM

    if rev is None:
        repo = Repo(str(root))
        atexit.register(repo.close)  # dulwich complains of packs that are open when Python ends
        return repo
    scm = now.scm if now else SCM(str(root))
    partial_clone.complete(root, [rev])
    inside = root.resolve().relative_to(Path(scm.root_dir).resolve()).as_posix()
    config = dict(now.config) if now else None
    return Repo(f"/{inside}".rstrip("."), fs=GitFileSystem(scm=scm, rev=rev), scm=scm, config=config)


def _url(entry: Any) -> str | None:
    """The URL of an entry; None if dvc.yaml has it as a path from its own folder."""
    repo = getattr(entry, "def_repo", None)
    if repo:  # as pip writes it: git+URL#path; the commit is the content
        url = repo["url"] if urlsplit(repo["url"]).scheme else f"file:{repo['url']}"
        return f"git+{url}#{quote(entry.def_path)}"
    path = str(entry.def_path or entry)
    if "://" in path:  # a file may be called `a:b`
        return path
    return f"file://{quote(path)}" if os.path.isabs(path) else None


def _parents(path: str) -> Iterator[str]:
    """The folders around a path or a URL, the nearest first; the project is `.`."""
    scheme, separator, rest = path.rpartition("://")
    while "/" in rest:
        rest = rest.rpartition("/")[0]
        yield f"{scheme}{separator}{rest}"
    if not scheme and not rest.startswith(".."):
        yield "."

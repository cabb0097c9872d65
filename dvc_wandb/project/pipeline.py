"""A DVC project, in the workspace or at a git revision: its stages, what they read and write, and the md5s of it all.

DVC itself reads dvc.yaml and dvc.lock here (templating, foreach, .dvcignore are its own). No W&B here: names of
artifacts are derived, never looked up.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dvc_wandb.errors import LineageError, NotAtHand, WrongProject, first_line
from dvc_wandb.project.artifact_names import ArtifactNames
from dvc_wandb.project.dvc_objects import lock_hash, reference
from dvc_wandb.project.files import FileLocator, copy_to, workspace_md5
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.plot_definitions import collect_definitions


class Pipeline:
    """The stages of a DVC project, in the order in which data flows."""

    def __init__(self, root: Path, rev: str | None = None, scm: Any = None) -> None:
        """The workspace at `root`, or the commit `rev`, read from `scm` where that is open already.

        Raises WrongProject where DVC can't read the project.
        """
        from dvc.exceptions import DvcException

        self.root, self.rev = root, rev
        try:
            self._repo = _opened(root, rev, scm)
            self._base = Path(self._repo.root_dir)
            self._stages = {_address(self._base, stage): stage for stage in self._repo.index.stages}
            self._names = ArtifactNames(self._sections())
        except (DvcException, TypeError) as error:  # DVC's own TypeError for a value that its templates can't hold
            reason = first_line(error)
            hint = " Templates in dvc.yaml take their values from params.yaml." if "Could not find" in reason else ""
            where = f" at the commit {rev[:10]}" if rev else ""
            raise WrongProject(f"DVC can't read this project{where}: {reason}.{hint}") from None
        self._owners = {self._path(out): out for stage in self._stages.values() for out in stage.outs}
        self._entries = {**{self._path(dep): dep for dep in self._deps()}, **self._owners}
        self._files = FileLocator(self._repo, self._entries)
        self._locks: dict[str, dict[str, Any]] = {}

    def at(self, rev: str) -> Pipeline:
        """The same project at a commit."""
        return Pipeline(self.root, rev, self._repo.scm)

    def locked(self, *targets: str) -> list[Execution]:
        """The executions that dvc.lock holds, up to `targets` (all without one), upstream first.

        A target is a stage, or an output. Imports count as executions; files that were added by hand don't.
        """
        wanted = self._upstream_of(targets) if targets else set(self._stages)
        return [
            self._execution(stage, now=False)
            for stage in self._in_order()
            if _address(self._base, stage) in wanted and _executes(stage) and self._is_locked(stage)
        ]

    def workspace_execution(self, name: str) -> Execution:
        """Stage `name` as it would run now: dependencies and outputs hashed as they lie in the workspace."""
        return self._execution(self._stage(name), now=True)

    def never_run(self) -> list[str]:
        """The stages that dvc.lock has nothing of."""
        return [name for name, stage in self._stages.items() if _executes(stage) and not self._is_locked(stage)]

    def stages_with_meta(self, key: str) -> list[str]:
        """The stages whose `meta.wandb` has `key`, locked or not."""
        return [name for name, stage in self._stages.items() if key in ((stage.meta or {}).get("wandb") or {})]

    def sources(self) -> list[Content]:
        """What the stages read and none of them makes, as it lies in the workspace."""
        return [self._content(dep, now=True) for dep in self._deps() if self._is_source(self._path(dep))]

    def added(self) -> list[Content]:
        """What was put under DVC's care by hand, with `dvc add`, read by a stage or not."""
        return [
            self._content(out, now=False)
            for stage in self._stages.values()
            if not _executes(stage)
            for out in stage.outs
            if out.hash_info.value
        ]

    def maker(self, content: Content) -> str | None:
        """The stage that makes `content`; None for a source."""
        owner = self._owners.get(content.versioned.path)
        return _address(self._base, owner.stage) if owner is not None and _executes(owner.stage) else None

    def locate(self, content: Content) -> Path:
        """Where the bytes of `content` lie as a whole. Raises NotAtHand where nothing has them at its md5."""
        return self._files.locate(content)

    def files(self, content: Content) -> dict[str, Path]:
        """The files of `content` by the names that DVC knows them by; raises NotAtHand."""
        try:
            return self._files.files(content)
        except NotAtHand:
            if self.rev or self.commit is None:
                raise
            return self.at(self.commit).files(content)  # code that was changed since it ran is in git as it was

    def mismatch_error(self, content: Content, name: str, path: Path, md5: str) -> LineageError:
        """What to say of a file of `content` whose bytes haven't the md5 that dvc.lock has."""
        return self._files.mismatch_error(content, name, path, md5)

    def snapshot(self, contents: Iterable[Content]) -> None:
        """Keep the bytes of `contents` as they lie in the workspace now, whatever DVC does there meanwhile.

        As hard links where the file system has them; `at_hand` finds them until this process ends.
        """
        for content in contents:
            self._files.snapshot(content)

    def downstream_is_outdated(self, execution: Execution) -> bool:
        """Whether a stage that reads an output of `execution` can't stay as it was locked.

        It was locked with other bytes, or never, or outputs of its own are nowhere to be had.
        """
        made = {out.path: out.md5 for out in execution.outs}
        for stage in self._stages.values():
            read = {self._path(dep): lock_hash(dep) for dep in stage.deps if self._path(dep) in made}
            if any(md5 != made[path] for path, md5 in read.items()) or (
                read and any(not out.exists and not self._is_cached(out) for out in stage.outs)
            ):
                return True
        return False

    def _is_cached(self, out: Any) -> bool:
        return bool(out.hash_info) and Path(self._repo.cache.local.oid_to_path(out.hash_info.value)).exists()

    def listing(self, content: Content) -> dict[str, str] | None:
        """The md5 of each file of `content` by name; None where a folder's list is nowhere on this machine."""
        return self._files.listing(content)

    @property
    def commit(self) -> str | None:
        """The commit that the project is read at; None without git."""
        try:
            return self.rev or (self._repo.scm.get_rev() if self._in_git else None)
        except Exception:  # scmrepo's own, in a repository without a commit
            return None

    @property
    def cache_folder(self) -> Path:
        """The folder of DVC's cache, objects below it by their md5."""
        return Path(self._repo.cache.local.path)

    def cache_objects(self, contents: Iterable[Content]) -> dict[str, Path]:
        """The objects of DVC's cache that hold the files of `contents`, by md5, where nothing else writes to them.

        None where the workspace's files are links to them.
        """
        if {"hardlink", "symlink"} & set(self._repo.cache.local.cache_types):
            return {}
        listed = (self.listing(content) or {} for content in contents if content.kind != "reference")
        return {md5: self.cache_folder / md5[:2] / md5[2:] for listing in listed for md5 in listing.values()}

    def run_cache(self, name: str) -> Iterator[dict[str, str]]:
        """What the command, dependencies and parameters of stage `name` in dvc.lock ever made here: path → md5."""
        import yaml
        from dvc.stage.cache import _get_cache_hash
        from dvc.stage.serialize import to_single_stage_lockfile

        stage = self._stage(name)
        if not stage.cmd or not all(entry.hash_info for entry in (*stage.deps, *stage.outs)):
            return
        key = _get_cache_hash(to_single_stage_lockfile(stage), key=True)
        paths = {out.def_path: self._path(out) for out in stage.outs}
        for file in sorted(Path(self._repo.stage_cache.cache_dir, key[:2], key).glob("*")):
            made = yaml.safe_load(file.read_text()).get("outs", [])
            yield {paths[out["path"]]: out["md5"] for out in made if out["path"] in paths and "md5" in out}

    def restore(self, name: str) -> None:
        """Bring the outputs of stage `name` back as dvc.lock has them, as far as DVC's cache or git hold them.

        DVC removes them before it runs a stage; one that refuses its input would leave the workspace without.
        """
        for out in self._stage(name).outs:
            if out.persist or not out.hash_info or workspace_md5(out) == out.hash_info.value:
                continue
            if out.use_cache and self._is_cached(out):
                out.checkout(force=True)
            elif not out.use_cache:  # git keeps it, and the run cache a copy
                with contextlib.suppress(NotAtHand):
                    content = self._content(out, now=False)
                    copy_to(self.root, content, self.files(content))

    def metrics(self) -> dict[str, dict[str, Any]]:
        """The metrics by file and dotted name; files that can't be read are left out."""
        from dvc.utils.flatten import flatten

        shown: Any = self._repo.metrics.show()
        files = next(iter(shown.values()), {}).get("data", {})
        read = {file: told["data"] for file, told in files.items() if "data" in told}
        return {
            file: {str(k): v for k, v in (flatten(one) if isinstance(one, dict) else {"": one}).items()}
            for file, one in read.items()
        }

    def plots(self) -> dict[str, dict[str, Any]]:
        """The definitions of the `plots:` sections by name, and those that stand at an out by its path."""
        at_outs = {path: out.plot for path, out in self._owners.items() if isinstance(out.plot, dict)}
        return at_outs | collect_definitions(self._repo.index._plots, self._base)

    @property
    def _in_git(self) -> bool:
        from dvc.scm import Git

        return isinstance(self._repo.scm, Git)

    def _deps(self) -> Iterator[Any]:
        """The dependencies of all stages that are no parameters."""
        return (dep for stage in self._stages.values() for dep in stage.deps if dep.hash_name != "params")

    def _stage(self, name: str) -> Any:
        try:
            return self._stages[name]
        except KeyError:
            known = ", ".join(sorted(self._stages)) or "none"
            raise WrongProject(f"dvc.yaml has no stage '{name}'. Its stages: {known}.") from None

    def _execution(self, stage: Any, now: bool) -> Execution:
        address = _address(self._base, stage)
        meta = (stage.meta or {}).get("wandb") or {}
        deps = [dep for dep in stage.deps if dep.hash_name != "params"]
        return Execution(
            stage=address,
            cmd=self._command(stage, now) if stage.cmd else f"dvc import {' '.join(map(self._path, deps))}",
            desc=stage.desc or "",
            job_type=meta.get("job_type", address if stage.cmd else "import"),
            deps=tuple(self._content(dep, now) for dep in deps if now or lock_hash(dep)),
            outs=tuple(self._content(out, now) for out in stage.outs),
            params={
                self._path(dep): _params(address, dep) if now else dict(dep.hash_info.value or {})
                for dep in stage.deps
                if dep.hash_name == "params"
            },
            meta=meta,
            has_persisted_out=any(out.persist for out in stage.outs),
        )

    def _is_locked(self, stage: Any) -> bool:
        """Whether dvc.lock has an entry for all of the stage; a .dvc file is its own lock."""
        if any(lock_hash(out) is None for out in stage.outs):
            return False
        return not hasattr(stage, "name") or stage.name in self._lock(stage)

    def _command(self, stage: Any, now: bool) -> str:
        """The command as it would run `now`, or as dvc.lock has it."""
        command = stage.cmd if now or not hasattr(stage, "name") else self._lock(stage)[stage.name]["cmd"]
        return command if isinstance(command, str) else "\n".join(command)

    def _lock(self, stage: Any) -> dict[str, Any]:
        """The entries of the dvc.lock beside the stage's dvc.yaml, all values as text; read once."""
        import yaml

        path = stage.dvcfile._lockfile.path
        if path not in self._locks:
            loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # DVC's own is slower by an order of magnitude
            text = self._repo.fs.open(path, "r").read() if self._repo.fs.exists(path) else ""
            self._locks[path] = (yaml.load(text, loader) or {}).get("stages") or {}
        return self._locks[path]

    def _content(self, entry: Any, now: bool) -> Content:
        path = self._path(entry)
        md5 = workspace_md5(entry) if now and entry.is_in_repo else lock_hash(entry)
        around = self._around(path)
        kind = self._kind(entry, path)
        plain = {"out": "data", "source": "data" if path in self._owners else "code"}.get(kind, kind)
        return Content(
            path=path,
            md5=md5,
            artifact=self._names.name_of(path),
            type=self._names.type_of(path, plain),
            kind=kind,
            desc=self._names.declaration_of(path).get("desc") or "",
            folder_out=self._content(around, now) if around is not None else None,
        )

    def _kind(self, entry: Any, path: str) -> str:
        if not entry.is_in_repo:
            return "reference"
        if self._is_source(path):
            return "source"
        owner = self._owners.get(path, entry)
        return "metrics" if owner.metric else "plots" if owner.plot else "out"

    def _is_source(self, path: str) -> bool:
        """Whether no stage makes `path`: code, data in git, what `dvc add` keeps."""
        owner = self._owners.get(path) or self._around(path)
        return owner is None or not _executes(owner.stage)

    def _around(self, path: str) -> Any:
        """The folder out that holds `path` and isn't it; None for what has a version of its own."""
        if path in self._owners or "://" in path:
            return None
        return next((self._owners[str(p)] for p in Path(path).parents if str(p) in self._owners), None)

    def _path(self, entry: Any) -> str:
        if entry.is_in_repo:
            return Path(entry.fs_path).relative_to(self._base).as_posix()
        return reference(entry, self.root, self._base)

    def _sections(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The `artifacts:` sections by the folder of their dvc.yaml."""
        base = self._base
        return {
            Path(file).parent.relative_to(base).as_posix(): {
                name: told for name, told in section.items() if told.get("path")
            }
            for file, section in self._repo.index._artifacts.items()
        }

    def _upstream_of(self, targets: tuple[str, ...]) -> set[str]:
        import networkx

        graph = self._repo.index.graph
        made = {path: owner.stage for path, owner in self._owners.items()}
        wanted = {made.get(name.rstrip("/")) or self._stage(name) for name in targets}
        return {_address(self._base, stage) for one in wanted for stage in networkx.dfs_preorder_nodes(graph, one)}

    def _in_order(self) -> Iterator[Any]:
        import networkx

        return networkx.dfs_postorder_nodes(self._repo.index.graph)


def _opened(root: Path, rev: str | None, scm: Any) -> Any:
    """DVC's own view of the project; a commit is read straight from git's objects."""
    from dvc.fs import GitFileSystem
    from dvc.repo import Repo
    from dvc.scm import SCM

    if rev is None:
        return Repo(str(root))
    scm = scm or SCM(str(root))
    inside = root.resolve().relative_to(Path(scm.root_dir).resolve()).as_posix()
    return Repo(f"/{inside}".rstrip("."), fs=GitFileSystem(scm=scm, rev=rev), scm=scm)


def _address(base: Path, stage: Any) -> str:
    """The stage's name, with the path of its file unless that is the root's dvc.yaml; the same from every folder."""
    file = Path(stage.path).relative_to(base).as_posix()
    name = getattr(stage, "name", None)
    return file if name is None else name if file == "dvc.yaml" else f"{file}:{name}"


def _executes(stage: Any) -> bool:
    """Whether `stage` is more than a file that was added by hand: it has a command, or imports."""
    return bool(stage.cmd or stage.deps)


def _params(stage: str, dep: Any) -> dict[str, Any]:
    """The values in the workspace of the parameters that `stage` names in one file."""
    from dvc.exceptions import DvcException

    try:
        values = dep.read_params(flatten=True)
    except DvcException as error:
        raise WrongProject(f"{dep} can't be read: {first_line(error)}.") from None
    missing = [name for name in dep.params if name not in values]
    if missing:
        raise WrongProject(f"{dep} has no {', '.join(missing)}, which stage '{stage}' in dvc.yaml reads.")
    return values

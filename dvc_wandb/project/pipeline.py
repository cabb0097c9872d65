"""A DVC project, in the workspace or at a git revision: its stages, their deps and outs, and the md5s.

Names of artifacts are derived from it, never looked up in a registry.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.project import remedies
from dvc_wandb.project.artifact_names import ArtifactNames
from dvc_wandb.project.dvc_project import (
    DvcProject,
    executes,
    has_workspace,
    is_cached,
    lock_hash,
    workspace_md5,
    workspace_params,
)
from dvc_wandb.project.files import FileLocator
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.undeclared import undeclared_deps
from dvc_wandb.project.undeclared.undeclared_deps import UndeclaredDep


class Pipeline:
    """The stages of a DVC project as executions, upstream first."""

    def __init__(self, root: Path, rev: str | None = None, now: Pipeline | None = None) -> None:
        """The workspace at `root`, or the commit `rev`: its data are where the project has them `now`.

        Raises ProjectError if DVC can't read the project.
        """
        self.root, self.rev = root, rev
        self.dvc = DvcProject(root, rev, now.dvc if now else None)
        self._names = ArtifactNames(self.dvc.artifact_sections)
        self._files = FileLocator(self.dvc, self._outs_in)

    def at(self, rev: str) -> Pipeline:
        """The same project at a commit."""
        return Pipeline(self.root, rev, self)

    @property
    def commit(self) -> str | None:
        """The commit of the project; None without git."""
        return self.dvc.commit

    # ---- stages ----

    def locked(self, *targets: str) -> list[Execution]:
        """The executions in dvc.lock, upstream first: all, or those up to `targets`.

        A target is a stage or an output. Imports count as executions; files added with `dvc add` don't.
        """
        selected = self.dvc.upstream_of(targets) if targets else set(self.dvc.stages)
        return [
            self._execution(stage, in_workspace=False)
            for stage in self.dvc.stages_in_order()
            if self.dvc.address(stage) in selected and executes(stage) and self.dvc.is_locked(stage)
        ]

    @property
    def stages(self) -> list[str]:
        """The names of all stages, run or not."""
        return list(self.dvc.stages)

    def workspace_execution(self, stage: str) -> Execution:
        """The stage in the workspace, its dependencies and outputs hashed now."""
        return self._execution(self.dvc.stage(stage), in_workspace=True)

    def never_run(self) -> list[str]:
        """The stages that are not in dvc.lock."""
        return [name for name, stage in self.dvc.stages.items() if executes(stage) and not self.dvc.is_locked(stage)]

    def stages_with_meta(self, key: str) -> list[str]:
        """The stages whose `meta.wandb` has `key`, locked or not."""
        return [name for name, stage in self.dvc.stages.items() if key in ((stage.meta or {}).get("wandb") or {})]

    def undeclared_deps(self, opened: Mapping[str, Iterable[str]]) -> list[UndeclaredDep]:
        """What the stages of `opened` read and dvc.yaml doesn't name, each with the files that it was seen to open."""
        return [one for stage, files in opened.items() for one in undeclared_deps.find(self.dvc, stage, files)]

    def imported_modules(self) -> dict[str, set[str]]:
        """By stage, the top-level names of all modules that its code imports."""
        return {name: undeclared_deps.imported_by(self.dvc, name) for name in self.stages}

    def named_params(self, file: str) -> dict[str, list[str]]:
        """By stage, the keys of the parameters `file` that dvc.yaml names."""
        keys: dict[str, list[str]] = {}
        for name, stage in self.dvc.stages.items():
            params = [dep for dep in stage.deps if dep.hash_name == "params" and self.dvc.path(dep) == file]
            keys[name] = [str(key) for dep in params for key in dep.params]
        return keys

    def maker(self, content: Content) -> str | None:
        """The stage that makes `content`; None for a source."""
        out = self.dvc.outs.get(content.versioned.path)
        return self.dvc.address(out.stage) if out is not None and executes(out.stage) else None

    def declaration_of(self, content: Content) -> dict[str, Any]:
        """The entry for `content` in an `artifacts:` section of dvc.yaml; {} where it has none."""
        return self._names.declaration_of(content.path)

    def downstream_is_outdated(self, execution: Execution) -> bool:
        """Whether a stage that reads an output of `execution` has to run again.

        It was locked with other bytes, or never, or its own outputs are missing.
        """
        outs = {out.path: out.md5 for out in execution.outs}
        for stage in self.dvc.stages.values():
            deps = [dep for dep in stage.deps if outs.keys() & {self.dvc.path(out) for out in self.dvc.outs_read(dep)}]
            if any(self._has_changed(dep, outs) for dep in deps):
                return True
            if deps and any(not out.exists and not is_cached(out) for out in stage.outs):
                return True
        return False

    def _has_changed(self, dep: Any, outs: dict[str, str | None]) -> bool:
        """Whether a dependency on what is or holds one of `outs`, or lies in it, is otherwise than in dvc.lock."""
        path = self.dvc.path(dep)
        return lock_hash(dep) != outs[path] if path in outs else bool(dep.status())

    # ---- contents ----

    def sources(self) -> list[Content]:
        """The dependencies in the workspace that no stage makes."""
        return [
            self._content(dep, in_workspace=True) for dep in self.dvc.deps() if self.dvc.is_source(self.dvc.path(dep))
        ]

    def added(self) -> list[Content]:
        """The files added with `dvc add`, whether a stage reads them or not."""
        outs = (out for stage in self.dvc.stages.values() if not executes(stage) for out in stage.outs)
        return [self._content(out, in_workspace=False) for out in outs if out.hash_info.value]

    def locked_outs(self, stage: str) -> list[tuple[Any, Content]]:
        """DVC's objects for the outputs of `stage`, each with its content in dvc.lock."""
        return [(out, self._content(out, in_workspace=False)) for out in self.dvc.stage(stage).outs]

    # ---- bytes ----

    def locate(self, content: Content) -> Path:
        """The path of `content` as a whole. Raises MissingContentError if nothing has it at its md5."""
        return self._files.locate(content)

    def files(self, content: Content) -> dict[str, Path]:
        """The files of `content` by DVC's names. Raises MissingContentError."""
        return self._files.files(content)

    def files_at_hand(self, content: Content) -> dict[str, Path] | None:
        """The same, of what this machine has; None where it would have to be fetched from elsewhere."""
        return self._files.files_at_hand(content)

    def listing(self, content: Content) -> dict[str, str] | None:
        """The md5 of each file of `content` by name; None if this machine lacks a folder's list of files."""
        return self._files.listing(content)

    def snapshot(self, contents: Iterable[Content]) -> None:
        """Keep the bytes of `contents` as they are in the workspace now, whatever DVC does there later.

        As hard links if possible, else as copies. `locate` finds them until this process ends.
        """
        for content in contents:
            self._files.snapshot(content)

    def remedies_if_nowhere(self, content: Content) -> list[str]:
        """What would bring bytes that neither this machine nor DVC's remote has, in order; [] where one of them has.

        A stage makes them again from its sources, so these come first.
        """
        if not self._files.is_nowhere(content):
            return []
        maker = self.maker(content)
        upstream = [self.dvc.stages[name] for name in sorted(self.dvc.upstream_of((maker,)))] if maker else []
        sources = [self._content(out, in_workspace=False) for one in upstream if not one.cmd for out in one.outs]
        missing = (one for one in dict.fromkeys([*sources, content]) if self._files.is_nowhere(one))
        return [remedies.for_missing_bytes(self.dvc, one.path, str(one.md5)) for one in missing]

    def mismatch_error(self, content: Content, name: str, path: Path, md5: str) -> DvcWandbError:
        """The error for a file of `content` whose bytes don't have the md5 of dvc.lock."""
        return self._files.mismatch_error(content, name, path, md5)

    # ---- from DVC's objects ----

    def _execution(self, stage: Any, in_workspace: bool) -> Execution:
        """A stage as it is in the workspace, or in dvc.lock."""
        address = self.dvc.address(stage)
        meta = (stage.meta or {}).get("wandb") or {}
        deps = [dep for dep in stage.deps if dep.hash_name != "params"]
        params = [dep for dep in stage.deps if dep.hash_name == "params"]
        contents = tuple(self._content(dep, in_workspace) for dep in deps if in_workspace or lock_hash(dep))
        return Execution(
            stage=address,
            cmd=self._command(stage, in_workspace) if stage.cmd else f"dvc import {' '.join(map(self.dvc.path, deps))}",
            desc=stage.desc or "",
            job_type=meta.get("job_type", address.partition("@")[0] if stage.cmd else "import"),
            deps=contents,
            outs=tuple(self._content(out, in_workspace) for out in stage.outs),
            params={
                self.dvc.path(dep): workspace_params(address, dep) if in_workspace else dict(dep.hash_info.value or {})
                for dep in params
            },
            meta=meta,
            has_persisted_out=any(out.persist for out in stage.outs),
            parts=self._parts(contents, params, in_workspace),
        )

    def _parts(self, deps: tuple[Content, ...], params: list[Any], in_workspace: bool) -> tuple[Content, ...]:
        """The outs in the folders among `deps`, at the md5s that they had there, and those that hold `params`."""
        parts = []
        for dep in deps:
            for out in self.dvc.outs_in(dep.path):
                content = self._content(out, in_workspace)
                md5 = (
                    content.md5 if in_workspace else self._files.md5_in(dep, posixpath.relpath(content.path, dep.path))
                )
                parts.append(replace(content, md5=md5 or content.md5, assumed=not md5))
        for dep in params:
            parts += [replace(self._content(out, in_workspace), assumed=True) for out in self.dvc.outs_read(dep)]
        read = {dep.versioned.path for dep in deps}
        return tuple({part.path: part for part in parts if part.path not in read and part.md5}.values())

    def _outs_in(self, content: Content) -> list[Content]:
        """The outs in a folder, as dvc.lock has them now."""
        return [self._content(out, in_workspace=False) for out in self.dvc.outs_in(content.path)]

    def _command(self, stage: Any, in_workspace: bool) -> str:
        command = stage.cmd if in_workspace else self.dvc.locked_command(stage)
        return command if isinstance(command, str) else "\n".join(command)

    def _content(self, entry: Any, in_workspace: bool) -> Content:
        """A dependency or output as it is in the workspace, or in dvc.lock."""
        path = self.dvc.path(entry)
        folder_out = self.dvc.folder_out(path)
        kind = self._kind(entry, path)
        usual_type = {"out": "data", "source": "data" if path in self.dvc.outs else "code"}.get(kind, kind)
        return Content(
            path=path,
            md5=workspace_md5(entry) if in_workspace and has_workspace(entry) else lock_hash(entry),
            artifact=self._names.name_of(path),
            type=self._names.type_of(path, usual_type),
            kind=kind,
            is_type_declared=self.rev is None and "type" in self._names.declaration_of(path),
            desc=self._names.declaration_of(path).get("desc") or "",
            folder_out=self._content(folder_out, in_workspace) if folder_out is not None else None,
        )

    def _kind(self, entry: Any, path: str) -> str:
        if not self.dvc.is_inside(entry):
            return "reference"
        if self.dvc.is_source(path):
            return "source"
        out = self.dvc.outs.get(path, entry)
        return "metrics" if out.metric else "plots" if out.plot else "out"

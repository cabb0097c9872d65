"""The entries of dvc.lock as frozen dataclasses: contents at an md5, and executions that read and made them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath
from typing import Any

from dvc_wandb import content_alias
from dvc_wandb.errors import DvcWandbError


@dataclass(frozen=True)
class Content:
    """A file or folder at one md5, and the artifact that mirrors it.

    `path` is relative to the project, or the URL of something outside of it (`kind` reference).
    `md5` is that of dvc.lock: a folder's ends in `.dir`, a reference may have an etag; None if it doesn't exist.
    `kind` is out, metrics, plots, reference, or source for what no stage makes.
    `folder_out` is set for a dependency on a part of a folder out: the version of that folder mirrors it.
    With `is_type_declared` an `artifacts:` section of today says its `type`; else a collection keeps the one it has.
    With `assumed` the lock doesn't tell the md5 that was read; it is the one that the out has now.
    """

    path: str
    md5: str | None
    artifact: str
    type: str
    kind: str
    desc: str = ""
    folder_out: Content | None = None
    is_type_declared: bool = field(default=False, compare=False)
    assumed: bool = field(default=False, compare=False)

    @property
    def alias(self) -> str:
        """The content alias that ties the artifact version to dvc.lock."""
        return content_alias.make(self.md5)

    @property
    def version_name(self) -> str:
        """The name of its version in the registry: `COLLECTION:ALIAS`."""
        return f"{self.artifact}:{self.alias}"

    @property
    def versioned(self) -> Content:
        """The content with a version of its own: this one, or the folder around it."""
        return self.folder_out or self

    @property
    def is_folder(self) -> bool:
        return str(self.md5).endswith(".dir")


@dataclass(frozen=True)
class Execution:
    """One stage at the md5s of its dependencies and outputs: an entry of dvc.lock.

    `parts` are the outs of others in its deps, where these are folders around them or files of parameters. The key
    leaves them out: the md5s of the deps and the parameters stand for them too.
    With `has_persisted_out` it keeps an output from run to run (`persist: true`): its earlier output may be an input.
    `undeclared_deps` are the paths that it reads, as far as that is known, and that are none of its deps.
    """

    stage: str
    cmd: str
    desc: str
    job_type: str
    deps: tuple[Content, ...]
    outs: tuple[Content, ...]
    params: dict[str, dict[str, Any]]
    meta: dict[str, Any] = field(default_factory=dict)
    has_persisted_out: bool = False
    undeclared_deps: tuple[str, ...] = ()
    parts: tuple[Content, ...] = ()

    @property
    def reads(self) -> tuple[Content, ...]:
        """All that it has an edge from."""
        return (*self.deps, *self.parts)

    @cached_property
    def key(self) -> str:
        """A digest of command, parameters and md5s."""
        return content_alias.digest([*self._inputs, [(out.path, out.md5) for out in self.outs]])

    @property
    def tag(self) -> str:
        """The tag of the runs that mirror all of this execution."""
        return content_alias.execution_tag(self.key)

    @property
    def inputs_tag(self) -> str:
        """The tag of the runs with the same inputs: their outputs should be the same too."""
        return content_alias.inputs_tag(content_alias.digest([*self._inputs, sorted(out.path for out in self.outs)]))

    @property
    def _inputs(self) -> list[Any]:
        return [self.stage, self.cmd, self.params, [(dep.path, dep.md5) for dep in self.deps]]

    def out(self, path: str) -> Content:
        return next(out for out in self.outs if out.path == path)

    def find_content(self, name: str, *fields: str) -> Content:
        """The content whose file name is `name`, in `fields`: deps, outs or both. Raises DvcWandbError."""
        contents: list[Content] = [one for field_name in fields for one in getattr(self, field_name)]
        matches = [one for one in contents if PurePath(one.path).name == name]
        if len(matches) != 1:
            known, where = ", ".join(one.path for one in contents), " and ".join(fields)
            raise DvcWandbError(f"dvc.yaml: no single '{name}' among the {where} of stage '{self.stage}': {known}.")
        return matches[0]

"""Finds versions and runs by the contents and executions of dvc.lock."""

from __future__ import annotations

from collections.abc import Iterable

from dvc_wandb.client.versions import ExecutionRun, RegistryProject, Version
from dvc_wandb.project.lock import Content, Execution


class MirroredProject(RegistryProject):
    """One project of the registry, in DVC's terms."""

    def load(self, contents: Iterable[Content], executions: Iterable[Execution] = ()) -> None:
        """Load all of these at once, save those that are cached."""
        self.load_named(
            [content.version_name for content in contents],
            [tag for execution in executions for tag in (execution.tag, execution.inputs_tag)],
        )

    def forget(self, contents: Iterable[Content], execution: Execution | None = None) -> None:
        """Drop these from the cache: they have changed."""
        tags = (execution.tag, execution.inputs_tag) if execution else ()
        self.forget_named([content.version_name for content in contents], tags)

    def version_of(self, content: Content) -> Version | None:
        """The version with the content alias of `content`; None if there is none."""
        return self.version_named(content.version_name)

    def version_name(self, content: Content) -> str | None:
        """The name of that version, such as `mnist_model:v3`; None if there is none."""
        version = self.version_of(content)
        return version.name if version else None

    def runs(self, execution: Execution) -> list[ExecutionRun]:
        """The runs that mirror all of `execution`."""
        return self.runs_tagged(execution.tag)

    def runs_with_same_inputs(self, execution: Execution) -> list[ExecutionRun]:
        """The runs with the same command, dependencies and parameters."""
        return self.runs_tagged(execution.inputs_tag)

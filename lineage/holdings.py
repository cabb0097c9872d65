"""What the registry holds of a pipeline, looked up by content; what was found once is not asked for again."""

from __future__ import annotations

from lineage.connection import Connection
from lineage.pipeline import Content, Execution
from lineage.record import tag


class Holdings:
    """The versions and runs of one project of the registry."""

    def __init__(self, connection: Connection) -> None:
        import wandb

        self._api = wandb.Api()
        self._path = connection.path
        self._versions: dict[Content, str] = {}

    def version(self, content: Content) -> str | None:
        """The version that mirrors `content`, such as `mnist_model:v3`; None where there is none."""
        if content not in self._versions:
            name = f"{self._path}/{content.artifact}:{content.alias}"
            if not self._api.artifact_exists(name):
                return None
            self._versions[content] = f"{content.artifact}:{self._api.artifact(name).version}"
        return self._versions[content]

    def whole(self, executions: list[Execution]) -> set[str]:
        """The keys of those executions that some run holds whole, with a version of every output."""
        tags = {tag(execution) for execution in executions}
        try:
            runs = self._api.runs(self._path, filters={"tags": {"$in": sorted(tags)}}, per_page=200)
            found = {name for run in runs for name in run.tags}
        except ValueError:  # the project doesn't exist yet
            return set()
        return {
            execution.key
            for execution in executions
            if tag(execution) in found and all(self.version(out) for out in execution.outs)
        }

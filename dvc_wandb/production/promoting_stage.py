"""The promoting stage of a project, its record, and the registry."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from dvc_wandb import production
from dvc_wandb.client import connection, timeouts
from dvc_wandb.client.connection import RegistryConnection
from dvc_wandb.errors import DvcWandbError
from dvc_wandb.production import Record, history
from dvc_wandb.production.record import UnreadableRecordError
from dvc_wandb.project.lock import Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_name

T = TypeVar("T")
FOLLOWED_BY_COMMAND = "DVC_WANDB_PROMOTE"  # set where the command itself lets the registry follow, after `dvc repro`


@dataclass(frozen=True)
class PromotingStage:
    """The promoting stage of a project, and its record."""

    root: Path
    name: str
    record_path: str
    environment: dict[str, str]  # for `dvc repro`: as it was before this process chose a registry

    @cached_property
    def _connection(self) -> RegistryConnection:
        return connection.connect(self.root, project_name(self.root))

    def connect(self) -> RegistryConnection:
        """The connection, made once. Restarts a stopped embedded registry. Raises RegistryUnavailableError."""
        connection.ensure_running(self._connection, self.root)
        return self._connection

    def query_registry(self, work: Callable[[], T]) -> T:
        """What `work` returns. Raises RegistryUnavailableError if the registry stops answering meanwhile."""
        return timeouts.run_checked(work, self._check_registry)

    def _check_registry(self) -> None:
        if "_connection" in self.__dict__:  # found, and in use
            self.connect().check()

    @property
    def record_file(self) -> Path:
        """The path of the record."""
        return self.root / self.record_path

    def record(self) -> Record | None:
        """The record; None if there is none. Raises UnreadableRecordError."""
        return production.read(self.record_file) if self.record_file.exists() else None

    def required_record(self) -> Record:
        """The record. Raises DvcWandbError if there is none yet."""
        record = self.record()
        if record is None:
            raise DvcWandbError(f"there is no {self.record_path} yet; `dvc repro {self.name}` makes it.")
        return record

    def last_record(self) -> Record:
        """The record; if it can't be read, such as with the marks of a merge conflict, the last one in git."""
        try:
            return self.required_record()
        except UnreadableRecordError:
            periods = history.from_git(self.root, self.record_path)
            if not periods:
                raise
            return periods[-1].record

    def registered_model_called(self, name: str) -> str:
        """The registered model that `name` means: REGISTRY/NAME, or the one of the record. Raises DvcWandbError."""
        record = self.record()
        known = record.registered_model if record else ""
        if name in (known, known.rpartition("/")[2]):
            return known
        if "/" in name:
            return name
        raise DvcWandbError(
            f"{self.record_path} is about {known or 'nothing yet'}; name another one with its registry: "
            f"REGISTRY/{name}."
        )

    def execution(self, pipeline: Pipeline) -> Execution:
        """The stage's execution in dvc.lock. Raises DvcWandbError if it never ran."""
        found = next((one for one in pipeline.locked() if one.stage == self.name), None)
        if found is None:
            raise DvcWandbError(f"'{self.name}' has never run here; `dvc repro {self.name}` lets it decide.")
        return found


def find_promoting_stage(pipeline: Pipeline) -> PromotingStage:
    """The promoting stage. Raises DvcWandbError if there is none, or several."""
    stages = pipeline.stages_with_meta("promotes")
    if len(stages) != 1:
        problem = f"several stages promote ({', '.join(stages)})" if stages else "no stage of this project promotes"
        raise DvcWandbError(f"{problem}: dvc.yaml names the record in `meta.wandb.promotes` of one.")
    record_path = str(pipeline.workspace_execution(stages[0]).meta["promotes"])
    return PromotingStage(pipeline.root, stages[0], record_path, {**os.environ, FOLLOWED_BY_COMMAND: "1"})

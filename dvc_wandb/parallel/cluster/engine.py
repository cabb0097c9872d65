"""What runs jobs: SLURM, or Dask. The rest of the folder knows no more of them than this."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.parallel.plan import PlannedStage
from dvc_wandb.parallel.resources import Resources

ACTIVE = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"}
ACTIVE |= {"REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESIZING", "RESV_DEL_HOLD", "SPECIAL_EXIT", "REVOKED"}


class ClusterError(DvcWandbError):
    """The cluster refuses something."""


class ClusterBusyError(ClusterError):
    """The cluster doesn't answer now."""


@dataclass(frozen=True)
class JobState:
    """How a job stands, in SLURM's words: its state, where it works, and why it waits."""

    state: str
    nodes: str
    reason: str

    @property
    def is_over(self) -> bool:
        return self.state not in ACTIVE


class Cluster(Protocol):
    """An engine. A job of it runs `python -m dvc_wandb.parallel.cluster.node`."""

    @property
    def name(self) -> str: ...

    def check(self, stages: Collection[PlannedStage]) -> list[str]:
        """Whether it can give what the stages ask for; sentences on what it has no use for.

        Raises ProjectError for what it can't give.
        """
        ...

    def submit(self, name: str, resources: Resources, variables: dict[str, str], shared_folder: str | None) -> str:
        """The id of a new job with `variables` in its environment. What it prints goes to `output` in the folder.

        Raises ClusterError.
        """
        ...

    def states(self) -> dict[str, JobState]:
        """The jobs of this user that it remembers, by their ids. Raises ClusterError."""
        ...

    def interrupt(self, jobs: Collection[str]) -> None:
        """Ctrl-C for those that work; the end for those that wait. Raises ClusterError."""
        ...

    def cancel(self, jobs: Collection[str]) -> None:
        """Raises ClusterError."""
        ...

    def cancel_command(self, jobs: Collection[str]) -> str:
        """What a user types to end jobs."""
        ...

"""The folder of a stage's job, by which head and node tell each other how it stands.

request        head: what to run
inputs, work-tree, carried    head: what the stage reads, for a node that shares no folder; see away/
job            head: the one job that may run it. Without it, or with another id in it, the job ends
output         SLURM, or the node: what the job prints
recorder       node: the file of the recorder's address
attempt        node: the process that runs it; an earlier one ends, which an engine took for lost
entry-ATTEMPT, result-ATTEMPT    node: what the stage made and the DVC remote doesn't take; see away/
status-ID      node: how the stage of this job ended, and by which attempt; written last
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from dvc_wandb.parallel.cluster.exchange import Exchange

KEPT = ("request", "inputs", "work-tree", "carried")  # by another job for the same request


@dataclass(frozen=True)
class StageRequest:
    """What a job is to run. `root` is the project's, where both share it; else the node makes one of its own."""

    root: str
    target: str
    force: bool
    persists: bool


@dataclass(frozen=True)
class JobFolder:
    """Read and written on both sides."""

    exchange: Exchange

    @classmethod
    def of(cls, parent: Exchange, target: str) -> JobFolder:
        return cls(parent / hashlib.md5(target.encode()).hexdigest())

    @classmethod
    def all(cls, parent: Exchange) -> Iterator[JobFolder]:
        """Those that an earlier run left behind."""
        yield from (cls(parent / name) for name in parent.names())

    def begin(self, request: StageRequest) -> None:
        """Raises ClusterBusyError, as all that follow."""
        self.remove()
        self.exchange.put("request", json.dumps(asdict(request)))

    def request(self) -> StageRequest | None:
        text = self.exchange.text("request")
        return StageRequest(**json.loads(text)) if text else None

    @property
    def job(self) -> str | None:
        return self.exchange.text("job")

    def set_job(self, job: str) -> None:
        self.exchange.put("job", job)

    def withdraw(self) -> None:
        """Have the job end, on whatever node, also where the engine doesn't reach it."""
        self.exchange.remove("job")

    def claim(self, attempt: str) -> None:
        """Have earlier attempts of the same job end."""
        self.exchange.put("attempt", attempt)

    def is_wanted(self, job: str, attempt: str) -> bool:
        return self.job == job and self.exchange.text("attempt") == attempt

    def status_of(self, job: str) -> int | None:
        text = self.exchange.text(f"status-{job}")
        return json.loads(text)["status"] if text else None

    def attempt_of(self, job: str) -> str:
        """The attempt that ended as `status_of` says."""
        return json.loads(self.exchange.text(f"status-{job}") or "")["attempt"]

    def set_status_of(self, job: str, status: int, attempt: str) -> None:
        self.exchange.put(f"status-{job}", json.dumps({"status": status, "attempt": attempt}))

    @property
    def recorder(self) -> Path | None:
        text = self.exchange.text("recorder")
        return Path(text) if text else None

    def set_recorder(self, endpoint: Path) -> None:
        self.exchange.put("recorder", str(endpoint))

    def output_from(self, offset: int) -> bytes:
        return self.exchange.get("output", offset) or b""

    def begin_again(self) -> None:
        """Make ready for another job with the same request."""
        self.exchange.remove(*(name for name in self.exchange.names() if name not in KEPT))

    def remove(self) -> None:
        self.exchange.remove()

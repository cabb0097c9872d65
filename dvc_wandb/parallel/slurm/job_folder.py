"""The folder of a stage's job, by which head and node tell each other how it stands.

    request.json   head: what to run
    job            head: the one job that may run it. Without it, or with another id in it, the job ends
    output         SLURM: what the job prints
    recorder       node: the file of the recorder's address
    status-ID      node: how the stage of this job ended; written last

All but the output are put in place by a rename, so nobody reads a part of one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from dvc_wandb.project.settings import tmp_folder


@dataclass(frozen=True)
class StageRequest:
    """What a job is to run, and the network in which it reaches the registry; in any if that is None."""

    root: str
    target: str
    force: bool
    persists: bool
    network: str | None


@dataclass(frozen=True)
class JobFolder:
    """Read and written on both sides."""

    path: Path

    @classmethod
    def of(cls, root: Path, target: str) -> JobFolder:
        return cls(_parent(root) / hashlib.md5(target.encode()).hexdigest())

    def begin(self, request: StageRequest) -> None:
        self.remove()
        self.path.mkdir(parents=True)
        self._put("request.json", json.dumps(asdict(request)))

    def request(self) -> StageRequest:
        return StageRequest(**json.loads((self.path / "request.json").read_text()))

    @property
    def job(self) -> str | None:
        return self._get("job")

    def set_job(self, job: str) -> None:
        self._put("job", job)

    def withdraw(self) -> None:
        """Have the job end, on whatever node, also where SLURM doesn't reach it."""
        (self.path / "job").unlink(missing_ok=True)

    def status_of(self, job: str) -> int | None:
        text = self._get(f"status-{job}")
        return int(text) if text else None

    def set_status_of(self, job: str, status: int) -> None:
        self._put(f"status-{job}", str(status))

    @property
    def recorder(self) -> Path | None:
        text = self._get("recorder")
        return Path(text) if text else None

    def set_recorder(self, endpoint: Path) -> None:
        self._put("recorder", str(endpoint))

    def output_from(self, offset: int) -> bytes:
        with contextlib.suppress(FileNotFoundError), (self.path / "output").open("rb") as file:
            file.seek(offset)
            return file.read()
        return b""

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def _get(self, name: str) -> str | None:
        try:
            return (self.path / name).read_text()
        except FileNotFoundError:
            return None

    def _put(self, name: str, text: str) -> None:
        temporary = self.path / f"{name}.new"
        temporary.write_text(text)
        temporary.replace(self.path / name)


def folders(root: Path) -> Iterator[JobFolder]:
    """Those that an earlier run left behind."""
    yield from map(JobFolder, sorted(_parent(root).glob("*")))


def _parent(root: Path) -> Path:
    return tmp_folder(root) / "dvc-wandb-slurm"

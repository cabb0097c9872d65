"""A job's process on a node: python -m dvc_wandb.parallel.cluster.node. It runs one stage under a guard.

It looks at its folder every second: a job that the engine has lost, or that the head has given up, ends by itself, so
that no two run the same stage. A Dask worker that dies takes it along: it is the other end of its standard input.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dvc_wandb.client.local_server import Machine
from dvc_wandb.errors import DvcWandbError
from dvc_wandb.parallel import stage_process
from dvc_wandb.parallel.cluster.away import clone, stage_run
from dvc_wandb.parallel.cluster.engine import ClusterBusyError
from dvc_wandb.parallel.cluster.exchange import Exchange
from dvc_wandb.parallel.cluster.job_folder import JobFolder, StageRequest
from dvc_wandb.parallel.local_jobs import LocalJobs
from dvc_wandb.parallel.plan import PlannedStage
from dvc_wandb.parallel.scheduler import Ended
from dvc_wandb.recorder import client

LOOK = 1.0  # seconds between two looks at the folder
REMOTE_LOOK = 2.0  # where that is in the DVC remote
LAST_SECONDS = 600.0  # for the DVC remote to take the status of a stage that has ended
SUBMIT_SECONDS = 60.0  # for the head to write down our id
VARIABLE = "DVC_WANDB_NODE"


@dataclass(frozen=True)
class NodeSettings:
    """What a job's process is told by its environment.

    `job` is its id, where the engine doesn't tell it. `network` is the one in which it reaches the registry; in any if
    that is None.
    """

    path: str
    remote: str
    is_shared: bool
    network: str | None
    job: str = ""

    @property
    def variables(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def here(cls) -> NodeSettings:
        return cls(**json.loads(os.environ.pop(VARIABLE)))

    @classmethod
    def of_job(cls, job: str, variables: dict[str, str]) -> NodeSettings:
        """Those in `variables`, with the id of the job."""
        return replace(cls(**json.loads(variables[VARIABLE])), job=job)


def main() -> None:
    settings = NodeSettings.here()
    folder, job = JobFolder(Exchange(settings.path, settings.remote)), settings.job or os.environ["SLURM_JOB_ID"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(f"job {job} is told to end"))  # the guard ends the stage then
    deadline = time.monotonic() + SUBMIT_SECONDS
    while folder.job is None and time.monotonic() < deadline:
        time.sleep(0.2)
    request = folder.request()
    if folder.job != job or request is None:
        sys.exit("nobody waits for this job any more")
    if folder.status_of(job) is not None:  # slurmctld, killed and started again, may have forgotten that
        sys.exit(f"job {job} has ended")
    attempt = secrets.token_hex(8)
    folder.claim(attempt)
    _import_dvc()
    os.environ.setdefault("HOME", str(Path.home()))
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with _output(None if settings.is_shared else folder) as send:
        _find_registry(settings.network)
        watch = _Watch(folder, job, attempt, REMOTE_LOOK if settings.remote else LOOK, settings.job != "", send)
        try:
            if settings.is_shared:
                status = _run(Path(request.root), folder, request, _in_shared(request), watch)
            else:
                root = clone.make(folder)
                status = _run(root, None, request, _in_clone(root, folder, request, attempt), watch)
        except DvcWandbError as error:
            print(f"ERROR: {error}", flush=True)
            status = stage_process.FAILED
    deadline = time.monotonic() + LAST_SECONDS
    while not _tell(folder, job, status, attempt) and time.monotonic() < deadline:
        time.sleep(REMOTE_LOOK)


def _tell(folder: JobFolder, job: str, status: int, attempt: str) -> bool:
    """Write down how the stage ended; whether that could be done. The remote may not answer for a while."""
    try:
        if folder.is_wanted(job, attempt):
            folder.set_status_of(job, status, attempt)
        return True
    except ClusterBusyError:
        return False


def _in_shared(request: StageRequest) -> Callable[[], int]:
    return lambda: stage_process.run(Path(request.root), request.target, request.force, request.persists)


def _in_clone(root: Path, folder: JobFolder, request: StageRequest, attempt: str) -> Callable[[], int]:
    return lambda: stage_run.run(root, folder, request, attempt)


def _run(root: Path, folder: JobFolder | None, request: StageRequest, work: Callable[[], int], watch: _Watch) -> int:
    os.chdir(root)
    endpoint = client.endpoint_file(root, os.getpid())
    if folder:
        folder.set_recorder(endpoint)
    jobs = LocalJobs(root, request.force)
    signal.signal(signal.SIGINT, lambda *_: jobs.interrupt())
    status: int | None = None
    try:
        jobs.start_work(PlannedStage("stage", request.target, frozenset(), frozenset()), work)
        while status is None:
            status = _hear(jobs)
            watch.look()
        while client.is_running(endpoint) and not client.ask(endpoint, "is_idle"):
            time.sleep(0.05)
            watch.look()
        for line, _ in client.ask(endpoint, "messages_for_launcher") or []:
            print(line, flush=True)
    finally:
        jobs.kill()
    # The recorder ends with us, and SLURM may not leave it the time to remove them
    endpoint.unlink(missing_ok=True)
    client.log_file(root, os.getpid()).unlink(missing_ok=True)
    return status


def _hear(jobs: LocalJobs) -> int | None:
    for event in jobs.events(LOOK):
        if isinstance(event, Ended):
            return event.status
        os.write(1, event.piece)
    return None


class _Watch:
    """Ends this process once nobody waits for it any more, and sends what it printed meanwhile."""

    def __init__(
        self, folder: JobFolder, job: str, attempt: str, seconds: float, has_parent: bool, send: Callable[[], None]
    ) -> None:
        self._folder, self._job, self._attempt = folder, job, attempt
        self._seconds, self._has_parent, self._send = seconds, has_parent, send
        self._looked = 0.0

    def look(self) -> None:
        if self._has_parent and select.select([0], [], [], 0)[0]:  # its end: nothing is ever written
            sys.exit(f"the worker of job {self._job} is gone")
        if time.monotonic() < self._looked + self._seconds:
            return
        try:
            if not self._folder.is_wanted(self._job, self._attempt):
                sys.exit(f"job {self._job} was given up")
            self._send()
        except ClusterBusyError:  # it may answer the next time
            pass
        self._looked = time.monotonic()


@contextmanager
def _output(folder: JobFolder | None) -> Iterator[Callable[[], None]]:
    """Within the block, what this process prints goes to the job's folder, whenever the function is called.

    In a shared one SLURM itself writes it: without a folder there is nothing to do.
    """
    if folder is None:
        yield lambda: None
        return
    with tempfile.TemporaryFile() as file:
        sent = 0

        def send() -> None:
            nonlocal sent
            size = os.fstat(file.fileno()).st_size
            if size > sent:
                folder.exchange.put("output", os.pread(file.fileno(), size, 0))
                sent = size

        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
        try:
            yield send
        except Exception:
            traceback.print_exc()  # for the head to show; an exit is by somebody who no longer reads it
            _send_last(send)
            raise
        _send_last(send)


def _send_last(send: Callable[[], None]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    with suppress(ClusterBusyError):
        send()


def _find_registry(network: str | None) -> None:
    """Mirror nothing from here if the registry is the head's own, and listens there alone."""
    if network not in (None, Machine.here().network):
        os.environ["WANDB_MODE"] = "disabled"
        print(f"{platform.node()} doesn't reach the registry, which listens on its own machine alone.")
        print("To change that, run `wandb-registry stop` and `wandb-registry serve --host 0.0.0.0` there.", flush=True)


def _import_dvc() -> None:
    """Before the guard is forked, as a launcher does."""
    import dvc.repo  # noqa: F401


if __name__ == "__main__":
    main()

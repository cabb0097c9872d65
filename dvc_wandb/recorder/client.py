"""A stage's connection to the recorder. The first stage starts the recorder.

Each process that runs stages has one recorder: a `dvc repro`, a `dvc-wandb repro`, an experiment's worker, or a script
started by hand. The recorder keeps DVC and the SDK loaded from stage to stage. Its port and key are in a file in
.dvc/tmp. It removes the file, and its log, when the registry has everything.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

from dvc_wandb.client.local_server import Machine
from dvc_wandb.errors import DvcWandbError, RecorderExitedError
from dvc_wandb.processes import is_alive

LAUNCHER = "DVC_WANDB_LAUNCHER"  # PID ROOT of the `dvc-wandb repro` that runs the stages of the project at ROOT
SHELLS = {"sh", "dash", "bash", "zsh", "fish", "ksh"}
START_TIMEOUT = 120.0  # seconds; a busy machine takes long to import DVC and the SDK
STARTS = 3  # of a recorder that somebody kills while it starts
NOTICE_AFTER = 1.0  # seconds without a message while we wait for the recorders of earlier commands


class RecorderClient:
    """Remote calls to the recorder. Threads may share it; their calls are made one after the other."""

    def __init__(self, root: Path) -> None:
        self._lock = threading.Lock()
        self._last_request = 0
        launcher = launcher_pid(root)
        self._log = log_file(root, launcher or _runner_pid())
        self._connection = _connect_or_start(root, launcher or _runner_pid())

    def call(self, method: str, *arguments: Any) -> Any:
        """The result of a remote call. Raises the recorder's DvcWandbError, or RecorderExitedError if it was killed."""
        with self._lock:
            self._last_request += 1
            try:
                self._connection.send((self._last_request, method, arguments))
                request, failed, result = 0, False, None
                while request != self._last_request:  # skip the result of an interrupted call
                    request, failed, result = self._connection.recv()
            except (OSError, EOFError):
                raise RecorderExitedError(self._log) from None
        if failed:
            raise DvcWandbError(result)
        return result

    def close(self) -> None:
        self._connection.close()


def _connect_or_start(root: Path, pid: int) -> Connection:
    connection = _connect(endpoint_file(root, pid))
    if connection is None:
        with _starting(root, pid):  # stages may begin at the same time
            connection = _connect(endpoint_file(root, pid)) or _start(root, pid)
    return connection


@contextlib.contextmanager
def _starting(root: Path, pid: int) -> Iterator[None]:
    """Keep other stages from starting the recorder for `pid`. The recorder doesn't inherit the lock.

    A plain flock on its log, which goes when it ends: filelock would leave a file for each recorder that ever was.
    """
    log_file(root, pid).parent.mkdir(parents=True, exist_ok=True)
    with log_file(root, pid).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start(root: Path, pid: int) -> Connection:
    """Start the recorder, again if somebody kills it meanwhile. Raises DvcWandbError."""
    for _ in range(STARTS):
        process = _launch(root, pid)
        deadline = time.monotonic() + START_TIMEOUT
        while process.poll() is None and time.monotonic() < deadline:
            if connection := _connect(endpoint_file(root, pid)):
                return connection
            time.sleep(0.01)
        if process.returncode is None or process.returncode >= 0:  # too slow, or it failed by itself
            break
    raise DvcWandbError(f"the recorder of this stage did not start; {log_file(root, pid)} may say why.")


def _launch(root: Path, pid: int) -> subprocess.Popen[bytes]:
    """Start the recorder's process in its own session: neither Ctrl-C nor the end of a CI step stops it."""
    with log_file(root, pid).open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "dvc_wandb.recorder", str(pid)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(import_path())},
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )


def import_path() -> list[str]:
    """The import path of our processes: without the current folder, whose files are the user's."""
    package_root = str(Path(__file__).parents[2])
    return list(filter(None, [package_root, os.environ.get("PYTHONPATH")]))


def wait_until_idle(root: Path) -> None:
    """Wait until the recorders of this project on this machine have mirrored all stages that ended so far."""
    for path in endpoint_files(root):
        started, noticed = time.monotonic(), False
        while is_running(path) and not ask(path, "is_idle"):
            if not noticed and time.monotonic() - started > NOTICE_AFTER:
                print("waiting for the mirror of the stages that ran last …", file=sys.stderr, flush=True)
                noticed = True
            time.sleep(0.05)


def ask(path: Path, method: str) -> Any:
    """What the recorder of an endpoint answers, by a connection for this question alone; None if it can't be asked."""
    connection = _connect(path)
    if connection is not None:
        with connection, contextlib.suppress(OSError, EOFError):
            connection.send((1, method, ()))
            return connection.recv()[2]
    return None


def endpoint_file(root: Path, pid: int) -> Path:
    """The file with the port and key of the recorder for the process `pid` of this machine."""
    machine = hashlib.md5(Machine.here().processes.encode()).hexdigest()[:6]
    return root / ".dvc" / "tmp" / f"recorder-{machine}-{pid}.json"


def endpoint_files(root: Path) -> list[Path]:
    """The endpoint files of all recorders of a project, killed ones included."""
    return list(root.glob(".dvc/tmp/recorder-*.json"))


def log_file(root: Path, pid: int) -> Path:
    """The log of the recorder for the process `pid`. It is there while the recorder works, or after it was killed."""
    return endpoint_file(root, pid).with_suffix(".log")


def _connect(path: Path) -> Connection | None:
    """A connection to the recorder at an endpoint; None if there is none, or it doesn't answer."""
    try:
        endpoint = _endpoint(path)
        return Client(("127.0.0.1", endpoint["port"]), authkey=bytes.fromhex(endpoint["key"])) if endpoint else None
    except (OSError, ValueError, EOFError):
        return None


def is_running(path: Path) -> bool:
    """Whether the recorder of an endpoint works on this machine. Removes the endpoint file of a killed one."""
    endpoint = _endpoint(path)
    if endpoint is None or _other_machine(endpoint):
        return False
    if is_alive(endpoint["pid"], endpoint["since"]):
        return True
    path.unlink(missing_ok=True)
    return False


def recorders_elsewhere(root: Path) -> list[str]:
    """A sentence for each recorder of another machine: nobody can tell from here whether it still works."""
    hosts = {path: _other_machine(endpoint) for path in endpoint_files(root) if (endpoint := _endpoint(path))}
    return [
        f"stages of this project are mirrored on the machine {host} too, and this doesn't wait for them. "
        f"If that machine is gone, remove {path}."
        for path, host in sorted(hosts.items())
        if host
    ]


def _endpoint(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def _other_machine(endpoint: dict[str, Any]) -> str | None:
    """The host of a recorder on another machine."""
    machine, here = Machine(**endpoint["machine"]), Machine.here()
    return None if machine.processes == here.processes or machine.is_earlier_boot_of(here) else machine.host


def launcher_pid(root: Path) -> int | None:
    """The `dvc-wandb repro` that runs the stages of this project, and tells what became of their mirror."""
    pid, _, of = os.environ.get(LAUNCHER, "").partition(" ")
    return int(pid) if pid and of == str(root) else None


def launcher_variable(root: Path, pid: int) -> dict[str, str]:
    """What the launcher `pid` adds to the environment of the stages that it runs on this machine."""
    return {LAUNCHER: f"{pid} {root}"}


def _runner_pid() -> int:
    """The process that runs the stages: DVC's, if it started this one, through a shell or without; else this one."""
    if not os.environ.get("DVC_STAGE"):
        return os.getpid()
    import psutil

    for process in psutil.Process().parents():
        if process.name() not in SHELLS:
            return process.pid
    return os.getpid()


def command_start_time() -> float:
    """When the command of this stage began: with the shell by which DVC runs it, or with this process."""
    import psutil

    process = psutil.Process()
    if os.environ.get("DVC_STAGE"):
        for parent in process.parents():
            if parent.name() not in SHELLS:
                break
            process = parent
    started = process.create_time()
    if sys.platform == "linux":  # psutil knows when the machine started to a second only
        started += time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) - psutil.boot_time()
    return started

"""A stage's connection to the recorder. The first stage starts the recorder.

Each process that runs stages has one recorder: a `dvc repro`, an experiment's worker, or a script started by hand. The
recorder keeps DVC and the SDK loaded from stage to stage. Its port and key are in a file in .dvc/tmp. It removes the
file when the registry has everything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

from dvc_wandb.errors import DvcWandbError, RecorderExitedError

SHELLS = {"sh", "dash", "bash", "zsh", "fish", "ksh"}
START_TIMEOUT = 30.0  # seconds
NOTICE_AFTER = 1.0  # seconds without a message while we wait for the recorders of earlier commands


class RecorderClient:
    """Remote calls to the recorder. Threads may share it; their calls are made one after the other."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._last_request = 0
        self._connection = self._connect_or_start(_runner_pid())

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
                raise RecorderExitedError(log_file(self._root).relative_to(self._root)) from None
        if failed:
            raise DvcWandbError(result)
        return result

    def close(self) -> None:
        self._connection.close()

    def _connect_or_start(self, pid: int) -> Connection:
        connection = _connect(endpoint_file(self._root, pid))
        if connection is None:
            process = self._start(pid)
            deadline = time.monotonic() + START_TIMEOUT
            while connection is None:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise DvcWandbError(
                        f"the recorder of this stage did not start; {log_file(self._root)} may say why."
                    )
                time.sleep(0.01)
                connection = _connect(endpoint_file(self._root, pid))
        return connection

    def _start(self, pid: int) -> subprocess.Popen[bytes]:
        """Start the recorder in its own session: neither Ctrl-C nor the end of a CI step stops it."""
        log_file(self._root).parent.mkdir(parents=True, exist_ok=True)
        with log_file(self._root).open("wb") as errors:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "dvc_wandb.recorder", str(pid)],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(_import_path())},
                cwd=self._root,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )


def _import_path() -> list[str]:
    """The import path of our processes: without the current folder, whose files are the user's."""
    package_root = str(Path(__file__).parents[2])
    return list(filter(None, [package_root, os.environ.get("PYTHONPATH")]))


def wait_until_idle(root: Path) -> None:
    """Wait until the recorders of this project have mirrored all stages so far."""
    started, noticed = time.monotonic(), False
    while any(map(is_running, endpoint_files(root))):
        if not noticed and time.monotonic() - started > NOTICE_AFTER:
            print("waiting for the mirror of the stages that ran last …", file=sys.stderr, flush=True)
            noticed = True
        time.sleep(0.05)


def endpoint_file(root: Path, pid: int) -> Path:
    """The file with the port and key of the recorder for the process `pid`."""
    return root / ".dvc" / "tmp" / f"recorder-{pid}.json"


def endpoint_files(root: Path) -> list[Path]:
    """The endpoint files of all recorders of a project, killed ones included."""
    return list(root.glob(".dvc/tmp/recorder-*.json"))


def log_file(root: Path) -> Path:
    """The log of the last recorder, for debugging."""
    return root / ".dvc" / "tmp" / "recorder.log"


def _connect(path: Path) -> Connection | None:
    """A connection to the recorder at an endpoint; None if there is none, or it doesn't answer."""
    try:
        endpoint = json.loads(path.read_text())
        return Client(("127.0.0.1", endpoint["port"]), authkey=bytes.fromhex(endpoint["key"]))
    except (OSError, ValueError, EOFError):
        return None


def is_running(path: Path) -> bool:
    """Whether the recorder of an endpoint is alive. Removes the endpoint file of a killed one."""
    import psutil

    try:
        endpoint = json.loads(path.read_text())
        if psutil.Process(endpoint["pid"]).create_time() == endpoint["since"]:
            return True
    except psutil.NoSuchProcess:
        pass
    except FileNotFoundError:
        return False
    path.unlink(missing_ok=True)
    return False


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

"""The recorder's process: python -m dvc_wandb.recorder PID, started by the first stage that the process PID runs."""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
import time
from dataclasses import asdict
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

import psutil

from dvc_wandb import temporary_folders
from dvc_wandb.client.local_server import Machine
from dvc_wandb.errors import DvcWandbError
from dvc_wandb.processes import is_alive
from dvc_wandb.project.settings import project_root
from dvc_wandb.recorder import client
from dvc_wandb.recorder.session import RecorderSession
from dvc_wandb.recorder.stage_run import StageRun

IDLE_LIMIT = 600.0  # seconds without a stage, while the process that started it goes on


def main() -> None:
    runner, root = int(sys.argv.pop()), project_root()
    since = psutil.Process(runner).create_time()
    key = secrets.token_bytes(32)
    endpoint_file = client.endpoint_file(root, runner)
    with Listener(("127.0.0.1", 0), authkey=key) as listener:
        session = RecorderSession(root, runner)
        server = RecorderServer(listener, session)
        _write_endpoint(endpoint_file, {"port": listener.address[1], "key": key.hex()})
        server.start()
        session.load()
        while server.busy or (is_alive(runner, since) and server.idle_seconds < IDLE_LIMIT):
            time.sleep(0.05)
        session.end()
        temporary_folders.remove_all()  # now: whoever waits for the end sees that the endpoint is gone
        endpoint_file.unlink(missing_ok=True)
        client.log_file(root, runner).unlink(missing_ok=True)
        if session.unresponsive:
            os._exit(0)  # the SDK would wait for the registry


class RecorderServer(threading.Thread):
    """Serves the stages that connect, each in its own thread."""

    def __init__(self, listener: Listener, session: RecorderSession) -> None:
        super().__init__(daemon=True)
        self._listener, self._session = listener, session
        self._clients: set[threading.Thread] = set()
        self._last_disconnect = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether a stage is connected."""
        self._clients = {client_thread for client_thread in self._clients if client_thread.is_alive()}
        return bool(self._clients)

    @property
    def idle_seconds(self) -> float:
        return time.monotonic() - self._last_disconnect

    def run(self) -> None:
        while True:
            try:
                client_thread = threading.Thread(target=self._serve, args=(self._listener.accept(),), daemon=True)
            except Exception:  # another program, or a stage that was killed while it connected
                time.sleep(0.01)
                continue
            self._clients.add(client_thread)
            client_thread.start()

    def _serve(self, connection: Connection) -> None:
        stage = StageRun(self._session)
        with connection:
            while True:
                try:
                    request, method, arguments = connection.recv()
                except (EOFError, OSError):
                    break
                try:
                    response = (request, False, getattr(stage, f"on_{method}")(*arguments))
                except DvcWandbError as error:
                    response = (request, True, str(error))
                try:
                    connection.send(response)
                except OSError:
                    break
        stage.on_disconnect()
        self._last_disconnect = time.monotonic()


def _write_endpoint(endpoint_file: Path, endpoint: dict[str, Any]) -> None:
    """Write port and key to a file for its owner alone; by a rename, so that nobody reads a part of it."""
    me = psutil.Process()
    endpoint_file.parent.mkdir(parents=True, exist_ok=True)
    temporary = endpoint_file.with_suffix(".new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({**endpoint, "pid": me.pid, "since": me.create_time(), "machine": asdict(Machine.here())}, file)
    temporary.replace(endpoint_file)


if __name__ == "__main__":
    main()

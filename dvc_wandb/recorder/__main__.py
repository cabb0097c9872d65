"""The recorder's process: python -m dvc_wandb.recorder PID, started by the first stage that the process PID runs."""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
import time
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

import psutil

from dvc_wandb.errors import LineageError
from dvc_wandb.project.settings import project_root
from dvc_wandb.recorder import client
from dvc_wandb.recorder.session import RecorderSession
from dvc_wandb.recorder.stage_run import StageRun

IDLE_LIMIT = 600.0  # seconds that a recorder waits for another stage of a process that goes on without any


def main() -> None:
    runner, root = int(sys.argv.pop()), project_root()
    process = psutil.Process(runner)
    key = secrets.token_bytes(32)
    card = client.card(root, runner)
    with Listener(("127.0.0.1", 0), authkey=key) as listener:
        session = RecorderSession(root, runner)
        stages = Stages(listener, session)
        _write(card, {"port": listener.address[1], "key": key.hex()})
        stages.start()
        session.load()
        while stages.busy or (process.is_running() and stages.idle_seconds < IDLE_LIMIT):
            time.sleep(0.05)
        session.end()
        card.unlink(missing_ok=True)
        if session.hangs:
            os._exit(0)  # the SDK would wait for its registry


class Stages(threading.Thread):
    """Takes the calls of stages, each in a thread of its own."""

    def __init__(self, listener: Listener, session: RecorderSession) -> None:
        super().__init__(daemon=True)
        self._listener, self._session = listener, session
        self._calls: set[threading.Thread] = set()
        self._last = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether a stage is on the line."""
        self._calls = {call for call in self._calls if call.is_alive()}
        return bool(self._calls)

    @property
    def idle_seconds(self) -> float:
        return time.monotonic() - self._last

    def run(self) -> None:
        while True:
            try:
                call = threading.Thread(target=self._answer, args=(self._listener.accept(),), daemon=True)
            except Exception:  # a stranger on the port, or a stage that was killed while it called
                time.sleep(0.01)
                continue
            self._calls.add(call)
            call.start()

    def _answer(self, call: Connection) -> None:
        stage = StageRun(self._session)
        with call:
            while True:
                try:
                    number, question, arguments = call.recv()
                except (EOFError, OSError):
                    break
                try:
                    answer = (number, False, getattr(stage, f"on_{question}")(*arguments))
                except LineageError as error:
                    answer = (number, True, str(error))
                try:
                    call.send(answer)
                except OSError:
                    break
        stage.hung_up()
        self._last = time.monotonic()


def _write(card: Path, facts: dict[str, Any]) -> None:
    """The card appears whole, for its owner alone."""
    me = psutil.Process()
    card.parent.mkdir(parents=True, exist_ok=True)
    new = card.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({**facts, "pid": me.pid, "since": me.create_time()}, file)
    new.replace(card)


if __name__ == "__main__":
    main()

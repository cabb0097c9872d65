"""Several processes that serve one store. One more starts them, replaces whichever ends, and ends with all of them.

They accept from one socket, which is listening before the first of them starts and as long as this process lives: what
has come in waits there while one that died is replaced. When this process dies, they read the end of a pipe and end.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from wandb_registry.listener import Listener

log = logging.getLogger("wandb_registry")
LOOK = 0.2  # seconds after which it is looked whether all live
STEADY = 5.0  # one that lived shorter is replaced later each time, up to so many seconds
MERCY = 10  # seconds beyond those for open requests, after which a worker is killed


@dataclass
class Worker:
    """One process by its number, which its successors have too."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0  # one after the other, right after the start


class Workers:
    """So many workers, by the command line of this process."""

    def __init__(self, count: int, listener: Listener, drain: int, died: Callable[[int], None]):
        self._listener, self._drain, self._died = listener, drain, died
        self._workers = [Worker(number) for number in range(1, count + 1)]
        self._reads, self._lives = os.pipe()  # nobody writes into it; it ends with this process
        self._ending = threading.Event()

    def run(self) -> None:
        """Returns once this process was told to end, and all workers have ended."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._ending.set())
        while not self._ending.is_set():
            for worker in self._workers:
                self._see_to(worker)
            self._ending.wait(LOOK)
        self._listener.socket.close()  # else connections would still be taken, and nobody read from them
        self._end()

    def _see_to(self, worker: Worker) -> None:
        """Starts a worker that isn't there."""
        if worker.process and (status := worker.process.poll()) is not None:
            quick = time.monotonic() - worker.started < STEADY
            worker.failures = worker.failures + 1 if quick else 0
            log.error("worker %d (process %d) ended with status %d", worker.number, worker.process.pid, status)
            self._died(worker.process.pid)
            worker.process = None
        pause = min(STEADY, LOOK * 2**worker.failures) if worker.failures else 0.0
        if worker.process is None and time.monotonic() - worker.started >= pause:
            worker.process, worker.started = self._start(worker.number), time.monotonic()

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        handed = (self._listener.lock, self._listener.socket.fileno(), self._reads)
        names = ("--lock-fd", "--socket-fd", "--lifeline-fd")
        given = [word for name, descriptor in zip(names, handed, strict=True) for word in (name, str(descriptor))]
        command = [sys.executable, "-P", "-m", "wandb_registry", *sys.argv[1:], "--worker", str(number), *given]
        return subprocess.Popen(command, pass_fds=handed, stdin=subprocess.DEVNULL)

    def _end(self) -> None:
        living = [worker.process for worker in self._workers if worker.process]
        for process in living:
            process.terminate()
        deadline = time.monotonic() + self._drain + MERCY
        for process in living:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def when_orphaned(lifeline: int, end: Callable[[], None]) -> None:
    """Calls `end` once the process that starts workers is gone."""

    def wait() -> None:
        os.read(lifeline, 1)
        end()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()

"""Several processes that serve one store. One more forks them, replaces whichever ends, and ends with all of them.

They accept from one socket, which is listening before the first of them starts and as long as this process lives: what
has come in waits there while one that died is replaced. When this process dies, they read the end of a pipe and end.
This process opens no store and starts no thread, so that it can fork at any time.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from wandb_registry.listener import Listener

log = logging.getLogger("wandb_registry")
LOOK = 0.2  # seconds after which it is looked whether all live
STEADY = 5.0  # one that lived shorter is replaced later each time, up to so many seconds
MERCY = 10  # seconds beyond those for open requests, after which a worker is killed
END = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Worker:
    """What a process knows of itself: its number, and a pipe that ends with the process that forked it."""

    number: int
    lifeline: int


@dataclass
class Place:
    """One process of several, and its successors."""

    number: int
    process: int | None = None
    started: float = 0.0
    failures: int = 0  # one after the other, right after the start


class Workers:
    """So many processes that do `work`; `died` is told the id of each that has ended."""

    def __init__(
        self, count: int, listener: Listener, drain: int, work: Callable[[Worker], None], died: Callable[[int], None]
    ):
        self._listener, self._drain, self._work, self._died = listener, drain, work, died
        self._places = [Place(number) for number in range(1, count + 1)]
        self._reads, self._lives = os.pipe()  # nobody writes into it; it ends with this process
        self._ending = threading.Event()

    def run(self) -> None:
        """Returns once this process was told to end, and all others have ended."""
        for number in END:
            signal.signal(number, lambda *_: self._ending.set())
        while not self._ending.is_set():
            for place in self._places:
                self._see_to(place)
            self._ending.wait(LOOK)
        self._listener.socket.close()  # else connections would still be taken, and nobody read from them
        self._end()

    def _see_to(self, place: Place) -> None:
        """Starts a worker where there is none."""
        if place.process and (status := _status(place.process)) is not None:
            quick = time.monotonic() - place.started < STEADY
            place.failures = place.failures + 1 if quick else 0
            log.error("worker %d (process %d) ended with status %d", place.number, place.process, status)
            self._died(place.process)
            place.process = None
        pause = min(STEADY, LOOK * 2**place.failures) if place.failures else 0.0
        if place.process is None and time.monotonic() - place.started >= pause:
            signal.pthread_sigmask(signal.SIG_BLOCK, END)  # until the worker has other handlers than this process
            try:
                place.process, place.started = os.fork(), time.monotonic()
                if not place.process:
                    self._be(Worker(place.number, self._reads))
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, END)

    def _be(self, worker: Worker) -> NoReturn:
        """Works in the new process, and ends it."""
        status = 1
        try:
            for number in END:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, END)
            os.close(self._lives)
            self._work(worker)
            status = 0
        except Exception:
            log.exception("worker %d ends", worker.number)
        finally:
            os._exit(status)

    def _end(self) -> None:
        living = [place.process for place in self._places if place.process]
        for process in living:
            os.kill(process, signal.SIGTERM)  # nobody has waited for it yet, so it is no other's id
        deadline = time.monotonic() + self._drain + MERCY
        while living := [process for process in living if _status(process) is None]:
            if time.monotonic() > deadline:
                for process in living:
                    os.kill(process, signal.SIGKILL)
            time.sleep(LOOK / 10)


def _status(process: int) -> int | None:
    """How a process ended, told once; None if it lives."""
    ended, status = os.waitpid(process, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def when_orphaned(lifeline: int, end: Callable[[], None]) -> None:
    """Calls `end` once the process that forks workers is gone."""

    def wait() -> None:
        os.read(lifeline, 1)
        end()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()

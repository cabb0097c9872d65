"""Runs a stage in a session of its own, under a guard: a process that ends the session when the launcher ends.

The guard hears of that by a pipe, however the launcher ends. Killed alone, DVC would leave its command at work, and
its own lock on the outputs; not reaped, DVC would count as alive.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

INTERRUPTED = 101  # an exit status, below those that stand for signals
INTERRUPT = b"i"  # sent to a guard: Ctrl-C for its session


@dataclass(frozen=True)
class Guarded:
    """A guard's process, and our ends of three pipes.

    What the stage prints comes through `output`, the leader of its session through `leader`. By `control` the guard
    knows that we live, and we that it does.
    """

    pid: int
    output: int
    leader: int
    control: int

    @property
    def descriptors(self) -> tuple[int, ...]:
        return (self.output, self.leader, self.control)


def start(work: Callable[[], int], inherited: list[int]) -> Guarded:
    """Fork a guard, and have it fork a process that does `work` and exits with what that returns.

    `inherited` are our descriptors that the guard closes: it would keep the pipes of other guards open. The caller has
    no other threads, since a fork has none of them.
    """
    output, output_end = os.pipe()
    leader, leader_end = os.pipe()
    control_end, control = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            for descriptor in (*inherited, output, leader, control):
                os.close(descriptor)
            _guard(work, output_end, leader_end, control_end)
        finally:
            os._exit(1)
    for descriptor in (output_end, leader_end, control_end):
        os.close(descriptor)
    os.set_blocking(output, False)
    return Guarded(pid, output, leader, control)


def wait(one: Guarded) -> int:
    """Wait for the end of a guard; the exit status of its stage, negative if a signal ended either of them.

    If somebody killed the guard itself, ends its session in its place.
    """
    _, status = os.waitpid(one.pid, 0)
    if os.WIFSIGNALED(status) and (pid := os.read(one.leader, 32)):
        _kill_session(int(pid))
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code > 128 else code


def _guard(work: Callable[[], int], output: int, leader: int, control: int) -> NoReturn:
    os.setsid()
    # SLURM sends it to all processes of a job: a stage that survives it shall not survive its guard
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ended, alive = os.pipe()  # the second end is DVC's alone; closed when it ends
    pid = os.fork()
    if pid == 0:
        for descriptor in (ended, leader, control):
            os.close(descriptor)
        _work(work, output)
    os.write(leader, str(pid).encode())
    os.close(alive)
    os.close(output)
    while True:
        ready, _, _ = select.select([ended, control], [], [])
        if ended in ready:
            break
        if os.read(control, 1) == INTERRUPT:
            _signal_session(pid, signal.SIGINT)
        else:
            _kill_session(pid)
            break
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):  # somebody killed DVC: what it ran would go on without it
        _kill_session(pid)
    os._exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


def _work(work: Callable[[], int], output: int) -> NoReturn:
    """The process of DVC: its own session and group, nothing to read, one pipe for all that it says."""
    import sys

    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for descriptor, source in ((0, nothing), (1, output), (2, output)):
            os.dup2(source, descriptor)
        os.close(output)
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True)  # pyright: ignore[reportAttributeAccessIssue]
        status = work()
        sys.stdout.flush()
        sys.stderr.flush()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BaseException:  # a fault of ours: without this it would end without a word
        traceback.print_exc()
    finally:
        os._exit(status)  # without what the launcher would do at its own exit


def _kill_session(leader: int) -> None:
    """Kill the session until nothing of it is left that works."""
    while _signal_session(leader, signal.SIGKILL):
        time.sleep(0.01)


def _signal_session(leader: int, number: signal.Signals) -> int:
    """Send a signal to the processes of a session; how many there are, without those that have ended."""
    import psutil

    count = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            # By its own id too: the leader may not have begun its session yet
            if leader in (process.pid, os.getsid(process.pid)) and process.status() != psutil.STATUS_ZOMBIE:
                process.send_signal(number)
                count += 1
    return count

"""Waits for the SDK's work in another thread, and gives up when the registry stops answering.

The SDK itself would retry for minutes, without a word.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

import psutil

from dvc_wandb import interrupts, temporary_folders
from dvc_wandb.errors import RegistryUnavailableError

T = TypeVar("T")
POLL_INTERVAL = 1.0  # seconds
CHECK_INTERVAL = 5.0  # seconds between two requests of a tolerant check
GRACE_PERIOD = 15.0  # seconds; a busy registry may leave some requests unanswered
_abandoned = threading.Event()  # set when work goes on in its thread, and nobody waits for it


def in_background(work: Callable[[], T]) -> Future[T]:
    """The future of `work`, which runs in a daemon thread: the process may end before it."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def wait_for(future: Future[T], check: Callable[[], object]) -> T:
    """The result of `future`. Calls `check` meanwhile, and raises what it raises."""
    while not wait([future], timeout=POLL_INTERVAL).done:
        interrupts.check()
        check()
    return future.result()


def run_checked(work: Callable[[], T], check: Callable[[], object]) -> T:
    """What `work` returns. Raises what `check` raises meanwhile; the work then goes on in its thread until `exit_code`.

    What it had begun is as after a kill: the next mirror goes on with it.
    """
    future = in_background(work)
    try:
        return wait_for(future, check)
    except BaseException:
        if not future.done():
            _abandoned.set()
        raise


def tolerant(check: Callable[[], object]) -> Callable[[], None]:
    """`check`, made every few seconds. Raises RegistryUnavailableError only if it has failed for a while."""
    last_check = last_success = time.monotonic()

    def tolerant_check() -> None:
        nonlocal last_check, last_success
        if time.monotonic() - last_check < CHECK_INTERVAL:
            return
        try:
            check()
            last_success = time.monotonic()
        except RegistryUnavailableError:
            if time.monotonic() - last_success > GRACE_PERIOD:
                raise
        last_check = time.monotonic()

    return tolerant_check


def exit_code(code: int) -> int:
    """Return `code`. Ends the process with it at once if work was abandoned: the SDK would wait for that at exit."""
    if _abandoned.is_set():
        sys.stdout.flush()
        sys.stderr.flush()
        temporary_folders.remove_all()
        os._exit(code)  # the SDK's service process ends with us
    return code


def kill_sdk_service() -> None:
    """Kill the SDK's service process. At exit the SDK would wait for it as long as the registry hangs."""
    import wandb

    for child in psutil.Process().children():
        if "wandb" in child.name():
            child.kill()
    with contextlib.suppress(Exception, SystemExit):  # the SDK finds its service gone
        wandb.teardown()

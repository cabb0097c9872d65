"""Waiting for what the SDK does in another thread, for as long as the registry answers.

The SDK asks a registry that hangs again and again, for minutes; nobody else has to wait for that.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

import psutil

from dvc_wandb import interrupts

T = TypeVar("T")
LOOK_EVERY = 1.0  # seconds
_given_up = threading.Event()  # work that goes on in its thread, for which nobody waits any more


def in_background(work: Callable[[], T]) -> Future[T]:
    """What `work` returns or raises, in a thread that doesn't keep the process from ending."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def result(work: Future[T], look: Callable[[], object]) -> T:
    """The result of `work`; raises what `look` does where that finds, meanwhile, that waiting is of no use."""
    while not wait([work], timeout=LOOK_EVERY).done:
        interrupts.check()
        look()
    return work.result()


def answered(work: Callable[[], T], look: Callable[[], object]) -> T:
    """What `work` has of a registry; raises what `look` does as soon as that finds that waiting is of no use.

    Work that was given up goes on in its thread until `end`.
    """
    future = in_background(work)
    try:
        return result(future, look)
    except BaseException:
        if not future.done():
            _given_up.set()
        raise


def end(code: int) -> int:
    """`code`, to end this process with; ends it here and now where work was given up, for which the SDK would wait."""
    if _given_up.is_set():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # the SDK's helper ends with us
    return code


def end_helper() -> None:
    """End the SDK's helper process: the SDK waits for it when this process ends, however long a registry hangs."""
    import wandb

    for child in psutil.Process().children():
        if "wandb" in child.name():
            child.kill()
    with contextlib.suppress(Exception, SystemExit):  # to find it gone
        wandb.teardown()

"""Work on a registry that ends in a sentence where that hangs: the SDK would ask it for minutes, without a word."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from dvc_wandb.client import timeouts
from dvc_wandb.client.connection import RegistryConnection
from dvc_wandb.errors import RegistryAway

T = TypeVar("T")
ASK_EVERY = 5.0  # seconds
SILENT_FOR = 15.0  # seconds; one that has much to do may leave a question without an answer


def watched(connection: RegistryConnection, work: Callable[[], T]) -> T:
    """What `work` returns. Raises RegistryAway where the registry has been silent for a while, whatever it waits for.

    What it had begun is then as after a kill: the next mirror goes on with it.
    """
    asked = answered = time.monotonic()

    def look() -> None:
        nonlocal asked, answered
        if time.monotonic() - asked < ASK_EVERY:
            return
        try:
            connection.check()
            answered = time.monotonic()
        except RegistryAway:
            if time.monotonic() - answered > SILENT_FOR:
                raise
        asked = time.monotonic()

    return timeouts.answered(work, look)

"""Whether a process of this machine works."""

from __future__ import annotations


def is_alive(pid: int, since: float | None = None, before: float | None = None) -> bool:
    """Whether a process works, that started at the time `since`, or not after `before`.

    One that has ended and that nobody has reaped doesn't, though its id is taken.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        started = process.create_time()
        return process.status() != psutil.STATUS_ZOMBIE and since in (None, started) and (before or started) >= started
    except psutil.NoSuchProcess:
        return False

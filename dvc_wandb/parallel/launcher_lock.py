"""One launcher in a project at a time, and what a killed one left behind.

The lock is a plain flock on an open file, and not filelock's: the guards and the DVCs that the launcher forks have it
too. So a new launcher waits until the last of them has ended, however the launcher before it ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dvc_wandb.client.local_server import Machine
from dvc_wandb.errors import DvcWandbError
from dvc_wandb.processes import is_alive
from dvc_wandb.project.settings import tmp_folder

PATIENCE = 10.0  # seconds, in which the guards of a killed launcher end its stages


@contextlib.contextmanager
def only_launcher(root: Path) -> Iterator[None]:
    """Within the block, no other launcher runs stages of this project. Raises DvcWandbError if one does."""
    with (tmp_folder(root) / "dvc-wandb-repro.lock").open("a+") as file:
        deadline = time.monotonic() + PATIENCE
        while not _try(file.fileno()):
            file.seek(0)
            if time.monotonic() > deadline or _is_at_work(file.read()):
                raise DvcWandbError(_who(root, file))
            time.sleep(0.05)
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "machine": asdict(Machine.here())}))
        file.flush()
        yield


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def _is_at_work(card: str) -> bool:
    try:
        launcher = json.loads(card)
    except ValueError:  # it is just about to write it
        return False
    return Machine(**launcher["machine"]).processes != Machine.here().processes or is_alive(launcher["pid"])


def _who(root: Path, file: Any) -> str:
    file.seek(0)
    with contextlib.suppress(ValueError):
        launcher = json.loads(file.read())
        who = f"process {launcher['pid']} on {launcher['machine']['host']}"
        return f"another `dvc-wandb repro` ({who}), or a stage of it, works in {root}. Wait for its end, or end it."
    return f"another `dvc-wandb repro` works in {root}. Wait for its end, or end it."


def remove_stale_rwlock(root: Path, holds: Callable[[dict[str, Any], float], bool] | None = None) -> None:
    """Remove from DVC's rwlock the processes that are gone, or all of it if it can't be read.

    `holds` tells of an entry, and of when the file was written, whether the process works; by default, of this machine.

    DVC itself takes a process for alive that nobody has reaped, or that has only the id of one, and refuses to run with
    an rwlock that was being written when the machine stopped. Call it when no stage runs. Raises DvcWandbError if DVC
    has a lock on it for seconds.
    """
    from dvc.config import Config
    from dvc.lock import LockError, make_lock
    from dvc.rwlock import RWLOCK_FILE, RWLOCK_LOCK

    path = root / ".dvc" / "tmp" / RWLOCK_FILE
    if not path.exists():
        return
    hardlink = Config(str(root / ".dvc"))["core"].get("hardlink_lock", False)
    lock = make_lock(str(path.with_name(RWLOCK_LOCK)), tmp_dir=str(path.parent), hardlink_lock=hardlink)
    try:
        lock.lock()
    except LockError as error:
        raise DvcWandbError(str(error)) from None
    try:
        path.write_text(json.dumps(_still_held(path, holds or _holds)))
    finally:
        lock.unlock()


def _still_held(rwlock: Path, holds: Callable[[dict[str, Any], float], bool]) -> dict[str, Any]:
    try:
        held = {"write": {}, "read": {}} | json.loads(rwlock.read_text())
        written = rwlock.stat().st_mtime
        write = {place: one for place, one in held["write"].items() if holds(one, written)}
        read = {place: [one for one in ones if holds(one, written)] for place, ones in held["read"].items()}
    except (ValueError, AttributeError, TypeError, KeyError):
        return {}
    return {"write": write, "read": {place: ones for place, ones in read.items() if ones}}


def _holds(process: dict[str, Any], written: float) -> bool:
    """Whether it works, and is the one that was written: another with its id began later, if only a second."""
    return is_alive(process["pid"], before=written + 1)

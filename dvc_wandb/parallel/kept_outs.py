"""Keeps a copy of the outputs that a stage goes on with (`persist: true`) while it runs.

DVC removes all others before it runs a stage. A stage that is killed in the middle leaves these half-written, and the
next run would go on from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dvc_wandb.parallel.serial_order import lock_entries
from dvc_wandb.project.settings import tmp_folder


def keep(root: Path, target: str, stage: Any, force: bool) -> None:
    """Copy the persisted outputs of `target`, if it is going to run. `stage` is DVC's object; DVC's lock is held."""
    outs = [Path(out.fs_path) for out in stage.outs if out.persist and out.protocol == "local"]
    forget(root, target)
    folder = _folder(root, target)
    if outs and (force or stage.changed()):
        folder.mkdir(parents=True)
        for at, out in enumerate(outs):
            if out.exists():
                (shutil.copytree if out.is_dir() else shutil.copy2)(out, folder / str(at))
        lock = Path(stage.path).with_name("dvc.lock")
        card = {"outs": list(map(str, outs)), "lock": str(lock), "name": stage.name, "entry": _entry(lock, stage.name)}
        (folder / "new").write_text(json.dumps(card))
        (folder / "new").rename(folder / "card.json")


def forget(root: Path, target: str) -> None:
    """Remove the copies of a stage that has ended. One that failed leaves what it wants to, as with `dvc repro`."""
    shutil.rmtree(_folder(root, target), ignore_errors=True)


def restore(root: Path, at_work: Iterable[str] = ()) -> None:
    """Bring back what stages had of such outputs when they began, if they were killed. None but `at_work` run."""
    running = {_folder(root, target) for target in at_work}
    for folder in set(_folder(root, "").parent.glob("*")) - running:
        with contextlib.suppress(FileNotFoundError):  # killed before it was a copy: the stage had not begun
            card = json.loads((folder / "card.json").read_text())
            if _entry(Path(card["lock"]), card["name"]) == card["entry"]:  # else it was done
                for at, out in enumerate(map(Path, card["outs"])):
                    _replace(out, folder / str(at))
        shutil.rmtree(folder)


def _replace(out: Path, copy: Path) -> None:
    if out.is_dir():
        shutil.rmtree(out)
    else:
        out.unlink(missing_ok=True)
    if copy.exists():
        shutil.move(copy, out)


def _entry(lock: Path, name: str) -> Any:
    return lock_entries(lock.read_text()).get(name) if lock.exists() else None


def _folder(root: Path, target: str) -> Path:
    return tmp_folder(root) / "dvc-wandb-repro-outs" / hashlib.md5(target.encode()).hexdigest()

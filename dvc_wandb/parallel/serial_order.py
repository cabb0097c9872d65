"""Puts what DVC wrote into the order of a serial run.

DVC appends the entry of a stage to dvc.lock, and its outputs to .gitignore, when it ends. What was there keeps its
place. So we remember what was there, until all stages are done: one that was killed, or failed, is recorded by a later
run, and stands where it would have stood. Another commit is another beginning. A folder that a stage reads as a whole
has a .gitignore in it, so its lines count for that stage.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dvc_wandb.parallel.plan import Plan
from dvc_wandb.project import git
from dvc_wandb.project.settings import tmp_folder


class SerialOrder:
    """The texts of dvc.lock and .gitignore files when the run began, or one before it that left something undone."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._file = _file(plan.root)
        self._ignores = sorted({out.parent / ".gitignore" for out in plan.outs})
        if _before(plan.root) is None:
            texts = {str(path): _text(path) for path in (*plan.locks, *self._ignores)}
            temporary = self._file.with_suffix(".new")
            temporary.write_text(json.dumps({"commit": _commit(plan.root), "texts": texts}))
            temporary.replace(self._file)

    def forget(self) -> None:
        """Begin anew with the next run."""
        self._file.unlink()

    def sort(self) -> None:
        """Put what came since the run began into order, under DVC's lock. Changes no file in which it is already."""
        from dvc.repo import Repo

        before = _before(self._plan.root) or {}
        with Repo(str(self._plan.root), _wait_for_lock=True) as repo, repo.lock, repo.scm_context(quiet=True) as scm:
            for path, names in self._plan.locks.items():
                if self._sort_lock(path, names, before.get(str(path), "")):
                    scm.track_file(str(path))  # for core.autostage
            for path in self._ignores:
                if self._sort_ignore(path, before.get(str(path), "")):
                    scm.track_file(str(path))

    def _sort_lock(self, path: Path, names: list[str], before: str) -> bool:
        from dvc.utils.serialize import modify_yaml

        entries = list(lock_entries(_text(path)))
        ordered = in_order(entries, lock_entries(before), {name: at for at, name in enumerate(names)})
        if ordered == entries:
            return False
        with modify_yaml(str(path)) as data:
            stages = dict(data["stages"])
            for name in ordered:
                del data["stages"][name]
            for name in ordered:
                data["stages"][name] = stages[name]
        return True

    def _sort_ignore(self, path: Path, before: str) -> bool:
        places = {out: at for at, out in enumerate(self._plan.outs)}
        lines = _text(path).splitlines(keepends=True)
        ranks = {line: places[out] for line in lines if (out := self._plan.ignored_path(path, line)) in places}
        ordered = in_order(lines, before.splitlines(keepends=True), ranks)
        if ordered == lines:
            return False
        path.write_text("".join(ordered))
        return True


def mend_locks(root: Path) -> None:
    """Write a dvc.lock again that a killed DVC left half-written, as it was when that run began.

    DVC empties it and writes it in place. It only ever adds entries, so one that lacks any, or has none at all, was cut
    off. What came since is in DVC's run cache, or is made again.
    """
    for name, before in (_before(root) or {}).items():
        path = Path(name)
        if path.name != "dvc.lock" or not path.exists():
            continue
        entries = lock_entries(_text(path))
        if not before and not entries:
            path.unlink()
        elif not lock_entries(before).keys() <= entries.keys():
            path.write_text(before)


def lock_entries(text: str) -> dict[str, Any]:
    """The stages in the text of a dvc.lock, all values as text; none if it can't be read."""
    import yaml

    try:
        loaded = yaml.load(text, getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except yaml.YAMLError:
        return {}
    return (loaded.get("stages") if isinstance(loaded, dict) else None) or {}


def in_order(present: list[str], before: Iterable[str], ranks: dict[str, int]) -> list[str]:
    """The list with those that are new and have a rank sorted by it, in the places that they have among the others."""
    known = set(before)
    new = iter(sorted((one for one in present if one in ranks and one not in known), key=ranks.__getitem__))
    return [next(new) if one in ranks and one not in known else one for one in present]


def _before(root: Path) -> dict[str, str] | None:
    """The texts by their paths; None if no run of this commit left something undone."""
    try:
        state = json.loads(_file(root).read_text())
    except FileNotFoundError:
        return None
    return state["texts"] if state["commit"] == _commit(root) else None


def _commit(root: Path) -> str | None:
    return git.output_or_none(root, "rev-parse", "--verify", "HEAD")


def _file(root: Path) -> Path:
    return tmp_folder(root) / "dvc-wandb-repro.json"


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""

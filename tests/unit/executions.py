"""Entries of a lock, made up: a test names only what matters to it."""

from __future__ import annotations

from typing import Any

from dvc_wandb.project.lock import Content, Execution


def content(path: str, md5: str | None = "", **facts: Any) -> Content:
    """A file whose md5 follows from its path, if none is given."""
    return Content(path, f"md5 of {path}" if md5 == "" else md5, path.replace("/", "-"), "dataset", "out", **facts)


def execution(stage: str, deps: str = "", outs: str = "", **facts: Any) -> Execution:
    """A stage that reads and makes the files of these names, which stand between blanks."""
    read, made = (tuple(content(path) for path in names.split()) for names in (deps, outs))
    usual = {"cmd": f"run {stage}", "desc": "", "job_type": stage, "deps": read, "outs": made, "params": {}}
    return Execution(stage, **{**usual, **facts})

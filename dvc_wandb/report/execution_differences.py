"""Describes the differences between two executions of a stage, in lines for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.report.graph_text import short_md5

ABSENT = "nothing"


def describe_changes(before: Execution | None, after: Execution | None) -> list[str]:
    """A line for each difference: command, parameters, dependencies, the list of outs."""
    if before is None or after is None:
        return ["the stage is new" if after else "the stage is gone"] if before is not after else []
    lines = [f"command: {before.cmd!r} → {after.cmd!r}"] if before.cmd != after.cmd else []
    lines += _param_changes(before.params, after.params)
    lines += (
        f"{path}: {short_md5(old)} → {short_md5(new)}" for path, old, new in changed_contents(before.deps, after.deps)
    )
    gone, new = ({out.path for out in one.outs} for one in (before, after))
    lines += (f"{path} is no longer an out" for path in sorted(gone - new))
    lines += (f"{path} is a new out" for path in sorted(new - gone))
    return lines


def changed_contents(
    before: tuple[Content, ...], after: tuple[Content, ...]
) -> Iterator[tuple[str, str | None, str | None]]:
    """The paths whose md5 differs, with both; None where one side lacks the path."""
    old, new = ({one.path: one.md5 for one in side} for side in (before, after))
    for path in sorted(old.keys() | new.keys()):
        if old.get(path) != new.get(path):
            yield path, old.get(path), new.get(path)


def _param_changes(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> Iterator[str]:
    for file in sorted(before.keys() | after.keys()):
        old, new = before.get(file, {}), after.get(file, {})
        for name in sorted(old.keys() | new.keys()):
            if old.get(name, ABSENT) != new.get(name, ABSENT):
                yield f"{file} {name}: {_as_json(old, name)} → {_as_json(new, name)}"


def _as_json(values: dict[str, Any], name: str) -> str:
    return json.dumps(values[name], ensure_ascii=False, default=str) if name in values else ABSENT

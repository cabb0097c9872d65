"""The record of the model in production, a file in git. It has no times and no version numbers.

The promoting stage and people's commands write it. Its history in git is the history of production.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.production import restoring

T = TypeVar("T")
GATE, PERSON = "gate", "person"
MARK = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)  # of git's, around the two sides of a conflict


class UnreadableRecordError(DvcWandbError):
    """A file can't be used: `why`, and the `command` that restores it, or ""."""

    def __init__(self, name: str, why: str, command: str = "") -> None:
        restored = f" `{command}` restores it." if command else ""
        other = " With --ours for --theirs it takes the side that was checked out." if " --theirs " in command else ""
        super().__init__(f"{name} can't be used ({why}).{restored}{other}")
        self.why, self.command = why, command


@dataclass(frozen=True)
class Exclusion:
    """A model that a person decided against; `how` reads "was rolled back to 4788251c (customers complained)"."""

    model_md5: str
    how: str


@dataclass(frozen=True)
class Record:
    """The version of a registered model that is in production, by the md5 of its bytes; None if there is none.

    `replaces` is the md5 of the model that was in production before. No gate promotes those in `only_by_person`.
    """

    registered_model: str
    model_md5: str | None = None
    eval_md5: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    decided_by: str | None = None
    reason: str | None = None
    replaces: str | None = None
    only_by_person: tuple[Exclusion, ...] = ()

    def by_gate(self, model_md5: str, eval_md5: str, metrics: dict[str, float], reason: str) -> Record:
        """The record after a gate has promoted another model."""
        return Record(
            self.registered_model, model_md5, eval_md5, metrics, GATE, reason, self.model_md5, self.only_by_person
        )

    def by_person(
        self, model_md5: str, reason: str, last_record: Record | None, candidate: str | None, rollback: bool = False
    ) -> Record:
        """The record after a person's decision.

        `last_record` is the last record of that model, `candidate` the model that the pipeline made last.
        """
        new = f"{model_md5[:8]} ({reason})"
        excluded = {one.model_md5: one for one in self.only_by_person}
        if candidate:
            excluded[candidate] = Exclusion(candidate, f"was passed over by a person for {new}")
        if self.model_md5:
            how = f"was rolled back by a person to {new}" if rollback else f"was replaced by a person with {new}"
            excluded[self.model_md5] = Exclusion(self.model_md5, how)
        excluded.pop(model_md5, None)
        return Record(
            self.registered_model,
            model_md5,
            last_record.eval_md5 if last_record else None,
            last_record.metrics if last_record else {},
            PERSON,
            reason,
            self.model_md5,
            tuple(excluded.values()),
        )

    def exclusion(self, model_md5: str) -> Exclusion | None:
        """A person's decision against a model; None if the gate may promote it."""
        return next((one for one in self.only_by_person if one.model_md5 == model_md5), None)

    def with_metrics(self, eval_md5: str, metrics: dict[str, float]) -> Record:
        """The record with the metrics that its model has on other data."""
        return replace(self, eval_md5=eval_md5, metrics=metrics)


def read(path: Path) -> Record:
    """The record in the file `path`. Raises UnreadableRecordError."""
    return _read(path, parse)


def parse(text: str, name: str) -> Record:
    """The record in the text of the file `name`. Raises UnreadableRecordError."""
    facts = parse_facts(text, name, "registered_model", "model_md5")
    fields = {key: value for key, value in facts.items() if key in Record.__dataclass_fields__}
    try:
        only_by_person = tuple(Exclusion(**one) for one in fields.get("only_by_person") or ())
    except TypeError:
        only_by_person = None
    if only_by_person is None or not isinstance(fields.get("metrics", {}), dict):
        why = "metrics must be a mapping, only_by_person a list of model_md5 and how"
        raise UnreadableRecordError(name, why)
    return Record(**{**fields, "only_by_person": only_by_person})


def write(path: Path, record: Record) -> None:
    """Write the record into the file `path`."""
    write_facts(path, asdict(record))


def read_facts(path: Path, *keys: str) -> dict[str, Any]:
    """The JSON object in the file `path`. Raises UnreadableRecordError if it is none, or lacks one of `keys`."""
    return _read(path, lambda text, name: parse_facts(text, name, *keys))


def _read(path: Path, parse: Callable[[str, str], T]) -> T:
    """What `parse` makes of the text and the name of a file."""
    name = os.path.relpath(path)
    try:
        return parse(path.read_bytes().decode(errors="replace"), name)
    except UnreadableRecordError as error:
        command = restoring.command_for_workspace(path, lambda text: can_be_read(parse, text))
        raise UnreadableRecordError(name, error.why, command) from None


def can_be_read(parse: Callable[[str, str], Any], text: str) -> bool:
    """Whether `parse` takes the text."""
    try:
        parse(text, "")
    except UnreadableRecordError:
        return False
    return True


def write_facts(path: Path, facts: dict[str, Any]) -> None:
    """Write a JSON object. A process that is killed leaves the old file or the new one, no half of it."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    temporary.replace(path)


def parse_facts(text: str, name: str, *keys: str) -> dict[str, Any]:
    """The JSON object in the text of the file `name`. Raises UnreadableRecordError if it lacks one of `keys`."""
    try:
        facts = json.loads(text)
    except ValueError as error:
        marked = ", it has the marks of a merge conflict" if MARK.search(text) else ""
        raise UnreadableRecordError(name, f"it is not JSON{marked}: {error}") from None
    missing = [key for key in keys if not isinstance(facts, dict) or key not in facts]
    if missing:
        raise UnreadableRecordError(name, f"it has no {', '.join(missing)}")
    return facts

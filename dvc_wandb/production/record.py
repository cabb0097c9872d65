"""The record, in git, of what is in production: facts of content and who decided, no times and no version numbers.

The stage that promotes writes it, and so do people's commands; git's history of the file is the history of production.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dvc_wandb.errors import DvcWandbError

GATE, PERSON = "gate", "person"


@dataclass(frozen=True)
class Record:
    """A registered model and the model that is in production, by the md5 of its bytes; None where nothing is.

    `replaces` is what was in production before. Of the models in `only_by_person` a person took each out of
    production, or chose another over it: no gate promotes them again.
    """

    registered_model: str
    model_md5: str | None = None
    eval_md5: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    decided_by: str | None = None
    reason: str | None = None
    replaces: str | None = None
    only_by_person: tuple[str, ...] = ()

    def by_gate(self, model_md5: str, eval_md5: str, metrics: dict[str, float], reason: str) -> Record:
        """The record once a gate has put another model in production."""
        return Record(
            self.registered_model, model_md5, eval_md5, metrics, GATE, reason, self.model_md5, self.only_by_person
        )

    def by_person(self, model_md5: str, reason: str, last_record: Record | None, candidate: str | None) -> Record:
        """The record once a person has.

        `last_record` is the last record of that model, `candidate` the model that the pipeline made last.
        """
        excluded = dict.fromkeys([*self.only_by_person, self.model_md5, candidate])
        return Record(
            self.registered_model,
            model_md5,
            last_record.eval_md5 if last_record else None,
            last_record.metrics if last_record else {},
            PERSON,
            reason,
            self.model_md5,
            tuple(md5 for md5 in excluded if md5 and md5 != model_md5),
        )

    def with_metrics(self, eval_md5: str, metrics: dict[str, float]) -> Record:
        return replace(self, eval_md5=eval_md5, metrics=metrics)


def read(path: Path) -> Record:
    """Raises DvcWandbError where `path` is no record."""
    return parse(path.read_text(), path.name)


def parse(text: str, name: str) -> Record:
    facts = parse_facts(text, name, "registered_model", "model_md5")
    fields = {key: value for key, value in facts.items() if key in Record.__dataclass_fields__}
    only_by_person = fields.get("only_by_person") or []
    if not isinstance(only_by_person, list) or not isinstance(fields.get("metrics", {}), dict):
        raise DvcWandbError(
            f"{name} can't be used (metrics must be a mapping, only_by_person a list). `git checkout` restores it."
        )
    return Record(**{**fields, "only_by_person": tuple(only_by_person)})


def write(path: Path, record: Record) -> None:
    write_facts(path, asdict(record))


def md5_of(record: Record) -> str:
    """The md5 of the file that `write` makes."""
    return hashlib.md5(_text(asdict(record)).encode()).hexdigest()


def read_facts(path: Path, *keys: str) -> dict[str, Any]:
    """A JSON file that holds `keys`; raises DvcWandbError where it doesn't."""
    return parse_facts(path.read_text(), path.name, *keys)


def write_facts(path: Path, facts: dict[str, Any]) -> None:
    """Whole or not at all: a kill leaves no half of a file."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(_text(facts))
    temporary.replace(path)


def _text(facts: dict[str, Any]) -> str:
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


def parse_facts(text: str, name: str, *keys: str) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except ValueError as error:
        facts, reason = None, f"it is not JSON: {error}"
    else:
        missing = [key for key in keys if not isinstance(facts, dict) or key not in facts]
        reason = f"it has no {', '.join(missing)}" if missing else ""
    if facts is None or reason:
        raise DvcWandbError(f"{name} can't be used ({reason or 'it is empty'}). `git checkout` restores it.")
    return facts

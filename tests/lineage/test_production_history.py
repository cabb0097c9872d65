"""What was in production, as the commits of the record tell it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lineage.production import GATE, PERSON, Record, history
from tests.lineage.conftest import project_in

RECORD = {"registered_model": "model-registry/Best", "eval_md5": "e", "metrics": {}, "decided_by": "gate"}


def test_a_model_is_told_once_with_the_reason_that_came_later(tmp_path: Path):
    project = project_in(tmp_path / "project")
    project.git("init", "--quiet", "--initial-branch=main")
    for md5, reason in (("a", None), ("a", "good enough"), ("a", "in other words"), ("b", "better")):
        (project.path / "production.json").write_text(json.dumps(RECORD | {"model_md5": md5, "reason": reason}))
        project.git("add", "production.json")
        project.git("commit", "--quiet", "--allow-empty", "--message", str(reason))
    told = history.of_git(project.path, "production.json")
    assert [(one.record.model_md5, one.record.reason) for one in told] == [("a", "good enough"), ("b", "better")]
    assert told[0].commit == project.git("rev-parse", "HEAD~3").strip()


@pytest.mark.parametrize(
    ("decided", "back"),
    [
        ("a", None),
        ("a gb", "a"),
        ("a pb", "a"),  # a person's choice is undone too
        ("a gb pa", None),  # taken back: not forwards again
        ("a gb gc pb", "a"),
        ("a gb gc pb pa pc", "a"),
        ("a gb gc pa", "c"),  # two steps back at once are a choice like any other
        ("a gb gc -b pa", None),  # `-`: decided, and never committed
        ("a gb -a gc", "a"),
        ("a gb ga", "b"),
    ],
)
def test_a_rollback_goes_to_what_was_there_before_and_not_to_what_a_person_took_back(decided: str, back: str | None):
    told, now = [], Record("model-registry/Best")
    for word in decided.split():
        who = GATE if word[0] == "g" or word == "a" else PERSON
        now = Record("model-registry/Best", word[-1], decided_by=who, replaces=now.model_md5)
        if not word.startswith("-"):
            told.append(history.Chapter(now, None, history.moment("2026-11-01"), "t"))
    found = history.before(told, now)
    assert (found and found.model_md5) == back

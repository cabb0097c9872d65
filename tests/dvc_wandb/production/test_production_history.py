"""What was in production, as the commits of the record tell it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from dvc_wandb.client.connection import RegistryConnection
from dvc_wandb.errors import RegistryUnavailableError
from dvc_wandb.production import GATE, PERSON, Record, history, registry_state
from dvc_wandb.production.registry_state import AliasMove
from tests.dvc_wandb.conftest import project_in

RECORD = {"registered_model": "model-registry/Best", "eval_md5": "e", "metrics": {}, "decided_by": "gate"}


def test_a_model_under_another_registered_model_is_another_chapter_and_a_broken_record_none(tmp_path: Path):
    project = project_in(tmp_path / "project")
    project.git("init", "--quiet", "--initial-branch=main")
    texts = [json.dumps(RECORD | {"model_md5": md5}) for md5 in "ab"]
    texts.insert(
        1, f"<<<<<<< HEAD\n{texts[0]}\n=======\n{texts[1]}\n>>>>>>> side\n"
    )  # no rollback was possible ever after
    texts.append(texts[-1].replace("/Best", "/Other"))  # `dvc-wandb history` knew nothing of it
    for text in texts:
        (project.path / "production.json").write_text(text)
        project.git("add", "production.json")
        project.git("commit", "--quiet", "--message", "next")
    told = [one.record for one in history.from_git(project.path, "production.json")]
    names = [(one.registered_model.rpartition("/")[2], one.model_md5) for one in told]
    assert names == [("Best", "a"), ("Best", "b"), ("Other", "b")]


def test_a_model_is_told_once_with_the_reason_that_came_later(tmp_path: Path):
    project = project_in(tmp_path / "project")
    project.git("init", "--quiet", "--initial-branch=main")
    for md5, reason in (("a", None), ("a", "good enough"), ("a", "in other words"), ("b", "better")):
        (project.path / "production.json").write_text(json.dumps(RECORD | {"model_md5": md5, "reason": reason}))
        project.git("add", "production.json")
        project.git("commit", "--quiet", "--allow-empty", "--message", str(reason))
    told = history.from_git(project.path, "production.json")
    assert [(one.record.model_md5, one.record.reason) for one in told] == [("a", "good enough"), ("b", "better")]
    assert told[0].commit == project.git("rev-parse", "HEAD~3").strip()


def test_a_model_has_its_origin_in_whatever_lock_it_is(tmp_path: Path):
    """Only the dvc.lock at the root was read: what another one has could be mirrored and pushed from no commit."""
    project = project_in(tmp_path / "project")
    project.git("init", "--quiet", "--initial-branch=main")
    (project.path / "sub").mkdir()
    stage = "{cmd: c, deps: [{path: ../data, md5: d}, {path: code, md5: c}], outs: [{path: model, md5: 'abc1'}]}"
    locks = {
        "dvc.lock": "schema: '2.0'\nstages: {prepare: {cmd: c, outs: [{path: data, md5: d}]}}\n",
        "sub/dvc.lock": f"schema: '2.0'\nstages: {{train: {stage}}}\n",
        "added.dvc": "outs: [{md5: abc2, path: added}]\n",
    }
    for name, text in locks.items():
        (project.path / name).write_text(text)
        project.git("add", name)
        project.git("commit", "--quiet", "--message", name)
    heads = project.git("rev-list", "--reverse", "HEAD").split()
    assert history.origin_of(project.path, "abc1") == history.ModelOrigin(heads[1], {"data": "d"})
    assert history.origin_of(project.path, "abc2") == history.ModelOrigin(heads[2], {})
    assert history.origin_of(project.path, "abc3") is None


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
            told.append(history.ProductionPeriod(now, None, history.parse_moment("2026-11-01"), "t"))
    found = history.rollback_target(told, now)
    assert (found and found.model_md5) == back


def test_a_click_on_a_model_that_dvc_does_not_know_is_told_as_one():
    record, at = Record("model-registry/Best", "a" * 32), history.parse_moment("2026-11-01")
    moves = [AliasMove("a" * 32, "v0", None, at, "mika"), AliasMove("", "v1", "v0", at, "mika")]
    (said,) = history.differences([history.ProductionPeriod(record, "c" * 40, at, "t")], moves)
    assert "mika put production on a model that DVC does not know (v1)" in said  # "on a model  (v1)"


def test_a_registry_that_skips_a_decision_or_lags_behind_tells_the_same():
    at = history.parse_moment("2026-11-01")
    periods = [history.ProductionPeriod(Record("model-registry/Best", md5), "c" * 40, at, "t") for md5 in "abca"]
    for followed in ("abca", "abc", "ca", "aca", "ba", ""):
        assert history.differences(periods, [AliasMove(md5, "v0", None, at, "mika") for md5 in followed]) == []
    (said,) = history.differences(periods, [AliasMove(md5, "v0", None, at, "mika") for md5 in "abaca"])
    assert "put production on a" in said


@pytest.mark.parametrize(
    ("status", "says"), [(404, None), (502, "answers with HTTP 502"), (429, "answers with HTTP 429")]
)
def test_a_registry_that_fails_is_not_taken_for_one_without_a_log(
    monkeypatch: pytest.MonkeyPatch, status: int, says: str | None
):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        def log_message(self, format: str, *args: object) -> None: ...

    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        there = RegistryConnection(f"http://127.0.0.1:{server.server_port}", "local", "digits", embedded=False)
        if says is None:
            assert registry_state.alias_events(there, "local/model-registry/Best") is None
        else:  # who promoted was not held against who had been faster
            with pytest.raises(RegistryUnavailableError, match=says):
                registry_state.alias_events(there, "local/model-registry/Best")
        server.shutdown()

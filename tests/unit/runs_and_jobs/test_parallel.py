"""The order in which stages start, and that of what DVC appends."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from dvc_wandb.cli import repro
from dvc_wandb.parallel import scheduler
from dvc_wandb.parallel.plan import Plan, PlannedStage
from dvc_wandb.parallel.scheduler import Ended, Output, Progress
from dvc_wandb.parallel.serial_order import in_order, lock_entries
from dvc_wandb.parallel.stage_process import FAILED, RAN, UNCHANGED
from tests.working_tree import ROOT


class Engine:
    """Jobs that end one at each question, the last that started first; it remembers how many there were at once."""

    def __init__(self, failing: str = "") -> None:
        self.failing, self.started, self.most = failing, [], 0
        self._running: list[str] = []

    @property
    def at_work(self) -> frozenset[str]:
        return frozenset()

    def start(self, stage: PlannedStage) -> None:
        self.started.append(stage.name)
        self._running.append(stage.name)
        self.most = max(self.most, len(self._running))

    def events(self, seconds: float) -> Iterator[Output | Ended]:
        name = self._running.pop()
        yield Output(name, b"line\n")
        yield Ended(name, FAILED if name == self.failing else UNCHANGED if name == "c" else RAN)

    def interrupt(self) -> None:
        raise AssertionError("nobody pressed Ctrl-C")

    kill = interrupt


class Nobody:
    def started(self, stage: PlannedStage) -> None: ...
    def output(self, name: str, piece: bytes) -> None: ...
    def ended(self, end: Ended, seconds: float) -> None: ...
    def tick(self, progress: Progress) -> None: ...


def stage(name: str, needs: str = "", after: str = "") -> PlannedStage:
    return PlannedStage(name, name, needs=frozenset(needs), after=frozenset(needs + after))


STAGES = (stage("a"), stage("b"), stage("c", "a"), stage("d", "bc"), stage("e"), stage("f", after="d"), stage("g", "d"))


def run(engine: Engine, limit: int = len(STAGES), keep_going: bool = False) -> Progress:
    plan = Plan(ROOT, STAGES, {}, [])
    return scheduler.run(plan, engine, limit, keep_going, Nobody(), prepare=lambda stage: None)


def test_a_stage_starts_once_all_that_it_waits_for_has_ended():
    engine = Engine()
    progress = run(engine)
    assert engine.started[:3] == ["a", "b", "e"]
    for one in STAGES:
        assert all(engine.started.index(other) < engine.started.index(one.name) for other in one.needs | one.after)
    assert (sorted(progress.ran), progress.unchanged) == (["a", "b", "d", "e", "f", "g"], ["c"])


@pytest.mark.parametrize("limit", [1, 2])
def test_no_more_run_at_once_than_were_asked_for(limit: int):
    engine = Engine()
    run(engine, limit)
    assert engine.most == limit


def test_after_a_failure_nothing_starts_any_more():
    engine = Engine(failing="e")
    progress = run(engine, limit=3)
    assert engine.started == ["a", "b", "e"]
    assert (progress.failed, progress.not_run) == (["e"], ["c", "d", "f", "g"])


def test_with_keep_going_all_runs_that_does_not_need_what_failed():
    """A frozen stage, as `f`, waits for what makes its deps, and doesn't need it."""
    progress = run(Engine(failing="b"), keep_going=True)
    assert (progress.failed, sorted(progress.not_run)) == (["b"], ["d", "g"])
    assert sorted(progress.ran + progress.unchanged) == ["a", "c", "e", "f"]


@pytest.mark.parametrize(
    ("present", "before", "expected"),
    [
        ("cab", "", "abc"),
        ("zcab", "z", "zabc"),  # what was there keeps its place
        ("bca", "b", "bac"),
        ("cxab", "", "axbc"),  # and so does what no stage made
        ("abc", "", "abc"),
    ],
)
def test_what_is_new_is_put_into_the_order_of_the_plan(present: str, before: str, expected: str):
    assert "".join(in_order(list(present), before, {"a": 0, "b": 1, "c": 2})) == expected


@pytest.mark.parametrize("text", ["", "schema: '2.0'\n", "stages:\n  a:\n    cmd: 'x", "- 1", "stages:"])
def test_a_lock_that_was_cut_off_has_no_entries(text: str):
    assert lock_entries(text) == {}


@pytest.mark.parametrize("words", [("--retries", "-1"), ("--retries", "many"), ("--jobs", "0")])
def test_what_is_no_number_of_times_or_stages_is_refused(words: tuple[str, str], capsys: pytest.CaptureFixture[str]):
    """A stage was tried again for ever: -1 counts down without an end."""
    parser = argparse.ArgumentParser()
    repro.add_parser(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args(["repro", *words])
    assert f"'{words[1]}' is no number of" in capsys.readouterr().err

"""Promotion when something stands in its way: two at once, the registry away, a kill between git and the alias."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dvc_wandb import production
from tests.e2e.shop import BEST, BETTER, MAKE, TARGET, Shop, open_shop

pytestmark = pytest.mark.soak  # minutes of real runs; `make soak` has the time
NOBODY = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "k" * 40}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with two more models that the run cache knows, and a registry that knows the first."""
    with open_shop(tmp_path_factory.mktemp("faults") / "clone") as shop:
        yield shop


@pytest.fixture
def shop(opened: Shop, tmp_path: Path) -> Iterator[Shop]:
    """The base in production, in a registry that knows no more."""
    opened.start_again()
    shop = Shop(opened.path, {**opened.env, "REGISTRY_DIR": str(tmp_path / "registry")}, base=opened.base)
    shop.dvc_wandb("mirror")
    assert shop.held() == shop.record["model_md5"]
    yield shop
    shop.run("wandb-registry", "stop", ok=False)


def test_a_registry_that_is_away_costs_nothing_but_the_alias(shop: Shop):
    first = shop.model
    shop.make_model(BETTER)
    done = shop.run("dvc", "repro", env=NOBODY)
    second = shop.model
    assert f"model {second[:8]} replaces {first[:8]}" in done.text
    assert shop.record["model_md5"] == second
    assert shop.held() == first
    asked = shop.make("promote", ok=False, env=NOBODY)
    assert asked.code != 0
    assert "http://127.0.0.1:9 doesn't answer" in asked.text
    assert f"in production: {TARGET} {second[:8]} in production.json" in asked.text
    assert "Traceback" not in asked.text
    for words in (("VERSION=v0", "REASON=x"), ("FROM=registry",)):
        refused = shop.make("promote", *words, ok=False, env=NOBODY)
        assert "only the registry knows which model that is. Nothing was changed" in refused.text
    later = shop.dvc_wandb("mirror")
    assert f"{TARGET} {second[:8]} is production now: a promotion that had stopped" in later.text
    assert shop.held() == second

    # A person can roll back without it
    shop.commit("A better model")
    back = shop.make("rollback", ok=False, env=NOBODY)
    assert "Traceback" not in back.text
    assert "`dvc-wandb promote` tells it" in back.text  # "run this again" would have gone back once more
    assert shop.record["model_md5"] == first
    assert shop.held() == second
    assert shop.settled()
    shop.make("promote")
    assert shop.held() == first
    assert shop.settled()


def killed_when(shop: Shop, ready, *command: str) -> None:
    """Start a command in a session of its own, and kill all of it as soon as `ready`."""
    process = subprocess.Popen(
        command,
        cwd=shop.path,
        env=shop.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 90
    while not ready() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)  # the session of that process alone
    for card in shop.path.glob(".dvc/tmp/recorder-*.json"):
        pid = json.loads(card.read_text())["pid"]
        subprocess.run(["kill", "-KILL", str(pid)], check=False)
    process.wait()


@pytest.mark.parametrize("command", ["repro", "mirror", "promote"])
def test_a_kill_between_the_record_and_the_alias_is_mended_by_the_next_command(shop: Shop, command: str):
    first = shop.model
    shop.make_model(BETTER)
    killed_when(shop, lambda: shop.record["model_md5"] != first, "dvc", "repro")
    second = shop.record["model_md5"]
    assert second != first
    assert shop.held() == first
    if command == "mirror":  # knows what dvc.lock has: the stage has to end first
        shop.run("dvc", "repro", env=NOBODY)
        done = shop.dvc_wandb("mirror")
        assert "a promotion that had stopped before the registry knew is complete" in done.text
    elif command == "promote":
        done = shop.make("promote")
        assert f"{TARGET} {second[:8]} in production.json" in done.text
        assert "is production now" in done.text or "production moved from" in done.text
    else:
        done = shop.repro()
        assert f"{TARGET} {second[:8]} is production now" in done.text
    assert shop.held() == shop.record["model_md5"] == second
    assert shop.decision["champion"] == first
    assert shop.settled()


def test_a_kill_after_the_alias_moved_is_mended_too(shop: Shop):
    first = shop.model
    shop.make_model(BETTER)
    killed_when(shop, lambda: shop.held() != first, "dvc", "repro")
    done = shop.repro()
    second = shop.model
    assert f"{TARGET} {second[:8]} is production" in done.text
    assert shop.held() == shop.record["model_md5"] == second
    assert shop.settled()
    assert "mirroring" not in shop.dvc_wandb("mirror").text


def test_a_kill_after_a_persons_decision_was_written_is_mended(shop: Shop):
    first = shop.model
    shop.repro(BETTER)
    second = shop.model
    shop.commit("A better model")
    record = production.read(shop.path / "production.json")
    assert record.model_md5 == second
    killed_when(
        shop,
        lambda: json.loads(shop.read("production.json"))["model_md5"] == first,
        "dvc-wandb", "rollback", "--reason", "slow",
    )  # fmt: skip
    assert shop.record["model_md5"] == first
    done = shop.make("promote")
    assert "in production: " in done.text
    assert shop.held() == shop.record["model_md5"] == first
    assert shop.record["reason"] == "slow"
    assert shop.settled()


def another_clone(shop: Shop, tmp_path: Path) -> Shop:
    """Another clone of the same commit, with the same registry."""
    path = tmp_path / "colleague"
    shutil.copytree(shop.path, path, ignore=shutil.ignore_patterns("tmp", ".registry"))
    return Shop(path, shop.env, base=shop.base)


def in_two_clones(shop: Shop, tmp_path: Path) -> tuple[str, str, Shop]:
    """The model that was in production, the better one that is now, and another clone that has both."""
    first = shop.model
    shop.repro(BETTER)
    shop.commit("A better model")
    return first, shop.model, another_clone(shop, tmp_path)


@pytest.fixture
def colleague(shop: Shop, tmp_path: Path) -> Shop:
    return another_clone(shop, tmp_path)


@pytest.mark.parametrize("theirs", ["worse than ours", "better than ours"])
def test_of_two_promotions_at_once_the_second_is_held_against_the_first(shop: Shop, colleague: Shop, theirs: str):
    first = shop.model
    ours, other = (BEST, BETTER) if theirs.startswith("worse") else (BETTER, BEST)
    shop.repro(ours)
    assert shop.held() == shop.model
    done = colleague.repro(other)  # judged against the first model, which is not in production any more
    assert f"replaces {first[:8]}" in done.text
    assert f"but in the registry {shop.model[:8]}" in done.text
    assert shop.held() == shop.model
    # A person's decision moved the alias over a promotion that neither that person nor their git knew of
    person = colleague.make("promote", f"VERSION={shop.version(first)}", "REASON=mine", ok=False)
    assert f"meanwhile {shop.model[:8]} ({shop.version(shop.model)}) became production" in person.text
    assert shop.held() == shop.model
    tried = colleague.make("promote", "DRY=1")
    asked = colleague.make("promote")
    assert f"Another promotion was faster: {shop.model[:8]}" in tried.text  # said of production that it would move
    assert [line for line in tried.text.splitlines() if line in asked.text.splitlines()][1].startswith("Another")
    assert f"Another promotion was faster: {shop.model[:8]}" in asked.text
    if theirs.startswith("worse"):
        assert f"{shop.model[:8]} stays production" in asked.text
        assert colleague.read("production.json") == shop.read("production.json")  # git merges them in silence
        winner = shop.model
    else:
        assert f"model {colleague.model[:8]} replaces {shop.model[:8]}" in asked.text
        winner = colleague.model
    assert colleague.held() == colleague.record["model_md5"] == winner
    assert asked.text.splitlines()[-1].startswith(f"in production: {TARGET} {winner[:8]}")
    assert colleague.settled()


@pytest.mark.parametrize("clones", [1, 2])
def test_two_people_at_once_end_with_one_winner_and_one_who_hears_of_it(shop: Shop, tmp_path: Path, clones: int):
    first = shop.model
    shop.repro(BETTER)
    second = shop.model
    shop.commit("A better model")
    shop.repro(BEST)
    best = shop.model
    shop.commit("The best model")
    both = (shop, another_clone(shop, tmp_path) if clones == 2 else shop)
    commands = [
        subprocess.Popen(
            [*MAKE, "promote", f"VERSION={shop.version(md5)}", "REASON=mine"],
            cwd=place.path,
            env=shop.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for place, md5 in zip(both, (first, second), strict=True)
    ]
    said = [command.communicate()[0] for command in commands]
    assert sorted(command.returncode == 0 for command in commands) == [False, True], said
    won = [command.returncode for command in commands].index(0)
    winner = (first, second)[won]
    loser = next(text for text, command in zip(said, commands, strict=True) if command.returncode)
    assert f"meanwhile {winner[:8]}" in loser
    assert "(mine)" in loser
    assert loser.count("Running stage 'promote'") < 2  # taking it back printed all that again
    assert both[won].held() == both[won].record["model_md5"] == winner
    assert both[won].record["replaces"] == best
    assert all(place.settled() for place in both)
    if clones == 2:  # the second had won, and nobody was told
        assert both[1 - won].record["model_md5"] == best
        assert both[1 - won].git("status", "--porcelain") == ""
        both[1 - won].make("promote", "FROM=registry")  # it said "moved in the registry by root"
        assert both[1 - won].record["reason"] == "taken over from the registry: mine"


def test_of_two_that_move_the_alias_in_the_same_moment_the_first_keeps_it(shop: Shop, colleague: Shop):
    first = shop.model
    colleague.repro(BEST, env=NOBODY)
    colleague.git("checkout", "--quiet", "-b", "side")
    colleague.dvc_wandb("mirror")
    colleague.git("checkout", "--quiet", "main")
    late = """if True:
        from dvc_wandb.project.pipeline import Pipeline
        from dvc_wandb.project.settings import project_root
        from dvc_wandb.production import alias, promoting_stage, registry_state
        stage = promoting_stage.find_promoting_stage(Pipeline(project_root()))
        connection, pipeline = stage.connect(), Pipeline(stage.root)
        execution = stage.execution(pipeline)
        wanted = alias.recorded_model(pipeline, execution)
        now = registry_state.find_version(wanted.registered_model)
        print("it is", now.md5, flush=True)
        input()
        print(alias.move_alias(connection, execution, wanted, now).md5)"""
    process = subprocess.Popen(
        ["python", "-c", late], cwd=colleague.path, env=shop.env, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == f"it is {first}\n"
    shop.repro(BETTER)
    said, _ = process.communicate("\n")
    assert said.strip() == shop.held() == shop.model != first
    assert "moved" not in shop.make("promote").text
    assert colleague.make("promote", "DRY=1").text.count("Another promotion was faster") == 1


def test_a_rollback_or_a_click_is_not_undone_by_a_clone_that_does_not_know_of_it(shop: Shop, tmp_path: Path):
    first, second, colleague = in_two_clones(shop, tmp_path)

    # The alias came back with the next run of a stage whose record had been in force before
    shop.click(first)
    again = ("dvc", "repro", "--force", "--single-item", "promote")
    assert f"in the registry {first[:8]}" in colleague.run(*again).text
    assert shop.held() == first
    shop.make("promote")
    assert shop.held() == second

    shop.make("rollback", "REASON=customers complained")
    assert f"in the registry {first[:8]}" in colleague.run(*again).text
    assert shop.held() == first
    asked = colleague.make("promote")
    assert f"Another promotion was faster: {first[:8]}" in asked.text
    assert "only a person promotes it" in asked.text
    assert colleague.held() == first
    assert colleague.read("production.json") == shop.read("production.json")


def test_a_git_revert_is_not_undone_by_a_clone_that_has_not_pulled_it(shop: Shop, tmp_path: Path):
    first, second, colleague = in_two_clones(shop, tmp_path)

    def revert() -> None:
        shop.git("revert", "--no-edit", "HEAD")
        shop.run("dvc", "checkout", "--force")
        shop.make("promote")

    revert()
    assert shop.held() == first
    for words in ("DRY=1",), (), (f"VERSION={shop.version(second)}", "REASON=mine"):
        refused = colleague.make("promote", *words, ok=False)  # put the second model back, without a word
        assert f"meanwhile {first[:8]}" in refused.text
        assert refused.code != 0
    assert shop.held() == first
    assert colleague.git("status", "--porcelain") == ""
    revert()  # who knows of it may
    assert shop.held() == second


def test_a_model_that_was_clicked_away_and_back_is_a_click_not_a_promotion(shop: Shop, colleague: Shop):
    first = shop.model
    colleague.repro(BETTER)
    second = colleague.model
    shop.click(first)
    shop.click(second)
    asked = shop.make("promote")
    assert "Another promotion was faster" not in asked.text  # its record counted still
    assert f"production moved from {second[:8]}" in asked.text
    assert shop.held() == shop.record["model_md5"] == first


def test_git_log_and_lineage_history_tell_the_same(shop: Shop):
    first = shop.model
    shop.repro(BETTER)
    second = shop.model
    better = shop.commit("A better model")
    shop.make("rollback", "REASON=customers complained")
    back = shop.commit("Back to the first")
    log = shop.git("log", "-p", "--reverse", "--format=%s", "--", "production.json")
    assert log.index("A better model") < log.index(f'+  "model_md5": "{second}"')
    assert log.index("Back to the first") < log.index('+  "reason": "customers complained"')
    told = shop.dvc_wandb("history", "MNIST-dev")
    assert "git and the registry's activity log tell the same story." in told.text
    facts = shop.json("dvc-wandb", "history", "MNIST-dev", "--json")
    assert facts["differences"] == []
    last = facts["history"][-3:]
    assert [one["model_md5"] for one in last] == [first, second, first]
    assert [one["decided_by"] for one in last] == ["gate", "gate", "person"]
    assert [one["commit"] for one in last] == [shop.base, better, back]
    assert last[2]["reason"] == "customers complained"
    assert last[2]["made_at"] == shop.base
    assert list(last[2]["data"]) == ["data/mnist"]
    assert all(one["version"] == shop.version(one["model_md5"]) for one in last)
    assert last[2]["until"] is None
    assert {line[2:].strip() for line in log.splitlines() if line.startswith('+  "model_md5"')} >= {
        f'"model_md5": "{md5}",' for md5 in (first, second)
    }
    got = shop.dvc_wandb("get", "MNIST-dev", "--at", "2001-01-01", "-o", "x.h5", ok=False)
    assert "no model" in got.text

    # A clone that has the last commit alone, as CI makes it, said that there was no model before
    shallow = Shop(shop.path.parent / f"{shop.path.name}-shallow", shop.env)
    shop.git("clone", "--quiet", "--depth=1", f"file://{shop.path}", str(shallow.path))
    for words in (("rollback",), ("history", "MNIST-dev"), ("get", "MNIST-dev", "--at", "2001-01-01", "-o", "x.h5")):
        assert "`git fetch --unshallow` brings the rest" in shallow.dvc_wandb(*words, ok=False).text

    # A click that was taken back is in the registry's log and not in git
    shop.click(second)
    shop.make("promote")
    assert shop.held() == first
    differing = shop.dvc_wandb("history", "MNIST-dev", ok=False)
    assert differing.code == 1
    assert f"put production on {second[:8]}" in differing.text
    assert "of which git knows nothing" in differing.text
    verified = shop.dvc_wandb("verify")
    assert f"put production on {second[:8]}" in verified.text

"""Promotion when something stands in its way: the registry away, a kill, a clone that lacks the past, a click."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.shop import BEST, BETTER, TARGET, Shop, open_shop

pytestmark = pytest.mark.slow

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
    shop.commit("A better model")
    asked = shop.make("promote", ok=False, env=NOBODY)
    assert asked.code != 0
    assert "http://127.0.0.1:9 doesn't answer" in asked.text
    assert "`dvc-wandb promote` tells it when it is back" in asked.text
    assert "Traceback" not in asked.text
    assert shop.held() == first
    assert f"{TARGET} {second[:8]} is production now" in shop.dvc_wandb("mirror").text
    assert shop.held() == second
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


def test_a_kill_once_the_record_is_written_is_mended_by_the_next_run(shop: Shop):
    first = shop.model
    shop.make_model(BETTER)
    killed_when(shop, lambda: shop.record["model_md5"] != first, "dvc", "repro")
    second = shop.record["model_md5"]
    assert second != first
    shop.repro()
    assert shop.record["model_md5"] == shop.model == second
    assert shop.decision["champion"] == first
    assert shop.settled()
    shop.commit("A better model")
    shop.dvc_wandb("mirror")
    assert shop.held() == second


def test_a_kill_once_the_alias_moved_is_mended_by_the_next_command(shop: Shop):
    first = shop.model
    shop.repro(BETTER)
    shop.commit("A better model")
    killed_when(shop, lambda: shop.held() != first, "dvc-wandb", "promote")
    shop.make("promote")
    assert shop.held() == shop.model
    best = shop.decide(BEST, "The best model")  # by itself: no click is suspected
    assert shop.held() == best


def test_a_kill_after_a_persons_decision_was_written_is_mended(shop: Shop):
    first, second = shop.model, shop.decide(BETTER, "A better model")
    assert shop.record["model_md5"] == second
    killed_when(shop, lambda: shop.record["model_md5"] == first, "dvc-wandb", "rollback", "--reason", "slow")
    shop.make("promote")
    assert shop.record["model_md5"] == first
    assert shop.record["reason"] == "slow"
    assert shop.settled()
    assert shop.held() == second


def test_git_log_and_lineage_history_tell_the_same(shop: Shop):
    first, second = shop.model, shop.decide(BETTER, "A better model")
    better = shop.git("rev-parse", "HEAD").strip()
    shop.make("rollback", "REASON=customers complained")
    back = shop.commit("Back to the first")
    shop.dvc_wandb("mirror")
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

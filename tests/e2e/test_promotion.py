"""Promotion through real runs: which challengers pass, what people decide, and both sides ending the same."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.shop import BEST, BETTER, CLEARLY_WORSE, EQUAL, LUCKY, SLIGHTLY_WORSE, TARGET, TOO_BAD, Shop, open_shop

pytestmark = pytest.mark.slow

COMMIT_IT = "commit it, then `dvc-wandb promote` moves the alias 'production'"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("shop") / "clone") as shop:
        yield shop


@pytest.fixture
def shop(opened: Shop) -> Shop:
    opened.start_again()
    return opened


@pytest.fixture(autouse=True)
def nothing_lies_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR"):
        monkeypatch.setenv(name, str(tmp_path))


def test_the_first_model_that_meets_the_thresholds_becomes_production(shop: Shop):
    said = shop.said["first"].text
    assert "no champion yet" in said
    assert f"promote: production.json names {TARGET} {shop.model[:8]}; {COMMIT_IT}" in said
    assert shop.held() == shop.record["model_md5"] == shop.model
    assert shop.record["decided_by"] == "gate"
    assert shop.record["replaces"] is None
    assert shop.settled()


def test_a_better_challenger_replaces_the_champion_on_both_sides(shop: Shop):
    first = shop.model
    done = shop.repro(BETTER)
    second = shop.model
    decision = shop.decision
    assert second != first
    assert (decision["only_candidate_right"], decision["only_champion_right"]) == (25, 0)
    assert decision["p_value"] == pytest.approx(2 / 2**25)
    assert decision["accuracy"] == 690 / 700
    assert decision["champion_accuracy"] == 665 / 700
    assert decision["rule"] == "better"
    assert f"model {second[:8]} replaces {first[:8]}" in done.text
    assert "stages.determinism" not in shop.run("python", "-X", "importtime", "-m", "stages.promote").text
    assert shop.record["model_md5"] == second
    assert shop.record["replaces"] == first
    assert shop.held() == first
    shop.commit("A better model")
    told = shop.make("promote").text.splitlines()[-1]
    assert told.startswith(f"{TARGET} {second[:8]} is production now, in production.json and as ")
    assert f"it was {first[:8]} ({shop.version(first)}), put there by root at 20" in told
    assert shop.held() == second
    assert shop.settled()
    again = {path: shop.read(path) for path in ("production.json", "reports/promotion.json", "dvc.lock")}
    shop.run("dvc", "repro", "--force", "--single-item", "promote")
    assert {path: shop.read(path) for path in again} == again


def test_marks_of_a_conflict_in_the_predictions_stop_nothing(shop: Shop):
    """The file stays from run to run, and DVC does not remove it. And `make promote` says once what is left to do."""
    kept = shop.read("reports/predictions.json")
    marked = f"<<<<<<< HEAD\n{kept}=======\n{kept}>>>>>>> theirs\n"
    (shop.path / "reports/predictions.json").write_text(marked)
    first = shop.model
    shop.make_model(BETTER)
    told = shop.make("promote").text
    assert f"model {shop.model[:8]} replaces {first[:8]}" in told
    assert told.count(COMMIT_IT) == 1
    assert {first, shop.model} <= json.loads(shop.read("reports/predictions.json"))["models"].keys()


@pytest.mark.parametrize(
    ("require", "wrong", "passes", "because"),
    [
        pytest.param(
            "better", EQUAL, False, "no difference that is more than chance (p = 1 > 0.05)", marks=pytest.mark.soak
        ),
        ("better", LUCKY, False, "no difference that is more than chance (p = 0.25 > 0.05)"),
        pytest.param("better", CLEARLY_WORSE, False, "worse (p = 5.96e-08 ≤ 0.05)", marks=pytest.mark.soak),
        pytest.param("not_worse", EQUAL, True, "not worse (p = 1 > 0.05)", marks=pytest.mark.soak),
        pytest.param("not_worse", SLIGHTLY_WORSE, True, "not worse (p = 0.5 > 0.05)", marks=pytest.mark.soak),
        pytest.param("not_worse", CLEARLY_WORSE, False, "worse (p = 5.96e-08 ≤ 0.05)", marks=pytest.mark.soak),
        pytest.param("not_worse", TOO_BAD, False, "accuracy 0.857143 < 0.9", marks=pytest.mark.soak),
    ],
    ids=["equal", "lucky", "worse", "as good", "slightly worse", "clearly worse", "threshold"],
)
def test_what_passes(shop: Shop, require: str, wrong: range | list[int], passes: bool, because: str):
    first = shop.model
    shop.set(promote__require=require, promote__tolerated_drop=0.005)
    done = shop.repro(wrong)
    assert because in done.text
    assert shop.decision["promoted"] is passes
    assert shop.record["model_md5"] == (shop.model if passes else first)
    if not passes:
        assert f"model {shop.model[:8]} does not pass; {first[:8]} stays production" in done.text
        assert shop.git("diff", "--stat", "--", "production.json") == ""
    assert shop.settled()


def last_run(shop: Shop) -> Any:
    found = shop.api().runs("model-registry-dev", filters={"display_name": "promote"}, order="-created_at", per_page=1)
    return found[0]


def logged_table(run: Any, key: str) -> list[dict[str, Any]]:
    """The rows of a table that a run logged, as the registry serves them."""
    table = next(one for one in run.logged_artifacts() if one.name.startswith(f"run-{run.id}-{key}:")).get(key)
    return [dict(zip(table.columns, row, strict=True)) for row in table.data]


def test_the_decision_and_the_digits_on_which_the_two_disagree_are_shown(shop: Shop):
    shop.repro(LUCKY)
    run = last_run(shop)
    assert run.summary["p_value"] == 0.25
    assert run.summary["decision"] == shop.decision["decision"]
    assert run.summary["disagreements"]["height"] == 116  # one row of pictures
    decision, digits = logged_table(run, "decision_table"), logged_table(run, "disagreements_table")
    assert decision[0].items() >= {**shop.decision, "disagreements": 3, "disagreements_shown": 3}.items()
    assert [(row["label"], row["champion"], row["candidate"], row["right"]) for row in digits] == [
        ("0", "1", "0", "candidate"),
        ("1", "2", "1", "candidate"),
        ("2", "3", "2", "candidate"),
    ]
    assert {row["image"].image.size for row in digits} == {(28, 28)}
    assert "reports/disagreements.png" in shop.run("dvc", "plots", "show", "--json").text

    run.delete()
    shop.dvc_wandb("mirror")
    again = last_run(shop)
    assert again.id != run.id
    for key in ("decision_table", "disagreements_table"):
        assert again.summary[key]["sha256"] == run.summary[key]["sha256"]


@pytest.mark.soak
def test_of_very_many_disagreements_the_first_are_shown(shop: Shop):
    shop.repro(range(35, 535))
    run = last_run(shop)
    (decision,) = logged_table(run, "decision_table")
    assert (decision["disagreements"], decision["disagreements_shown"]) == (535, 100)
    assert len(logged_table(run, "disagreements_table")) == 100
    assert run.summary["disagreements"]["height"] == 21 * 116  # it had a picture of each, in git


@pytest.mark.soak
def test_a_champion_that_was_measured_on_other_digits_is_measured_again(shop: Shop):
    first = shop.model
    shop.set(data__eval_size=600)
    done = shop.repro(BETTER)
    assert shop.decision["champion_accuracy"] == 565 / 600
    assert shop.decision["only_candidate_right"] == 25
    assert f"replaces {first[:8]}" in done.text
    assert shop.settled()


@pytest.mark.soak
def test_a_champion_whose_bytes_are_gone_waits_for_a_person_unless_the_registry_has_them(shop: Shop):
    first = shop.model
    cached = shop.path / ".dvc/cache/files/md5" / first[:2] / first[2:]
    cached.rename(shop.path / ".dvc/held")
    try:
        shop.set(data__eval_size=600)
        done = shop.repro(BETTER, env={"WANDB_MODE": "disabled"})
        assert "this waits for a person" in done.text
        assert shop.decision["rule"] == "waits_for_person"
        assert shop.record["model_md5"] == first
        # With the registry back, whoever asks again has it decided by the bytes that it holds
        tried = shop.make("promote", "DRY=1")  # it had said that it would wait for a person
        assert f"replaces {first[:8]}" in tried.text
        asked = shop.make("promote")
        assert f"replaces {first[:8]}" in asked.text
        assert shop.decision["champion_accuracy"] == 565 / 600
        assert shop.record["model_md5"] == shop.model
    finally:
        cached.parent.mkdir(exist_ok=True)
        (shop.path / ".dvc/held").rename(cached)


@pytest.mark.soak
def test_a_champion_that_cannot_be_read_waits_for_a_person_whose_command_is_printed(shop: Shop):
    garbage = b"a network of another framework"
    md5 = hashlib.md5(garbage).hexdigest()
    cached = shop.path / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    cached.parent.mkdir(exist_ok=True)
    cached.write_bytes(garbage)
    (shop.path / "production.json").write_text(json.dumps(shop.record | {"model_md5": md5, "eval_md5": None}))
    shop.set(data__eval_size=600)
    done = shop.repro(BETTER)
    assert f"the champion {md5[:8]} can't be read as a Keras model" in done.text
    assert "this waits for a person" in done.text
    assert shop.record["model_md5"] == md5
    ((version, _),) = set(re.findall(r"`make promote (VERSION=\S+) (REASON=\"…\")`", done.text))
    shop.make("promote", version, "REASON=the other framework is given up")
    assert shop.record["model_md5"] == shop.model
    assert shop.settled()


@pytest.mark.soak
def test_a_person_decides_and_the_gate_respects_it(shop: Shop):
    first = shop.model
    shop.repro(TOO_BAD)
    bad = shop.model
    assert shop.record["model_md5"] == first
    shop.commit("A bad model")

    asked = shop.make("promote", f"VERSION={shop.version(bad)}", ok=False)
    assert asked.code != 0
    assert "say why" in asked.text
    tried = shop.make("promote", f"VERSION={shop.version(bad)}", "DRY=1")
    assert f"production.json would name {bad[:8]} instead of {first[:8]}" in tried.text
    assert shop.git("status", "--porcelain") == ""

    done = shop.make("promote", f"VERSION={shop.version(bad)}", 'REASON=a "demo" for $5, no more')
    assert f'a person decided (a "demo" for $5, no more): model {bad[:8]} replaces {first[:8]}.' in done.text
    assert done.text.splitlines()[-1] == f"production.json names {TARGET} {bad[:8]}; {COMMIT_IT}"
    assert shop.held() == first
    assert shop.record["model_md5"] == bad
    assert shop.record["decided_by"] == "person"
    assert shop.record["reason"] == 'a "demo" for $5, no more'  # make had dropped $5
    assert shop.record["metrics"]["accuracy"] == 600 / 700
    assert shop.settled()

    # "no model before this one": what a person had chosen another over couldn't be gone back to
    back = shop.make("rollback", "REASON=it was one")
    said = f"model {bad[:8]} was rolled back by a person to {first[:8]} (it was one), so only a person promotes it"
    assert f"{said}: {first[:8]} is production." in back.text
    assert shop.record["model_md5"] == first


@pytest.mark.soak
def test_a_rollback_stands_until_a_better_model_or_a_person(shop: Shop):
    first, second = shop.model, shop.decide(BETTER, "A better model")
    shop.make("rollback", "REASON=customers complained")
    rolled_back = f"was rolled back by a person to {first[:8]} (customers complained)"
    assert shop.record == shop.record | {
        "model_md5": first,
        "decided_by": "person",
        "reason": "customers complained",
        "replaces": second,
        "only_by_person": [{"model_md5": second, "how": rolled_back}],
    }
    assert shop.held() == second
    assert shop.settled()
    shop.commit("Back")
    shop.make("promote")
    assert shop.held() == first

    # The same candidate, judged again, stays out
    again = shop.run("dvc", "repro", "--force", "--single-item", "promote").text
    assert f"model {second[:8]} {rolled_back}, so only a person promotes it: {first[:8]} is production." in again
    assert shop.record["model_md5"] == first
    assert "no model before this one" in shop.make("rollback", ok=False).text  # there is nothing further back

    # A retrained one that is better comes in by the gate, and a person may take the old one back
    best = shop.decide(BEST, "The best model")
    assert shop.record["model_md5"] == shop.held() == best
    done = shop.make("promote", f"VERSION={shop.version(second)}", "REASON=after all")
    assert f"model {best[:8]} was replaced by a person with {second[:8]} (after all), so only" in done.text
    assert shop.record["model_md5"] == second
    assert [one["model_md5"] for one in shop.record["only_by_person"]] == [best]
    assert shop.settled()


@pytest.mark.soak
def test_an_experiment_leaves_the_alias_alone_until_it_is_committed(shop: Shop):
    first = shop.model
    shop.make_model(range(9))  # a model that no other test puts in production
    tried = shop.run("dvc", "exp", "run", "--name", "good", "--temp")
    assert "stays where it is: this is the experiment good" in tried.text
    shop.git("checkout", "--quiet", ".")
    shop.run("dvc", "exp", "apply", "good")
    second = shop.record["model_md5"]
    assert second != first
    shop.dvc_wandb("mirror")
    assert shop.held() == first
    shop.commit("The experiment")
    shop.make("promote")
    assert shop.held() == second
    assert shop.settled()


@pytest.mark.soak
def test_get_brings_the_bytes_from_the_cache_or_the_registry(shop: Shop):
    first, second = shop.model, shop.decide(BETTER, "A better model")
    target = shop.path.parent / "got.h5"

    def got(*words: str) -> str:
        target.unlink(missing_ok=True)
        done = shop.dvc_wandb("get", *words, "-o", str(target))
        assert "checked" in done.text
        return shop.run("md5sum", str(target)).text.split()[0]

    assert got("MNIST-dev:production") == second
    assert got(f"MNIST-dev:{shop.version(first)}") == first
    assert got("MNIST-dev", "--at", "2099-01-01") == second
    cached = shop.path / ".dvc/cache/files/md5" / first[:2] / first[2:]
    whole = cached.rename(shop.path / ".dvc/held")  # the registry may have the same file under another name
    cached.write_bytes(b"damaged")
    try:
        assert got(f"{TARGET}:{shop.version(first)}") == first
    finally:
        whole.rename(cached)
    for words, says in (
        (("MNIST-dev", "--at", "2001-01-01"), "no model of model-registry/MNIST-dev in production at 2001-01-01"),
        (("MNIST-dev", "--at", "yesterday"), "'yesterday' is no date"),
        (("MNIST-dev:v99",), "no version or alias 'v99'"),
        (("other",), "production.json is about model-registry/MNIST-dev"),
    ):
        done = shop.dvc_wandb("get", *words, "-o", str(target), ok=False)
        assert done.code == 1
        assert says in done.text
        assert "Traceback" not in done.text


@pytest.mark.soak
def test_what_is_wrong_ends_in_a_sentence_and_changes_nothing(shop: Shop):
    before = shop.read("production.json")
    for words, says in (
        (("VERSION=v99", "REASON=x"), "has no version or alias 'v99' in the registry. It has v0"),
        (("REASON=x",), "a reason belongs to a person's decision"),
    ):
        done = shop.make("promote", *words, ok=False)
        assert says in done.text
        assert "Traceback" not in done.text
    # A VERSION that CI has in its environment was taken for a person's decision
    asked = shop.make("promote", env={"VERSION": "v99", "REASON": "x", "FROM": "here"})
    assert " is production, in production.json and as v0 at " in asked.text.splitlines()[-1]
    assert shop.read("production.json") == before
    assert json.loads(before)["model_md5"] == shop.held()
    assert shop.git("status", "--porcelain") == ""

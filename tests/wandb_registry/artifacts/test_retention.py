"""Old versions go, but never one that an alias, a link, a lock or production.json names; bytes by project and user."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wandb_registry import by_hand
from tests.wandb_registry.conftest import Registry, command, records
from wandb_registry import daemon
from wandb_registry.web import formats

KILO = 1024
LINK = """
mutation Link($artifact: ID!) { linkArtifact(input: {artifactID: $artifact, entityName: "local",
  projectName: "model-registry", artifactPortfolioName: "Released"}) { versionIndex } }
"""
LOCKED, UNLOCKED = "a" * 32, "b" * 32


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Eight versions of a model: v0 is linked, v1 named, v2 in a lock, v3 was in one, v4 shares its file with v7."""
    store = tmp_path_factory.mktemp("retained") / "store"
    server = daemon.ensure(store)
    registry = Registry(server.url, server.entity, server.api_key, store)
    names = {1: ("chosen",), 2: (f"dvc-{LOCKED}",), 3: (f"dvc-{UNLOCKED}",), 7: ("latest",)}
    for number in range(8):
        files = {"own.bin": bytes([number]) * KILO}
        if number in (4, 7):
            files["shared.bin"] = b"s" * 10 * KILO
        made = by_hand.log(registry, "retained", "model", files, aliases=names.get(number, ()))
        if number == 0:
            by_hand.data(registry.ask(LINK, artifact=made))
    yield registry
    daemon.stop(store)


def keep(registry: Registry, *options: str) -> dict:
    done = registry.command("keep", "local/retained", "--json", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_file_that_names_nothing_lets_nothing_go(own: Registry, tmp_path: Path):
    """It is the wrong one: all that was mirrored went, as if no lock held it."""
    (tmp_path / "locks.txt").write_text("")
    for needed, why in ((tmp_path / "locks.txt", "holds no md5"), (tmp_path / "gone", "No such file")):
        done = own.command("keep", "local/retained", "--last", "2", "--needed-by", str(needed), "--delete")
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert why in done.stderr
    assert keep(own, "--last", "2")["going"] == ["model:v5", "model:v4"]


def test_what_is_named_anywhere_stays(own: Registry, tmp_path: Path):
    told = keep(own, "--last", "2")
    assert told["going"] == ["model:v5", "model:v4"]
    assert told["staying"] == {
        "model:v7": "among the last 2",
        "model:v6": "among the last 2",
        "model:v3": "mirrored from a dvc.lock",
        "model:v2": "mirrored from a dvc.lock",
        "model:v1": "named chosen",
        "model:v0": "linked",
    }
    assert told["bytes"] == 2 * KILO  # what v7 has too isn't free
    lock = tmp_path / "dvc.lock"
    lock.write_text(f"outs:\n- path: model.h5\n  md5: {LOCKED}\n")
    told = keep(own, "--last", "2", "--needed-by", str(lock))
    assert told["going"] == ["model:v5", "model:v4", "model:v3"]
    assert told["staying"]["model:v2"] == f"held by a lock as {LOCKED}"
    assert keep(own, "--last", "2", "--older-than", "1d")["going"] == []


def test_nothing_goes_without_being_told_to(own: Registry):
    said = own.command("keep", "local/retained", "--last", "2").stdout
    assert "2 versions would be deleted with --delete; 0.0 MiB are of no other" in said
    assert "6 versions stay: 2 among the last 2, 1 linked, 2 mirrored from a dvc.lock, 1 named." in said
    assert keep(own, "--last", "2")["going"] == ["model:v5", "model:v4"]


def test_bytes_are_told_by_project_and_by_user(own: Registry):
    usage = json.loads(own.command("usage", "--json").stdout)
    bytes_of = {row["name"]: row["bytes"] for row in usage["projects"]}
    assert bytes_of["local/retained"] == 18 * KILO
    assert {row["name"]: row["bytes"] for row in usage["users"]} == {"root": 18 * KILO}
    assert "project local/retained" in own.command("usage").stdout
    page = own.page("/usage")
    assert "local/retained" in page
    assert f"{formats.size(18 * KILO)}</td>" in page


def test_bytes_of_all_are_shown_to_admins_alone(own: Registry):
    mika = own.user("mika")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        Registry(mika.url, mika.entity, mika.key, own.store).page("/usage")


def test_what_went_is_gone_and_gc_frees_its_bytes(own: Registry):
    with records(own.store) as db:
        db.execute("update artifact set created_at = '2020-01-01T00:00:00Z' where version_index = 5")
    assert keep(own, "--last", "1", "--older-than", "90d", "--delete")["going"] == ["model:v5"]
    left = own.ask(
        '{ project(entityName: "local", name: "retained") { artifactType(name: "model") '
        "{ artifactCollections { edges { node { artifacts { edges { node { versionIndex } } } } } } } } }"
    )
    assert '"versionIndex":5' not in left.text
    assert '"versionIndex":4' in left.text
    assert "1 contents" in own.command("gc", "--grace", "0").stdout
    assert own.command("check").returncode == 0
    assert "command line  deleted local/retained/model:v5" in own.command("log", "model").stdout


@pytest.mark.parametrize(
    ("option", "value"), [("--last", "0"), ("--last", "x"), ("--older-than", "90"), ("--older-than", "0d")]
)
def test_a_wrong_number_is_refused(store: Path, option: str, value: str):
    done = command(store, "keep", "local/retained", option, value)
    assert done.returncode == 2
    assert f"'{value}' is not" in done.stderr

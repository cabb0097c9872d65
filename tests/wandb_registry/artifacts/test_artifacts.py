"""Versions, as the SDK logs, finds, changes and deletes them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import wandb
from wandb.errors import CommError

from tests.wandb_registry import by_hand
from tests.wandb_registry.by_hand import log
from tests.wandb_registry.conftest import Account, Registry
from wandb_registry import daemon


def aliases(registry: Registry, address: str, type: str = "model") -> dict[str, list[str]]:
    """The aliases of each version of a collection."""
    return {found.version: sorted(found.aliases) for found in registry.api().artifacts(type, address)}


def test_the_same_bytes_stay_one_version_and_latest_comes_back_to_it(registry: Registry):
    with registry.run("dedupe") as run:
        registry.log_file(run, "weights", "one")
        registry.log_file(run, "weights", "two")
        again = registry.log_file(run, "weights", "one", aliases=["best"])
    assert again.version == "v0"
    assert aliases(registry, "dedupe/weights") == {"v0": ["best", "latest"], "v1": []}


def test_the_same_bytes_from_a_second_run_give_that_run_its_edge(registry: Registry):
    with registry.run("edges") as first:
        registry.log_file(first, "weights", "one")
    with registry.run("edges") as second:
        registry.log_file(second, "weights", "one")
    version = registry.api().artifact("edges/weights:v0")
    maker = version.logged_by()
    assert maker
    assert maker.id == first.id
    assert [made.name for made in registry.api().run(f"edges/{second.id}").logged_artifacts()] == ["weights:v0"]


def test_the_same_bytes_announced_before_any_writer_is_done_stay_one_version(registry: Registry):
    # Each had made a version of its own.
    files = {"weights": b"at the same time"}
    asked = [by_hand.announce(registry, "at-once", "weights", files, ("latest", alias)) for alias in ("a", "b")]
    assert [version["state"] for version in asked] == ["PENDING", "PENDING"]
    first, second = (by_hand.complete(registry, version["id"], files) for version in asked)
    assert first == second
    assert aliases(registry, "at-once/weights") == {"v0": ["a", "b", "latest"]}
    by_hand.data(registry.ask(by_hand.COMMIT, artifact=asked[1]["id"]))  # sent again, as when its answer was lost
    log(registry, "at-once", "weights", {"weights": b"later"})
    assert list(aliases(registry, "at-once/weights")) == ["v1", "v0"]


def test_eight_writers_of_the_same_bytes_make_one_version_and_have_an_edge_each(registry: Registry):
    def log_all(run: wandb.Run) -> str:
        return registry.log_file(run, "weights", "of all").name

    with ExitStack() as stack, ThreadPoolExecutor(8) as threads:
        runs = [stack.enter_context(registry.run("eight", reinit="create_new")) for _ in range(8)]
        assert set(threads.map(log_all, runs)) == {"weights:v0"}
    for run in runs:
        assert [made.name for made in registry.api().run(f"eight/{run.id}").logged_artifacts()] == ["weights:v0"]


def test_what_is_said_about_a_version_can_be_changed(registry: Registry):
    with registry.run("said") as run:
        registry.log_file(run, "weights", "one", tags=["old"])
    version = registry.api().artifact("said/weights:latest")
    version.description = "The first"
    version.metadata["accuracy"] = 0.9
    version.tags = ["new", "kept"]
    version.aliases = ["candidate"]
    version.save()
    found = registry.api().artifact("said/weights:v0")
    assert (found.description, dict(found.metadata)) == ("The first", {"accuracy": 0.9})
    assert (sorted(found.tags), found.aliases) == (["kept", "new"], ["candidate"])


def test_files_come_back_byte_for_byte(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # a cache of its own, so that the bytes come from the server; skip_cache=True would last for the whole process
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    contents = {"a.txt": b"a", "empty": b"", "deep/er/b c%.bin": bytes(range(256)) * 5000, "same": b"a"}
    with registry.run("files") as run:
        artifact = wandb.Artifact("folder", "dataset")
        for name, content in contents.items():
            (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "in" / name).write_bytes(content)
        artifact.add_dir(str(tmp_path / "in"))
        run.log_artifact(artifact).wait()
    version = registry.api().artifact("files/folder:latest")
    version.download(str(tmp_path / "out"))
    assert {name: (tmp_path / "out" / name).read_bytes() for name in contents} == contents
    version.verify(str(tmp_path / "out"))
    assert (version.size, version.file_count) == (sum(map(len, contents.values())), 4)


def test_a_link_has_its_own_numbers_and_aliases(registry: Registry):
    with registry.run("links") as run:
        registry.log_file(run, "weights", "one")
        second = registry.log_file(run, "weights", "two")
        linked = run.link_artifact(second, "model-registry/Linked", aliases=["staging"])
        again = run.link_artifact(second, "model-registry/Linked")
    assert linked
    assert again
    assert (linked.version, linked.source_version, again.version) == ("v0", "v1", "v0")
    assert aliases(registry, "model-registry/Linked") == {"v0": ["latest", "staging"]}
    assert aliases(registry, "links/weights") == {"v0": [], "v1": ["latest"]}
    source = registry.api().artifact("links/weights:v1")
    assert [place.qualified_name for place in source.linked_artifacts] == ["local/model-registry/Linked:v0"]


def test_a_version_can_be_linked_to_the_organizations_registry_and_used_from_there(registry: Registry):
    with registry.run("core") as run:
        version = registry.log_file(run, "weights", "one")
        run.link_artifact(version, "wandb-registry-model/Core")
        used = run.use_artifact("wandb-registry-model/Core:latest")
    assert used.source_qualified_name == "local/core/weights:v0"


def test_a_registry_that_was_not_made_cannot_be_linked_to(registry: Registry):
    with registry.run("nowhere") as run:
        version = registry.log_file(run, "weights", "one")
        with pytest.raises(CommError, match="There is no registry 'wandb-registry-nowhere'"):
            run.link_artifact(version, "wandb-registry-nowhere/Model")


def test_unlinking_takes_the_link_and_leaves_the_version(registry: Registry):
    with registry.run("unlink") as run:
        version = registry.log_file(run, "weights", "one")
        run.link_artifact(version, "model-registry/Unlinked")
    registry.api().artifact("model-registry/Unlinked:v0").unlink()
    assert aliases(registry, "model-registry/Unlinked") == {}
    assert aliases(registry, "unlink/weights") == {"v0": ["latest"]}


def test_deleting_latest_makes_the_newest_left_latest_and_no_number_is_given_twice(registry: Registry):
    with registry.run("delete") as run:
        registry.log_file(run, "weights", "one")
        registry.log_file(run, "weights", "two")
        with pytest.raises(CommError, match=r"has aliases \(latest\); pass delete_aliases=True"):
            registry.api().artifact("delete/weights:v1").delete()
        registry.api().artifact("delete/weights:v1").delete(delete_aliases=True)
        assert aliases(registry, "delete/weights") == {"v0": ["latest"]}
        assert registry.log_file(run, "weights", "two").version == "v2"


def test_a_collection_keeps_its_type(registry: Registry):
    with registry.run("types") as run:
        registry.log_file(run, "weights", "one")
        with pytest.raises(ValueError, match="already exists with type 'model'"):
            registry.log_file(run, "weights", "two", type="dataset")


def test_an_alias_that_looks_like_a_number_is_refused(registry: Registry):
    with registry.run("aliases") as run, pytest.raises(ValueError, match="Alias 'v7' is reserved for version numbers"):
        registry.log_file(run, "weights", "one", aliases=["v7"])
    assert registry.api().artifact("aliases/weights:v0").aliases == ["latest"]


def test_types_and_collections_are_listed(registry: Registry):
    with registry.run("listed") as run:
        registry.log_file(run, "weights", "one")
        registry.log_file(run, "digits", "one", type="dataset")
    api = registry.api()
    found = {kind.name: [item.name for item in kind.collections()] for kind in api.artifact_types("listed")}
    assert found == {"dataset": ["digits"], "model": ["weights"]}
    assert api.artifact_collection_exists("listed/weights", "model")
    assert not api.artifact_exists("listed/weights:v9")


def test_an_entry_can_refer_to_another_version(registry: Registry, tmp_path: Path):
    with registry.run("refers") as run:
        base = registry.log_file(run, "base", "one")
        artifact = wandb.Artifact("view", "dataset")
        artifact.add(wandb.Table(columns=["x"], data=[[1]]), "table")
        artifact.add_reference(base.get_entry("content.txt").ref_url(), "copied.txt")
        run.log_artifact(artifact).wait()
    folder = registry.api().artifact("refers/view:latest").download(str(tmp_path))
    assert Path(folder, "copied.txt").read_text() == "one"


# A listed version could no longer be downloaded once the version that its entries refer to had been deleted.
def test_files_that_a_version_refers_to_outlive_their_own_version(registry: Registry, tmp_path: Path):
    with registry.run("outlived") as run:
        tables = wandb.Artifact("tables", "dataset")
        tables.add(wandb.Table(columns=["x", "img"], data=[[1, wandb.Image(np.zeros((2, 2), "uint8"))]]), "digits")
        logged = run.log_artifact(tables).wait()
        view = wandb.Artifact("view", "dataset")
        view.add_reference(logged.get_entry("digits.table.json"), "digits.table.json")
        run.log_artifact(view).wait()
    api = registry.api()
    api.artifact("outlived/tables:v0").delete(delete_aliases=True)
    assert not api.artifact_exists("outlived/tables:v0")
    assert registry.command("gc").returncode == 0
    table = api.artifact("outlived/view:v0").get("digits")
    assert isinstance(table, wandb.Table)
    assert [row[0] for row in table.data] == [1]
    with pytest.raises(CommError, match=r"'view:v0' refers to files in what would be deleted\. Delete that version"):
        api.artifact_collection("dataset", "outlived/tables").delete()
    api.artifact("outlived/view:v0").delete(delete_aliases=True)
    api.artifact_collection("dataset", "outlived/tables").delete()
    assert registry.command("check").returncode == 0


def test_ids_differ_from_store_to_store(store: Path, tmp_path: Path):
    """The SDK keeps what it has seen of an artifact by its id, whichever server it came from."""
    ids = set()
    for folder in (store, tmp_path / "second"):
        server = daemon.ensure(folder)
        ids.add(log(Account(server.url, server.entity, server.api_key), "first", "weights", {"a": b"a"}))
        daemon.stop(folder)
    assert len(ids) == 2


def test_a_draft_of_a_version_keeps_the_files_that_did_not_change(registry: Registry, tmp_path: Path):
    with registry.run("drafts") as run:
        registry.log_file(run, "weights", "one")
        draft = run.use_artifact("weights:latest").new_draft()
        with draft.new_file("more.txt") as file:
            file.write("two")
        run.log_artifact(draft).wait()
    folder = registry.api().artifact("drafts/weights:v1").download(str(tmp_path))
    assert sorted(path.name for path in Path(folder).iterdir()) == ["content.txt", "more.txt"]

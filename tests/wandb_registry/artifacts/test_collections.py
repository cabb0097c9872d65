"""Collections and the less common kinds of versions, through the SDK."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import wandb
from wandb.errors import CommError

from tests.wandb_registry.by_hand import data, log
from tests.wandb_registry.conftest import Registry

PAGE = """
query Page($first: Int, $after: String, $names: [String!]) { project(name: "many", entityName: "local") {
  artifactCollection(name: "files") { artifactMembership(aliasName: "v0") { artifact { fileCount }
    files(first: $first, after: $after, names: $names) { totalCount pageInfo { endCursor hasNextPage }
      edges { node { name } } } } } } }
"""


def test_a_collection_is_described_tagged_renamed_and_deleted(registry: Registry):
    log(registry, "shelf", "weights", {"file": b"one"})
    log(registry, "shelf", "others", {"file": b"two"})
    api = registry.api()
    collection = api.artifact_collection("model", "shelf/weights")
    collection.description, collection.name, collection.tags = "All weights", "better", ["kept", "old"]
    collection.save()
    collection.tags = ["kept"]
    collection.save()
    found = api.artifact_collection("model", "shelf/better")
    assert (found.description, found.tags, found.is_sequence()) == ("All weights", ["kept"], True)
    assert api.artifact("shelf/better:v0").collection.name == "better"
    found.name = "others"
    with pytest.raises(CommError, match="There is a collection 'others' in this project already"):
        found.save()
    api.artifact_collection("model", "shelf/better").delete()
    assert not api.artifact_collection_exists("shelf/better", "model")
    said = registry.command("log", "local/shelf/better").stdout
    assert "rename local/shelf/better weights → better" in said
    assert "delete collection local/shelf/better" in said


def test_a_collection_can_be_given_another_type_but_not_an_internal_one(registry: Registry):
    log(registry, "retyped", "weights", {"file": b"one"})
    collection = registry.api().artifact_collection("model", "retyped/weights")
    collection.change_type("checkpoint")
    assert registry.api().artifact("retyped/weights:v0").type == "checkpoint"
    with pytest.raises(CommError, match="is reserved for internal use"):
        collection.change_type("run_table")


def test_collections_and_versions_are_listed_in_the_order_asked_for(registry: Registry):
    for name in ("b", "a", "c"):
        for content in (b"one", b"two"):
            log(registry, "ordered", name, {"file": content})
    api = registry.api()
    kind = api.artifact_type("model", "ordered")

    def names(**options) -> list[str]:
        return [found.name for found in kind.collections(**options)]

    assert (names(order="name"), names(order="-name"), names()) == (list("abc"), list("cba"), list("cab"))
    assert names(filters={"name": {"$in": ["a", "c"]}}, order="+created_at") == ["a", "c"]
    versions = [found.version for found in api.artifacts("model", "ordered/a", per_page=1)]
    assert versions == ["v1", "v0"]


def test_an_incremental_version_adds_to_the_one_before(registry: Registry, tmp_path: Path):
    with registry.run("incremental") as run:
        for name in ("first.txt", "second.txt"):
            artifact = wandb.Artifact("grows", "dataset", incremental=name != "first.txt")
            with artifact.new_file(name) as file:
                file.write(name)
            run.log_artifact(artifact).wait()
    version = registry.api().artifact("incremental/grows:latest")
    assert version.version == "v1"
    assert sorted(version.manifest.entries) == ["first.txt", "second.txt"]
    version.download(str(tmp_path))
    version.verify(str(tmp_path))


def test_several_runs_write_one_version_together(registry: Registry):
    for number in range(2):
        with registry.run("together", group="writers", id=f"writer{number}") as run:
            artifact = wandb.Artifact("shards", "dataset")
            with artifact.new_file(f"{number}.txt") as file:
                file.write(str(number))
            run.upsert_artifact(artifact, distributed_id="one")
    with registry.run("together", group="writers") as run:
        artifact = wandb.Artifact("shards", "dataset")
        with artifact.new_file("last.txt") as file:
            file.write("last")
        run.finish_artifact(artifact, distributed_id="one")
    version = registry.api().artifact("together/shards:latest")
    assert (version.version, sorted(version.manifest.entries)) == ("v0", ["0.txt", "1.txt", "last.txt"])


def test_references_are_kept_as_they_are_and_never_fetched(registry: Registry, tmp_path: Path):
    (tmp_path / "local.txt").write_text("local")
    with registry.run("references") as run:
        artifact = wandb.Artifact("points", "dataset")
        artifact.add_reference("hdfs://cluster/key", name="cloud")
        artifact.add_reference(f"file://{tmp_path}/local.txt")
        run.log_artifact(artifact).wait()
    version = registry.api().artifact("references/points:latest")
    entries = version.manifest.entries
    assert entries["cloud"].ref == "hdfs://cluster/key"
    assert entries["local.txt"].ref == f"file://{tmp_path}/local.txt"
    assert Path(version.get_entry("local.txt").download(str(tmp_path / "copy"))).read_text() == "local"


def test_a_version_remembers_its_step_and_its_time_to_live(registry: Registry):
    with registry.run("steps") as run:
        run.log({"loss": 1.0})
        run.log({"loss": 0.5})
        made = registry.log_file(run, "weights", "one")
        made.ttl = timedelta(days=7)
        made.save()
    version = registry.api().artifact("steps/weights:v0")
    assert (version.history_step, version.ttl) == (1, timedelta(days=7))


def test_a_version_of_ten_thousand_files_is_listed_page_by_page(registry: Registry):
    content = b"the same in each"
    names = [f"{number:05}.bin" for number in range(10_500)]
    log(registry, "many", "files", dict.fromkeys(names, content))
    found, after = [], None
    while True:
        answer = data(registry.ask(PAGE, first=5000, after=after))
        place = answer["project"]["artifactCollection"]["artifactMembership"]
        found += [edge["node"]["name"] for edge in place["files"]["edges"]]
        after = place["files"]["pageInfo"]["endCursor"]
        if not place["files"]["pageInfo"]["hasNextPage"]:
            break
    assert found == names
    assert (place["files"]["totalCount"], place["artifact"]["fileCount"]) == (10_500, 10_500)
    some = data(registry.ask(PAGE, names=["00007.bin", "missing"]))["project"]["artifactCollection"]
    assert some["artifactMembership"]["files"]["totalCount"] == 1

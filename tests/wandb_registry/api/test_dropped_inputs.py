"""What the SDK's documents can ask for is done, or refused in a sentence: nothing is accepted and dropped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import wandb

from tests.wandb_registry.api.test_limits import QUIET, upsert
from tests.wandb_registry.by_hand import b64, data, log
from tests.wandb_registry.conftest import Registry

PROJECT = "asked"
MUTATION = "mutation M($input: %sInput!) { %s(input: $input) { __typename } }"
ALIASES = """
query A($id: ID!) { artifact(id: $id) { artifactMemberships { edges { node { aliases { alias }
  artifactCollection { name } } } } } }
"""
CREATED = {
    "entityName": "local", "projectName": PROJECT, "artifactTypeName": "model", "digest": "0" * 32,
}  # fmt: skip


def change(registry: Registry, name: str, /, **given: Any) -> str:
    """The sentence with which a change is refused; '' if it is done."""
    answer = registry.ask(MUTATION % (name[0].upper() + name[1:], name), input=given).json()
    return answer["errors"][0]["message"] if answer.get("errors") else ""


def aliases(registry: Registry, artifact: str) -> dict[str, set[str]]:
    edges = data(registry.ask(ALIASES, id=artifact))["artifact"]["artifactMemberships"]["edges"]
    return {
        edge["node"]["artifactCollection"]["name"]: {one["alias"] for one in edge["node"]["aliases"]} for edge in edges
    }


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("createArtifact", {**CREATED, "artifactCollectionNames": ["a", "b"]}, "one collection: these are a, b."),
        ("createArtifact", {**CREATED, "labels": '{"a": 1}'}, "'labels' of an artifact"),
        ("upsertModel", {"name": "open", "access": "USER_READ"}, "'USER_READ' is no access of a project here"),
        ("upsertModel", {"name": "open", "isPublished": True}, "'is_published' of a project"),
        ("upsertSweep", {"projectName": PROJECT, "controller": '{"a": 1}'}, "'controller' of a sweep"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(registry: Registry, name: str, given: dict[str, Any], said: str):
    assert said in change(registry, name, **given)


def test_a_run_of_an_older_sdk_starts_with_its_debug_log_on(registry: Registry):
    assert change(registry, "upsertBucket", name="r", modelName=PROJECT, debug=True) == ""


def test_aliases_of_an_update_replace_those_of_the_version(registry: Registry):
    """They were accepted and dropped."""
    first = log(registry, PROJECT, "renamed", {"a": b"1"}, aliases=("latest", "old", "kept"))
    given = [{"artifactCollectionName": "renamed", "alias": name} for name in ("kept", "new")]
    assert change(registry, "updateArtifact", artifactID=first, aliases=given) == ""
    assert aliases(registry, first) == {"renamed": {"kept", "new"}}
    assert change(registry, "updateArtifact", artifactID=first, description="no word of aliases") == ""
    assert aliases(registry, first) == {"renamed": {"kept", "new"}}
    other = [{"artifactCollectionName": "other", "alias": "new"}]
    assert "The alias 'new' belongs to 'other'" in change(registry, "updateArtifact", artifactID=first, aliases=other)


def test_a_collection_to_link_to_may_be_known_by_its_id(registry: Registry):
    first, second = (log(registry, PROJECT, "linked", {"a": name}) for name in (b"1", b"2"))
    place = {"entityName": "local", "projectName": "model-registry", "artifactPortfolioName": "ById"}
    assert change(registry, "linkArtifact", artifactID=first, **place) == ""
    number = data(
        registry.ask(
            'query C { project(name: "model-registry", entityName: "local") { artifactCollection(name: "ById") '
            "{ id } } }"
        )
    )["project"]["artifactCollection"]["id"]
    assert change(registry, "linkArtifact", artifactID=second, artifactPortfolioID=number) == ""
    assert aliases(registry, second).keys() == {"linked", "ById"}
    assert "or its id" in change(registry, "linkArtifact", artifactID=second, entityName="local")
    said = change(registry, "linkArtifact", artifactID=second, artifactPortfolioID=number, artifactPortfolioName="No")
    assert said == "The collection of this id is called 'ById', not 'No'."


def test_lines_of_an_unknown_file_are_told_on_the_runs_page(registry: Registry):
    upsert(registry, "streams", PROJECT)
    body = {
        "files": {"wandb-new.jsonl": {"offset": 0, "content": ["a"]}, "output.log": {"offset": 0, "content": ["b"]}}
    }
    sent = registry.send(
        "POST", f"/files/local/{PROJECT}/streams/file_stream", json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    assert sent.status == 200
    assert "lines of &#39;wandb-new.jsonl&#39;" in registry.page(f"/local/{PROJECT}/runs/streams")
    assert ">b<" in registry.page(f"/local/{PROJECT}/runs/streams/logs")


def test_a_file_that_did_not_arrive_is_not_marked_as_uploaded(registry: Registry):
    upsert(registry, "marked", PROJECT)
    place = {"entityName": "local", "projectName": PROJECT, "runName": "marked"}
    assert "no file 'a.txt'" in change(registry, "markRunFilesUploaded", **place, files=["a.txt"])
    uploaded = registry.api().run(f"local/{PROJECT}/marked").upload_file(__file__, str(Path(__file__).parent))
    assert change(registry, "markRunFilesUploaded", **place, files=[f"./{uploaded.name}"]) == ""


def test_a_file_of_a_version_is_as_old_as_the_version(registry: Registry):
    with registry.run(PROJECT, settings=QUIET) as run:
        logged = registry.log_file(run, "dated", "1")
    assert b64(b"1") == registry.api().artifact(f"local/{PROJECT}/dated:v0").manifest.entries["content.txt"].digest
    assert isinstance(logged, wandb.Artifact)
    assert next(iter(logged.files())).updated_at == logged.created_at

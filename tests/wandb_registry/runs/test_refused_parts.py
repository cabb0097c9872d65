"""One odd thing takes no other along: what a run logs is kept as far as it can be, and its page tells the rest."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest
import wandb

from tests.wandb_registry.api.test_limits import QUIET, upsert
from tests.wandb_registry.by_hand import CREATE, artifact_digest, complete, data
from tests.wandb_registry.conftest import Registry

PROJECT = "refused"
CREATE_IN_RUN = """
mutation C($input: CreateArtifactInput!) { createArtifact(input: $input) { artifact { id state } } }
"""
PROTECT = """mutation P { updateProtectedAliases(input: {entityName: "local", projectName: "refused",
  aliases: ["production"]}) { project { id } } }"""


def shown(registry: Registry, run_id: str) -> str:
    return html.unescape(registry.page(f"/local/{PROJECT}/runs/{run_id}"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"aliases": ["good", "v3"]},
            "Alias 'v3' is reserved for version numbers. Choose a word",
        ),
        (
            {"aliases": ["x" * 129, "good"]},
            "Alias 'xxxxxxxxxxxxxxxxxxxx…' has 129 characters; at most 128",
        ),
        ({"aliases": ["good", "line\nend"]}, r"Alias 'line\nend' may not hold control characters or any of / :"),
        ({"aliases": ["good"], "tags": ["fine", "x" * 129]}, "Invalid tag 'xxxxxxxxxxxxxxxxxxxx…'"),
    ],
)
def test_an_alias_or_a_tag_that_is_refused_takes_no_version_along(
    registry: Registry, request: pytest.FixtureRequest, given: dict[str, Any], said: str
):
    """The version and all its files were gone, and who didn't wait for it read no word of that."""
    name = f"odd-{abs(hash(request.node.name)) % 10_000}"
    with registry.run(PROJECT, settings=QUIET) as run:
        artifact = wandb.Artifact(name, "model")
        with artifact.new_file("content.txt") as file:
            file.write(name)
        run.log_artifact(artifact, **given)
    found = registry.api().artifact(f"local/{PROJECT}/{name}:latest")
    assert [sorted(found.aliases), found.tags] == [["good", "latest"], ["fine"] * ("tags" in given)]
    assert said in shown(registry, run.id)
    assert f"'{name}' was logged without it." in shown(registry, run.id)


def test_an_alias_that_somebody_else_moves_takes_no_version_along(registry: Registry):
    member = registry.user("mo")
    registry.command("team", "add-member", "local", "mo", "--role", "member")
    upsert(registry, "trained", PROJECT)
    data(registry.ask(PROTECT))
    files = {"a": b"better"}
    given = {
        "entityName": "local", "projectName": PROJECT, "runName": "trained", "artifactTypeName": "model",
        "artifactCollectionName": "guarded", "digest": artifact_digest(files),
        "aliases": [{"artifactCollectionName": "guarded", "alias": name} for name in ("latest", "production")],
    }  # fmt: skip
    made = data(member.ask(CREATE_IN_RUN, input=given))["createArtifact"]["artifact"]
    with pytest.raises(AssertionError, match="'guarded' was logged without it"):
        complete(member, made["id"], files)
    assert registry.api().artifact(f"local/{PROJECT}/guarded:latest").aliases == ["latest"]
    assert "production" in shown(registry, "trained").partition('id="h-alerts"')[2].partition("</section>")[0]


def test_a_version_that_is_refused_is_told_on_the_runs_page(registry: Registry):
    upsert(registry, "lost", PROJECT)
    given = {
        "entityName": "local", "projectName": PROJECT, "runName": "lost", "artifactTypeName": "no / type",
        "artifactCollectionName": "typed", "digest": "0" * 32,
    }  # fmt: skip
    refused = registry.ask(CREATE_IN_RUN, input=given).json()["errors"][0]["message"]
    assert "Artifact type 'no / type'" in refused
    assert f"typed: {refused}" in shown(registry, "lost")
    given |= {"artifactTypeName": "model"}
    made = data(registry.ask(CREATE_IN_RUN, input=given))["createArtifact"]["artifact"]
    commit = "mutation C($id: ID!) { commitArtifact(input: {artifactID: $id}) { artifact { id } } }"
    refused = registry.ask(commit, id=made["id"]).json()["errors"][0]["message"]
    assert f"typed: {refused}" in shown(registry, "lost")


def test_without_a_run_to_tell_a_refused_alias_is_an_error(registry: Registry):
    aliases = [{"artifactCollectionName": "alone", "alias": "v3"}]
    given = {"entity": "local", "project": PROJECT, "name": "alone", "digest": "0" * 32, "aliases": aliases}
    assert "Alias 'v3' is reserved" in registry.ask(CREATE, **given).text


def test_dashes_around_keys_of_a_config_go_in_the_sdk(registry: Registry):
    """`-` becomes the empty key there, and so `-` and `''` are one: the registry keeps what it is sent."""
    with registry.run(PROJECT, config={"-": 1, "": 2, "-dashed-": 3}, settings=QUIET) as run:
        assert dict(run.config) == {"": 2, "dashed": 3}
    assert registry.api().run(f"local/{PROJECT}/{run.id}").config == {"": 2, "dashed": 3}
    sent = json.dumps({key: {"value": at} for at, key in enumerate(["-", "", "--a", " "])})
    upsert(registry, "by-hand", PROJECT, config=sent)
    assert registry.api().run(f"local/{PROJECT}/by-hand").config == {"-": 0, "": 1, "--a": 2, " ": 3}


def test_a_line_of_the_console_that_no_database_keeps_takes_no_other_along(registry: Registry):
    """Half a character closed the run's whole stream, and so did NUL where PostgreSQL keeps the records."""
    upsert(registry, "printing", PROJECT)
    lines = json.dumps(
        {"files": {"output.log": {"offset": 0, "content": ["before", "half \ud800", "nul \0", "after"]}}}
    )
    headers = {"Content-Type": "application/json"}
    path = f"/files/local/{PROJECT}/printing/file_stream"
    assert registry.send("POST", path, lines.encode(), headers=headers).status == 200
    text = registry.page(f"/local/{PROJECT}/runs/printing/logs?view=text")
    assert text.splitlines() == ["before", "half \ufffd", "nul \ufffd", "after"]

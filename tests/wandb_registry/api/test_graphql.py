"""What the GraphQL endpoint does with requests that it can't answer."""

from __future__ import annotations

import pytest

from tests.wandb_registry.conftest import Registry


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("query Q { sweeps }", "'Q' is not supported by this registry: Cannot query field 'sweeps' on type 'Query'."),
        ("query Q {", "The GraphQL document can't be read: Syntax Error: Expected Name, found <EOF>."),
        ("{ viewer { id } } { viewer { id } }", "'This request' is not supported by this registry: "),
        ("{a" * 9_000, "The GraphQL document can't be read: Syntax Error: Document is nested too deeply."),
        ("query Q { " + "a " * 30_000 + "}", "The GraphQL document can't be read: Syntax Error: Document contains"),
        ('{ artifact(id: "nonsense") { id } }', "'nonsense' is not an id of kind Artifact."),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_answered_gets_one_sentence(registry: Registry, query: str, said: str):
    answer = registry.ask(query)
    assert answer.status == 400
    assert answer.json()["errors"][0]["message"].startswith(said)


def test_the_pipeline_gets_its_refusals_with_status_200_and_without_a_path(registry: Registry):
    body = b'{"query": "mutation M { commitArtifact(input: {artifactID: \\"x\\"}) { artifact { id } } }"}'
    answer = registry.send("POST", "/graphql", body, headers={"User-Agent": "wandb-core"})
    assert answer.status == 200
    assert answer.json()["errors"] == [
        {"message": "'x' is not an id of kind Artifact.", "extensions": {"code": "BAD_INPUT"}}
    ]


def test_a_body_that_is_not_json_is_refused(registry: Registry):
    assert registry.send("POST", "/graphql", b"not json").status == 400


def test_a_failed_mutation_leaves_nothing_behind(registry: Registry):
    """Two mutations in one request are one transaction: the second's failure undoes the first."""
    both = """
    mutation Both {
      upsertBucket(input: {entityName: "local", modelName: "undone", name: "r"}) { inserted }
      deleteArtifact(input: {artifactID: "QXJ0aWZhY3Q6OTk5OTk5"}) { artifact { id } }
    }
    """
    assert registry.ask(both).status == 404
    assert registry.ask('{ project(name: "undone", entityName: "local") { id } }').json() == {"data": {"project": None}}

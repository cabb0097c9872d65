"""Every GraphQL document inside the installed SDK is one that the schema answers, or is left out by name.

A newer SDK shows here first what it would ask for.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import GraphQLSyntaxError, parse, validate

from wandb_registry.graphql.execute import MODULES, make_schema

# What the registry leaves out on purpose: sweeps that a client schedules, launch, automations, reports.
LEFT_OUT = {
    "AckRunQueueItem", "CreateAutomation", "CreateDefaultResourceConfig", "CreateGenericWebhookIntegration",
    "CreateRunQueue", "DeleteAutomation", "DeleteFromRunQueue", "DeleteRunQueue", "EnqueueSweepRun",
    "FailRunQueueItem", "FetchRunQueuesFromProject", "GetAutomationsLegacy", "GetDefaultResourceConfig",
    "GetEntityAutomations", "GetEntityAutomationsLegacy", "GetOrgAutomations", "GetRunQueueItem", "GetRunQueueItems",
    "GetRunQueueMetadata", "IntegrationsByEntity", "LaunchAgent", "PopFromRunQueue", "ProjectRunQueues",
    "ProjectViews", "PushToRunQueueByName", "SweepConfig", "UpdateAutomation", "UpdateLaunchAgent",
    "UpdateRunQueueItemWarning", "UpsertRunQueue",
}  # fmt: skip
OPENING = re.compile(r"(?:query|mutation)\s+(\w+)\s*[({]")


def python_documents(package: Path) -> Iterator[tuple[str, str]]:
    """Whole documents among the string constants of the SDK's Python files."""
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text())
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in parts:
                continue
            text = node.value.strip().removeprefix("#graphql").strip()
            if (found := OPENING.match(text)) and "{{" not in text:  # else a template, filled at run time
                yield found[1], text.replace("_PROJECT_QUERY_", "project { id name entity { id name } }")


def program_documents(program: bytes) -> Iterator[tuple[str, str]]:
    """Documents in the wandb-core program: each ends where its braces close, and its fragments follow."""
    for found in re.finditer(rb"(?:query|mutation) [A-Z]\w* ?[({]", program):
        end = found.start()
        while True:
            end = closing_brace(program, end)
            following = re.match(rb"\s*fragment ", program[end : end + 40])
            if not following:
                break
        text = program[found.start() : end].decode(errors="replace")
        if "\n" in text:  # error messages name operations too, on one line
            yield re.split(r"[\s({]+", text)[1], text


def closing_brace(program: bytes, start: int) -> int:
    """The place behind the brace that closes the first one opened from `start` on, outside of parentheses."""
    braces = parentheses = 0
    for at in range(start, start + 20_000):
        char = program[at : at + 1]
        braces += (char == b"{") - (char == b"}")
        parentheses += (char == b"(") - (char == b")")
        if char == b"}" and braces == 0 and parentheses == 0:
            return at + 1
    return start


def documents() -> dict[str, set[str]]:
    """The texts of each operation name."""
    spec = importlib.util.find_spec("wandb")
    assert spec
    assert spec.origin
    package = Path(spec.origin).parent
    found: dict[str, set[str]] = {}
    program = (package / "bin" / "wandb-core").read_bytes()
    for name, text in [*python_documents(package), *program_documents(program)]:
        found.setdefault(name[0].upper() + name[1:], set()).add(text)
    return found


DOCUMENTS = documents()
SCHEMA = make_schema()


def test_the_sdks_documents_were_found():
    assert len(DOCUMENTS) > 120
    assert {"UpsertBucket", "CreateArtifact", "LinkArtifact", "ArtifactMembershipByName"} <= DOCUMENTS.keys()


@pytest.mark.parametrize("name", sorted(DOCUMENTS.keys() - LEFT_OUT))
def test_the_schema_answers(name: str):
    for text in DOCUMENTS[name]:
        assert validate(SCHEMA, parse(text)) == []


@pytest.mark.parametrize("name", sorted(LEFT_OUT))
def test_what_is_left_out_is_still_asked_and_still_unknown(name: str):
    def unknown(text: str) -> bool:
        try:
            return bool(validate(SCHEMA, parse(text)))
        except GraphQLSyntaxError:
            return True

    assert any(unknown(text) for text in DOCUMENTS[name])


# SDK 0.22 was refused the inputs of a run: it selects from them by the name of their type.
def test_older_sdks_select_from_a_runs_inputs_by_type():
    fragment = "fragment Page on InputArtifactConnection { totalCount edges { node { id } } }"
    asked = 'query { project(name: "p") { run(name: "r") { inputArtifacts(first: 5) { ...Page } } } }'
    assert validate(SCHEMA, parse(asked + fragment)) == []


def test_every_root_field_is_answered_or_refused_by_name():
    answered = {(fields.type_name, name) for module in MODULES for fields in module.FIELDS for name in fields.resolvers}
    roots = (root for root in (SCHEMA.query_type, SCHEMA.mutation_type) if root)
    assert not {name for root in roots for name in root.fields if (root.name, name) not in answered}

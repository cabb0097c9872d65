"""Whatever has a name, with names that are odd: each works to the end (API, page, link, download, CSV), or is refused
at once in one sentence.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest
import yaml

from tests.wandb_registry.by_hand import announce, complete, log
from tests.wandb_registry.conftest import Registry

PROJECT = "odd"
NAMES = (
    "a.b",
    "..a",
    "a..",
    ".hidden",
    ".",
    "line\nend",
    "return\rend",
    "tab\tbed",
    "sla/sh",
    "back\\slash",
    "100%",
    "a%2Fb",
    "x" * 300,
    "é" * 100,
    "half\ud800",
    "\u202eabc",
    "שלום",
    "🙂",
    " leading",
    "trailing ",
    "q?x=1&y",
    "h#x",
    "a:b",
    "it's",
    'say "x"',
    "<b>bold</b>",
    "{{ 7*7 }}",
    "=1+1",
    "nul\0",
    "*",
)
FEW = ("line\nend", "half\ud800", "q?x=1&y", "trailing ")
START = """
mutation Start($project: String!, $run: String!, $shown: String, $tags: [String!], $config: JSONString) {
  upsertBucket(input: {modelName: $project, name: $run, displayName: $shown, tags: $tags, config: $config}) {
    bucket { id } } }
"""


class Refused(Exception):
    """What the registry said instead of taking a name."""


def asked(registry: Registry, query: str, **variables: object) -> dict:
    answer = registry.ask(query, **variables)
    if answer.status != 200 or "errors" in answer.json():
        raise Refused(answer.status, answer.json()["errors"][0]["message"])
    return answer.json()["data"]


def start(registry: Registry, project: str = PROJECT, run: str = "r", **given: object) -> None:
    asked(registry, START, project=project, run=run, **given)


def link(page: str, text: str) -> str:
    """The address behind a text, as a person would find it."""
    for address, inside in re.findall(r'(?s)<a [^>]*?href="([^"]*)"[^>]*>(.*?)</a>', page):
        if text.strip() in html.unescape(re.sub(r"<[^>]+>", "", inside)):
            return address
    raise AssertionError(f"no link says {text!r}")


def uploaded(registry: Registry, run: str, name: str, content: bytes) -> None:
    ask = """mutation F($project: String!, $run: String!, $files: [String!]!) { createRunFiles(input: {
        entityName: "local", projectName: $project, runName: $run, files: $files}) { files { uploadUrl } } }"""
    (file,) = asked(registry, ask, project=PROJECT, run=run, files=[name])["createRunFiles"]["files"]
    sent = registry.send("PUT", file["uploadUrl"], content, signed_in=False)
    if sent.status != 200:
        raise Refused(sent.status, sent.json()["errors"][0]["message"] if sent.text.startswith("{") else sent.text)


def spellings(text: str) -> set[str]:
    """A text as it may come back: of half a character, which JSON can hold and UTF-8 can't, a mark is left."""
    return {text, text.encode("utf-8", "replace").decode(), text.replace("\ud800", "\ufffd")}


# ---- what has a name: each takes it, and then proves that it works ----


def of_project(registry: Registry, name: str) -> None:
    start(registry, project=name)
    assert name in [project.name for project in registry.api().projects(registry.entity)]
    assert len(registry.api().runs(f"local/{name}")) == 1
    assert registry.page(link(registry.page("/local?all=projects"), name))


def of_run_id(registry: Registry, name: str) -> None:
    start(registry, run=name, shown=f"shown {quote(name, errors='replace')}")
    assert registry.api().run(f"local/{PROJECT}/{name}").id == name
    address = link(registry.page(f"/local/{PROJECT}/runs"), f"shown {quote(name, errors='replace')}")
    for tab in ("", "/files", "/logs", "/charts"):
        assert registry.page(address + tab)


def of_shown_name(registry: Registry, name: str) -> None:
    start(registry, run="shown", shown=name)
    assert registry.api().run(f"local/{PROJECT}/shown").name == name
    assert registry.page(link(registry.page(f"/local/{PROJECT}/runs"), name))


def of_tag(registry: Registry, name: str) -> None:
    start(registry, run="tagged", tags=[name])
    assert registry.api().run(f"local/{PROJECT}/tagged").tags == [name]
    found = registry.page(f"/local/{PROJECT}/runs?{urlencode({'where': f'tags is {name}'})}")
    assert "/runs/tagged" in found


def of_key(registry: Registry, name: str) -> None:
    start(registry, run="keys", config=json.dumps({name: {"value": 1}}))
    row = json.dumps({name: 1.5, "_step": 0})
    body = json.dumps({"files": {"wandb-history.jsonl": {"offset": 0, "content": [row]}}}).encode()
    path = f"/files/local/{PROJECT}/keys/file_stream"
    sent = registry.send("POST", path, body, headers={"Content-Type": "application/json"})
    assert sent.status == 200, sent.text
    run = registry.api().run(f"local/{PROJECT}/keys")
    assert spellings(name) & {*run.config}
    assert spellings(name) & {*next(iter(run.scan_history()))}
    for tab in ("", "/charts"):
        assert registry.page(f"/local/{PROJECT}/runs/keys{tab}")


def of_parameter(registry: Registry, name: str) -> None:
    config = yaml.safe_dump({"method": "grid", "parameters": {name: {"values": [1]}}}, allow_unicode=False)
    make = """mutation S($config: String!, $project: String!) { upsertSweep(input: {
        config: $config, projectName: $project}) { sweep { id name } } }"""
    sweep = asked(registry, make, config=config, project=PROJECT)["upsertSweep"]["sweep"]
    join = """mutation A($sweep: String!, $project: String!) { createAgent(input: {
        host: "here", sweep: $sweep, projectName: $project}) { agent { id } } }"""
    agent = asked(registry, join, sweep=sweep["name"], project=PROJECT)["createAgent"]["agent"]
    beat = "mutation B($id: ID!) { agentHeartbeat(input: {id: $id}) { commands } }"
    (command,) = json.loads(asked(registry, beat, id=agent["id"])["agentHeartbeat"]["commands"])
    assert command["args"] == {name: {"value": 1}}
    assert registry.page(f"/local/{PROJECT}/sweeps/{sweep['name']}")


def of_run_file(registry: Registry, name: str) -> None:
    start(registry, run="files")
    uploaded(registry, "files", name, b"content")
    ask = """query F($project: String!) { project(name: $project, entityName: "local") { run(name: "files") {
        files { edges { node { name directUrl } } } } } }"""
    edges = asked(registry, ask, project=PROJECT)["project"]["run"]["files"]["edges"]
    (address,) = [edge["node"]["directUrl"] for edge in edges if edge["node"]["name"] == name]
    assert registry.send("GET", address, signed_in=False).body == b"content"
    assert registry.page(link(registry.page(f"/local/{PROJECT}/runs/files/files"), name.rpartition("/")[2]))


def of_column(registry: Registry, name: str) -> None:
    start(registry, run="tables")
    table = json.dumps({"columns": [name], "data": [[name]]}).encode()
    uploaded(registry, "tables", "media/table/t.table.json", table)
    address = f"/local/{PROJECT}/runs/tables/files/media/table/t.table.json"
    assert registry.page(address)
    (head,), (cell,) = csv.reader(io.StringIO(registry.page(f"{address}?view=csv"), newline=""))
    assert {head, cell} <= spellings(name)


def of_collection(registry: Registry, name: str) -> None:
    taken(registry, name=name, files={"a.txt": b"a"})
    assert registry.api().artifact(f"local/{PROJECT}/{name}:v0").collection.name == name
    assert registry.page(link(registry.page(f"/local/{PROJECT}/artifacts?all=collections"), name))


def of_alias(registry: Registry, name: str) -> None:
    artifact = log(registry, PROJECT, "aliased", {"a.txt": b"aliased"})
    ask = """mutation A($id: ID!, $alias: String!, $project: String!) { addAliases(input: {
        artifactID: $id, aliases: [{entityName: "local", projectName: $project, artifactCollectionName: "aliased",
        alias: $alias}]}) { success } }"""
    asked(registry, ask, id=artifact, alias=name, project=PROJECT)
    assert name in registry.api().artifact(f"local/{PROJECT}/aliased:{name}").aliases
    assert registry.page(f"/local/{PROJECT}/artifacts/model/aliased/{quote(name, safe='')}")


def of_tag_of_a_version(registry: Registry, name: str) -> None:
    artifact = log(registry, PROJECT, "tagged", {"a.txt": b"tagged"})
    ask = """mutation T($id: ID!, $tag: String!) { updateArtifact(input: {
        artifactID: $id, tagsToAdd: [{tagName: $tag}]}) { artifact { id } } }"""
    asked(registry, ask, id=artifact, tag=name)
    assert name in registry.api().artifact(f"local/{PROJECT}/tagged:latest").tags
    assert registry.page(f"/local/{PROJECT}/artifacts/model/tagged/v0")


def of_registered_model(registry: Registry, name: str) -> None:
    artifact = log(registry, PROJECT, "linked", {"a.txt": b"linked"})
    ask = """mutation L($id: ID!, $name: String!) { linkArtifact(input: {artifactID: $id, artifactPortfolioName: $name,
        entityName: "local", projectName: "model-registry"}) { versionIndex } }"""
    asked(registry, ask, id=artifact, name=name)
    assert registry.api().artifact(f"local/model-registry/{name}:v0").collection.name == name
    assert registry.page(link(registry.page("/registry/model"), name))


def of_file(registry: Registry, name: str) -> None:
    taken(registry, name="filed", files={name: b"filed"})
    (entry,) = registry.api().artifact(f"local/{PROJECT}/filed:latest").manifest.entries.values()
    assert entry.path == name
    version = f"/local/{PROJECT}/artifacts/model/filed/latest"
    folder = urlencode({"folder": name.rpartition("/")[0]}) if "/" in name else ""
    address = link(registry.page(f"{version}?{folder}"), name.rpartition("/")[2])
    assert registry.page(address)
    assert registry.page(f"{version}/raw/{quote(name)}") == "filed"


def taken(registry: Registry, name: str, files: dict[str, bytes]) -> None:
    try:
        made = announce(registry, PROJECT, name, files)
        if made["state"] != "COMMITTED":
            complete(registry, made["id"], files)
    except (AssertionError, UnicodeEncodeError) as error:
        text = str(error).partition("\nassert")[0].replace("AssertionError: ", "")
        message = json.loads(text)["errors"][0]["message"] if text.startswith("{") else text
        raise Refused(400, message) from None


KINDS: tuple[Callable[[Registry, str], None], ...] = (
    of_project,
    of_run_id,
    of_shown_name,
    of_tag,
    of_key,
    of_parameter,
    of_run_file,
    of_column,
    of_collection,
    of_alias,
    of_tag_of_a_version,
    of_registered_model,
    of_file,
)


def check(registry: Registry, kind: Callable[[Registry, str], None], name: str) -> None:
    try:
        kind(registry, name)
    except Refused as refusal:
        refused: tuple[int, str] = refusal.args
    else:
        return
    status, message = refused
    assert (400 <= status < 500, "\n" in message, len(message.split()) > 3) == (True, False, True), (name, message)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_few_odd_names_work_to_the_end_or_are_refused(registry: Registry, kind: Callable[[Registry, str], None]):
    for name in FEW:
        check(registry, kind, name)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_odd_names_work_to_the_end_or_are_refused(registry: Registry, kind: Callable[[Registry, str], None], name: str):
    check(registry, kind, name)

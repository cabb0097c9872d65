"""Who may do what: every root field of the schema and every endpoint, held against one table.

An operation that the table lacks fails, so a new one can't be forgotten. Of each rule two things are checked: whoever
has less than the least role is refused, and a stranger hears exactly what is heard about things that don't exist.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.wandb_registry.access_rules import (
    ABOUT_THE_ASKER,
    ADMIN,
    ENDPOINTS,
    MEMBER,
    MUTATIONS,
    OPERATOR,
    OWN_ACCOUNT,
    QUERIES,
    ROLES,
    STRANGER,
    VIEWER,
)
from tests.wandb_registry.by_hand import b64, data, log
from tests.wandb_registry.conftest import Account, Answer, Registry
from wandb_registry import daemon
from wandb_registry.app import create_app
from wandb_registry.graphql.execute import make_schema
from wandb_registry.http import middleware
from wandb_registry.store import open_store


def encoded(kind: str, number: int) -> str:
    return base64.b64encode(f"{kind}:{number}".encode()).decode()


ABSENT = {
    "team": "absent-team", "org": "absent-org", "orgentity": "absent-org_registry", "project": "absent-project",
    "registry_name": "wandb-registry-absent", "run_name": "absent-run", "client": "absent-client",
    "run": encoded("Run", 10**9), "artifact": encoded("Artifact", 10**9), "pending": encoded("Artifact", 10**9),
    "sequence": encoded("ArtifactSequence", 10**9), "portfolio": encoded("ArtifactPortfolio", 10**9),
    "registry": encoded("Project", 10**9), "manifest": encoded("ArtifactManifest", 10**9),
    "sweep": encoded("Sweep", 10**9), "sweep_name": "absent-sweep", "agent": encoded("Agent", 10**9),
    "file": encoded("RunFile", 10**9), "promotion": encoded("PromotionRequest", 10**9),
    "teamid": encoded("Entity", 10**9),
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """An organization with a team, and one account of each role in both."""

    registry: Registry
    accounts: dict[str, Account]

    def ask(self, role: str, kind: str, text: str, values: dict[str, str]) -> Answer:
        for name in sorted(values, key=len, reverse=True):
            text = text.replace(f"${name}", json.dumps(values[name]))
        return self.accounts[role].ask(f"{kind} {{ {text} }}")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    store = tmp_path_factory.mktemp("matrix") / "store"
    server = daemon.ensure(store)
    registry = Registry(server.url, server.entity, server.api_key, store)
    accounts = {role: registry.user(f"matrix{role}") for role in (STRANGER, VIEWER, MEMBER, ADMIN)}
    for arguments in (
        ("org", "add", "matrix", "--admin", "matrixadmin"),
        ("team", "add", "matrixteam", "--org", "matrix", "--member", "matrixadmin"),
        *(("org", "add-member", "matrix", f"matrix{role}", "--role", role) for role in (VIEWER, MEMBER)),
        *(("team", "add-member", "matrixteam", f"matrix{role}", "--role", role) for role in (VIEWER, MEMBER)),
        ("user", "add", "matrixother"),
        ("org", "add-member", "matrix", "matrixother", "--role", "viewer"),
    ):
        done = registry.command(*arguments)
        assert done.returncode == 0, done.stderr
    yield Place(registry, accounts | {OPERATOR: registry})
    daemon.stop(store)


@pytest.fixture
def thing(place: Place) -> dict[str, str]:
    """One of everything, new: its names and ids."""
    admin = replace(place.accounts[ADMIN], entity="matrixteam")
    mark = uuid.uuid4().hex[:10]
    project, registry_name, client = f"p{mark}", f"wandb-registry-{mark}", f"c{mark}"
    md5 = hashlib.md5(mark.encode()).hexdigest()
    start = 'mutation S($p: String!) { upsertBucket(input: {entityName: "matrixteam", modelName: $p, name: "r"}) '
    run = data(admin.ask(start + "{ bucket { id } } }", p=project))["upsertBucket"]["bucket"]["id"]
    artifact = log(admin, project, "own", {"file": mark.encode()}, client=client)
    values = {
        "team": "matrixteam", "org": "matrix", "orgentity": "matrix_registry", "project": project, "run_name": "r",
        "registry_name": registry_name, "client": client, "run": run, "artifact": artifact, "new": f"n{mark}",
        "md5": b64(mark.encode()), "md5_of_own": md5, "stored": f"wandb_artifacts/{md5}",
    }  # fmt: skip

    def did(text: str) -> dict:
        return data(place.ask(ADMIN, "mutation", text, values))

    made = did("upsertModel(input: {entityName: $orgentity, name: $registry_name}) { project { id } }")
    values["registry"] = made["upsertModel"]["project"]["id"]
    for name in ("ruled", "linked"):  # the first gets a rule from a request: only an admin may delete it
        linked = did(
            "linkArtifact(input: {artifactID: $artifact, entityName: $orgentity, projectName: $registry_name, "
            f'artifactPortfolioName: "{name}"}}) {{ artifactMembership {{ artifactCollection {{ __typename id }} }} }}'
        )
        values["portfolio"] = linked["linkArtifact"]["artifactMembership"]["artifactCollection"]["id"]
    asked = did(
        "requestPromotion(input: {entityName: $orgentity, projectName: $registry_name, "
        'artifactCollectionName: "ruled", version: "v0", alias: "y", reason: "", facts: "{}"}) { request { id } }'
    )
    values["promotion"] = asked["requestPromotion"]["request"]["id"]
    pending = did(
        'createArtifact(input: {entityName: $team, projectName: $project, digest: $md5, artifactTypeName: "model", '
        'artifactCollectionName: "own"}) { artifact { id artifactSequence { id } } }'
    )["createArtifact"]["artifact"]
    values |= {"pending": pending["id"], "sequence": pending["artifactSequence"]["id"]}
    manifest = did(
        'createArtifactManifest(input: {artifactID: $pending, name: "m", digest: "", entityName: $team, '
        'projectName: $project, runName: "r"}) { artifactManifest { id } }'
    )
    values["manifest"] = manifest["createArtifactManifest"]["artifactManifest"]["id"]
    sweep = did(
        'upsertSweep(input: {entityName: $team, projectName: $project, config: "{method: random, '
        'parameters: {x: {value: 1}}}"}) { sweep { id name } }'
    )["upsertSweep"]["sweep"]
    values |= {"sweep": sweep["id"], "sweep_name": sweep["name"]}
    agent = did(
        'createAgent(input: {host: "h", entityName: $team, projectName: $project, sweep: $sweep_name}) { agent { id } }'
    )
    values["agent"] = agent["createAgent"]["agent"]["id"]
    upload = did(
        'createRunFiles(input: {entityName: $team, projectName: $project, runName: "r", files: ["f"]}) '
        "{ files { uploadUrl } }"
    )["createRunFiles"]["files"][0]["uploadUrl"]
    assert admin.send("PUT", upload, b"text", signed_in=False).status == 200
    found = data(place.ask(ADMIN, "query", FOUND, values))
    values["file"] = found["project"]["run"]["files"]["edges"][0]["node"]["id"]
    values["teamid"] = found["entity"]["id"]
    values["user"], values["other"] = (found[name]["edges"][0]["node"]["id"] for name in ("users", "others"))
    values["upload"] = upload
    return values


FOUND = """
project(entityName: $team, name: $project) { run(name: "r") { files { edges { node { id } } } } }
users(query: "matrixviewer") { edges { node { id } } }
others: users(query: "matrixother") { edges { node { id } } } entity(name: $team) { id }
"""


def root_fields() -> tuple[set[str], set[str]]:
    schema = make_schema()
    assert schema.query_type
    assert schema.mutation_type
    return set(schema.query_type.fields), set(schema.mutation_type.fields)


def test_every_root_field_has_a_rule():
    queries, mutations = root_fields()
    assert queries - OWN_ACCOUNT == QUERIES.keys()
    assert mutations - OWN_ACCOUNT == MUTATIONS.keys()


def test_every_endpoint_has_a_rule(tmp_path: Path):
    app = create_app(open_store(tmp_path / "store"), middleware.RequestTracker(), True, None, None)  # type: ignore[arg-type]
    assert [route.path for route in app.routes] == list(ENDPOINTS)  # type: ignore[attr-defined]


@pytest.mark.parametrize("field", sorted(QUERIES))
def test_a_stranger_sees_what_is_seen_of_nothing(place: Place, thing: dict[str, str], field: str):
    there, absent = (place.ask(STRANGER, "query", QUERIES[field], values) for values in (thing, thing | ABSENT))
    assert same(there, absent, thing)
    for role in (VIEWER, MEMBER, ADMIN):
        seen = place.ask(role, "query", QUERIES[field], thing)
        assert seen.status == 200
        assert not same(seen, absent, thing)


@pytest.mark.parametrize("field", sorted(MUTATIONS))
def test_less_than_the_least_role_is_refused(place: Place, thing: dict[str, str], field: str):
    least, text = MUTATIONS[field]
    for role in ROLES[: ROLES.index(least)]:
        refused = place.ask(role, "mutation", text, thing)
        assert refused.status in (400, 403, 404) if field in ABOUT_THE_ASKER else refused.status in (403, 404), role
        if role == STRANGER and field not in ABOUT_THE_ASKER:
            assert refused.status == 404, refused.text
            assert same(refused, place.ask(role, "mutation", text, thing | ABSENT), thing)
    allowed = place.ask(least, "mutation", text, thing)
    assert allowed.status == 200, allowed.text


def same(there: Answer, absent: Answer, thing: dict[str, str]) -> bool:
    """Whether two answers differ in nothing but the names that were asked for."""
    said = absent.text
    for name, value in ABSENT.items():
        said = said.replace(json.dumps(value)[1:-1], thing[name])
    return (there.status, there.text) == (absent.status, said)


def test_endpoints_for_keys_ask_for_the_role(place: Place, thing: dict[str, str]):
    content = thing["md5"]
    md5 = base64.b64decode(content).hex()
    file = f"/artifactsV2/default/matrixteam/{thing['project']}/own/{thing['artifact']}/x/{md5}/file"
    stream = f"/files/matrixteam/{thing['project']}/r/file_stream"
    found = {role: place.accounts[role].send("GET", file).status for role in ROLES}
    assert found == {STRANGER: 404, VIEWER: 200, MEMBER: 200, ADMIN: 200, OPERATOR: 200}
    sent = {role: place.accounts[role].send("POST", stream, b"{}").status for role in ROLES}
    assert sent == {STRANGER: 404, VIEWER: 403, MEMBER: 200, ADMIN: 200, OPERATOR: 200}
    log = f"/activity/matrixteam/{thing['project']}/own"
    told = {role: place.accounts[role].send("GET", log) for role in ROLES}
    assert {role: answer.status for role, answer in told.items()} == {**found}
    assert [event["action"] for event in told[VIEWER].json()["events"]][:1] == ["log"]
    absent = place.accounts[STRANGER].send("GET", log.replace(thing["project"], "absent-project"))
    assert told[STRANGER].text == absent.text.replace("absent-project", thing["project"])
    assert place.accounts[VIEWER].send("GET", log + "?after=x").status == 400
    assert place.accounts[VIEWER].send("GET", log.replace("/own", "/none")).status == 404
    for method, path in (("GET", file), ("GET", log), ("POST", stream), ("POST", "/login/token"), ("POST", "/graphql")):
        assert place.registry.send(method, path, b"{}" if method == "POST" else b"", signed_in=False).status == 401


def test_addresses_open_nothing_without_their_signature(place: Place, thing: dict[str, str]):
    run = int(base64.b64decode(thing["run"]).decode().partition(":")[2])
    number = int(base64.b64decode(thing["artifact"]).decode().partition(":")[2])
    md5 = base64.b64decode(thing["md5"]).hex()
    for method, path in (
        ("GET", f"/storage/artifacts/{number}/wandb_manifest.json"),
        ("PUT", f"/storage/artifacts/{number}/{md5}"),
        ("PUT", f"/storage/manifests/{number}"),
        ("PUT", f"/storage/runs/{run}/f"),
        ("GET", f"/storage/wandb_artifacts/{md5}/file"),
    ):
        body = b"x" if method == "PUT" else b""
        assert place.accounts[ADMIN].send(method, path, body).status == 403
        assert place.accounts[ADMIN].send(method, f"{path}?expires=9999999999&signature=0", body).status == 403
    other = thing["upload"].replace(f"/runs/{run}/f", f"/runs/{run}/g")
    assert place.accounts[ADMIN].send("PUT", other, b"x").status == 403
    assert place.accounts[ADMIN].send("GET", thing["upload"]).status in (403, 405)


def test_pages_show_a_stranger_what_they_show_of_nothing(place: Place, thing: dict[str, str]):
    sessions = {}
    for role in ROLES:
        signed = place.accounts[role].send("POST", "/login", f"key={place.accounts[role].key}".encode())
        sessions[role] = {"Cookie": signed.headers["set-cookie"].partition(";")[0]}
    project = thing["project"]
    own = "/artifacts/model/own"
    inside = ("", "/runs", "/runs/r", "/artifacts", "/lineage", f"{own}/compare", f"{own}/v0")
    inside += (f"{own}/v0/files/file", f"{own}/v0/raw/file")
    pages = {f"/matrixteam/{project}{page}": f"/matrixteam/absent-project{page}" for page in inside}
    pages |= {"/matrixteam": "/absent-team"}
    for page, absent in pages.items():
        found = {role: place.registry.send("GET", page, signed_in=False, headers=sessions[role]) for role in ROLES}
        assert {role: answer.status for role, answer in found.items()} == dict.fromkeys(ROLES, 200) | {STRANGER: 404}
        nothing = place.registry.send("GET", absent, signed_in=False, headers=sessions[STRANGER])
        refusals = (found[STRANGER].text, nothing.text)
        told, of_nothing = (re.sub(r"request [0-9a-f]{6}<", "request N<", text) for text in refusals)
        assert told == of_nothing.replace("absent-project", project).replace("absent-team", "matrixteam")
        assert place.registry.send("GET", page, signed_in=False).status == 303
    for page in ("/", "/registry/model", "/orgs/matrix/registry/model", "/matrixteam/registry/model"):
        shown = place.registry.send("GET", page, signed_in=False, headers=sessions[STRANGER]).text
        assert project not in shown
        assert "linked" not in shown

"""Who may do what: every root field of the schema and every door, held against one table.

An operation that the table lacks fails, so a new one can't be forgotten. Of each rule two things are checked: whoever
has less than the least role is refused, and a stranger hears exactly what is heard about things that don't exist.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from registry import daemon, middleware
from registry.api.execute import make_schema
from registry.app import create_app
from registry.store import open_store

from .by_hand import b64, data, log
from .conftest import Account, Answer, Registry

STRANGER, VIEWER, MEMBER, ADMIN, OPERATOR = "stranger", "viewer", "member", "admin", "operator"
ROLES = (STRANGER, VIEWER, MEMBER, ADMIN, OPERATOR)

# What every account may ask about itself; the answer depends on nothing else.
OWN_ACCOUNT = {"viewer", "serverInfo", "generateApiKey", "deleteApiKey", "updateUser", "users", "createCustomChart"}

# Query fields: a stranger sees what is seen of a thing that doesn't exist; a viewer sees more.
QUERIES = {
    "entity": "entity(name: $team) { organization { name } projects { edges { node { id } } } }",
    "organization": "organization(name: $org) { id }",
    "project": "project(entityName: $team, name: $project) { id runs { edges { node { name } } } }",
    "model": "model(entityName: $team, name: $project) { id bucket(name: $run_name) { id } }",
    "models": "models(entityName: $team) { edges { node { name } } }",
    "artifact": "artifact(id: $artifact) { digest currentManifest { file { directUrl } } }",
    "artifactCollection": "artifactCollection(id: $sequence) { name artifacts { edges { node { id } } } }",
    "clientIDMapping": "clientIDMapping(clientID: $client) { serverID }",
}

# Mutation fields: the least role, and the change.
MUTATIONS = {
    "upsertBucket": (MEMBER, "upsertBucket(input: {id: $run, notes: \"x\"}) { inserted }"),
    "rewindRun": (MEMBER, "rewindRun(input: {runName: $run_name, entityName: $team, projectName: $project, "
                          "metricName: \"_step\", metricValue: 0}) { rewoundRun { id } }"),
    "stopRun": (MEMBER, "stopRun(input: {id: $run}) { success }"),
    "updateRunState": (MEMBER, "updateRunState(input: {id: $run, state: \"pending\"}) { success }"),
    "deleteRun": (MEMBER, "deleteRun(input: {id: $run}) { clientMutationId }"),
    "createRunFiles": (MEMBER, "createRunFiles(input: {entityName: $team, projectName: $project, runName: $run_name, "
                               "files: [\"a\"]}) { runID }"),
    "markRunFilesUploaded": (MEMBER, "markRunFilesUploaded(input: {entityName: $team, projectName: $project, "
                                     "runName: $run_name, files: []}) { success }"),
    "deleteFiles": (MEMBER, "deleteFiles(input: {files: [$file]}) { success }"),
    "notifyScriptableRunAlert": (MEMBER, "notifyScriptableRunAlert(input: {entityName: $team, projectName: $project, "
                                         "runName: $run_name, title: \"t\", text: \"t\"}) { success }"),
    "upsertSweep": (MEMBER, "upsertSweep(input: {id: $sweep, state: \"PAUSED\"}) { sweep { state } }"),
    "createAgent": (MEMBER, "createAgent(input: {host: \"h\", entityName: $team, projectName: $project, "
                            "sweep: $sweep_name}) { agent { id } }"),
    "agentHeartbeat": (MEMBER, "agentHeartbeat(input: {id: $agent}) { commands }"),
    "upsertModel": (ADMIN, "upsertModel(input: {entityName: $orgentity, name: $registry_name, description: \"x\"}) "
                           "{ inserted }"),
    "renameProject": (ADMIN, "renameProject(input: {entityName: $orgentity, oldProjectName: $registry_name, "
                             "newProjectName: \"wandb-registry-renamed\"}) { inserted }"),
    "deleteModel": (ADMIN, "deleteModel(input: {id: $registry}) { success }"),
    "createArtifactType": (MEMBER, "createArtifactType(input: {entityName: $team, projectName: $project, "
                                   "name: \"kind\"}) { artifactType { id } }"),
    "createArtifact": (MEMBER, "createArtifact(input: {entityName: $team, projectName: $project, digest: \"d\", "
                               "artifactTypeName: \"model\", artifactCollectionName: \"new\"}) { artifact { id } }"),
    "createArtifactManifest": (MEMBER, "createArtifactManifest(input: {artifactID: $pending, name: \"m\", "
                                       "digest: \"\", entityName: $team, projectName: $project, runName: $run_name}) "
                                       "{ artifactManifest { id } }"),
    "updateArtifactManifest": (MEMBER, "updateArtifactManifest(input: {artifactManifestID: $manifest, digest: \"d\"}) "
                                       "{ artifactManifest { id } }"),
    "createArtifactFiles": (MEMBER, "createArtifactFiles(input: {artifactFiles: [{artifactID: $pending, name: \"a\", "
                                    "md5: $md5}]}) { files { edges { node { uploadUrl } } } }"),
    "completeMultipartUploadArtifact": (MEMBER, "completeMultipartUploadArtifact(input: {artifactID: $pending, "
                                               "completeMultipartAction: Complete, completedParts: [], "
                                               "storagePath: $stored, uploadID: \"\"}) { digest }"),
    "commitArtifact": (MEMBER, "commitArtifact(input: {artifactID: $artifact}) { artifact { id } }"),
    "updateArtifact": (MEMBER, "updateArtifact(input: {artifactID: $artifact, description: \"x\"}) "
                               "{ artifact { id } }"),
    "useArtifact": (MEMBER, "useArtifact(input: {entityName: $team, projectName: $project, runName: $run_name, "
                            "artifactID: $artifact}) { artifact { id } }"),
    "deleteArtifact": (MEMBER, "deleteArtifact(input: {artifactID: $artifact, deleteAliases: true}) "
                               "{ artifact { id } }"),
    "addAliases": (MEMBER, "addAliases(input: {artifactID: $artifact, aliases: [{entityName: $orgentity, "
                           "projectName: $registry_name, artifactCollectionName: \"linked\", alias: \"x\"}]}) "
                           "{ success }"),
    "deleteAliases": (MEMBER, "deleteAliases(input: {artifactID: $artifact, aliases: [{entityName: $orgentity, "
                              "projectName: $registry_name, artifactCollectionName: \"linked\", alias: \"latest\"}]}) "
                              "{ success }"),
    "linkArtifact": (MEMBER, "linkArtifact(input: {artifactID: $artifact, entityName: $orgentity, "
                             "projectName: $registry_name, artifactPortfolioName: \"more\"}) { versionIndex }"),
    "unlinkArtifact": (MEMBER, "unlinkArtifact(input: {artifactID: $artifact, artifactPortfolioID: $portfolio}) "
                               "{ success }"),
    "updateArtifactSequence": (MEMBER, "updateArtifactSequence(input: {artifactSequenceID: $sequence, "
                                       "description: \"x\"}) { artifactCollection { id } }"),
    "updateArtifactPortfolio": (MEMBER, "updateArtifactPortfolio(input: {artifactPortfolioID: $portfolio, "
                                        "description: \"x\"}) { artifactCollection { id } }"),
    "moveArtifactSequence": (MEMBER, "moveArtifactSequence(input: {artifactSequenceID: $sequence, "
                                     "destinationArtifactTypeName: \"other\"}) { artifactCollection { id } }"),
    "deleteArtifactSequence": (MEMBER, "deleteArtifactSequence(input: {artifactSequenceID: $sequence}) "
                                       "{ artifactCollection { id } }"),
    "deleteArtifactPortfolio": (MEMBER, "deleteArtifactPortfolio(input: {artifactPortfolioID: $portfolio}) "
                                        "{ artifactCollection { id } }"),
    "createArtifactCollectionTagAssignments": (
        MEMBER, "createArtifactCollectionTagAssignments(input: {entityName: $team, projectName: $project, "
                "artifactCollectionName: \"own\", tags: [{tagName: \"t\"}]}) { tags { id } }"),
    "deleteArtifactCollectionTagAssignments": (
        MEMBER, "deleteArtifactCollectionTagAssignments(input: {entityName: $team, projectName: $project, "
                "artifactCollectionName: \"own\", tags: [{tagName: \"t\"}]}) { success }"),
    "createProjectMembers": (ADMIN, "createProjectMembers(input: {projectId: $registry, userIds: [$user]}) "
                                    "{ success }"),
    "deleteProjectMembers": (ADMIN, "deleteProjectMembers(input: {projectId: $registry, userIds: [$user]}) "
                                    "{ success }"),
    "updateProjectMember": (ADMIN, "updateProjectMember(input: {projectId: $registry, userId: $user, "
                                   "userProjectRole: \"viewer\"}) { success }"),
    "updateProjectTeamMember": (ADMIN, "updateProjectTeamMember(input: {projectId: $registry, teamId: $teamid, "
                                       "teamProjectRole: \"viewer\"}) { success }"),
    "updateProtectedAliases": (ADMIN, "updateProtectedAliases(input: {entityName: $orgentity, "
                                      "projectName: $registry_name, aliases: [\"gold\"]}) { project { id } }"),
    "createInvite": (ADMIN, "createInvite(input: {entityName: $team, username: \"matrixother\"}) { invite { id } }"),
    "deleteInvite": (ADMIN, "deleteInvite(input: {entityName: $team, id: $other}) { success }"),
    "createServiceAccount": (ADMIN, "createServiceAccount(input: {entityName: $team, description: $project}) "
                                    "{ user { id } }"),
    # These ask what the account is, not what it may do to a thing.
    "createTeam": (ADMIN, "createTeam(input: {teamName: $new}) { entity { id } }"),
    "createUser": (OPERATOR, "createUser(input: {email: $new}) { user { id } }"),
}  # fmt: skip
ABOUT_THE_ASKER = {"createTeam", "createUser"}

# Doors other than GraphQL. 'key': asks who it is, and the role counts. 'address': opened by a signed address alone.
# 'session': a browser that is signed in. 'open': tells nothing.
DOORS = {
    "/graphql": "key",
    "/files/{entity}/{project}/{run}/file_stream": "key",
    "/storage/artifacts/{artifact:int}/wandb_manifest.json": "address",
    "/storage/artifacts/{artifact:int}/{md5}": "address",
    "/storage/parts/{upload}/{number:int}/{md5}": "address",
    "/storage/manifests/{manifest:int}": "address",
    "/storage/runs/{run:int}/{name:path}": "address",
    "/storage/wandb_artifacts/{md5}/{name}": "address",
    "/artifactsV2/{region}/{entity}/{project}/{collection}/{artifact}/{birth}/{md5}/{name}": "key",
    "/activity/{entity}/{project}/{collection}": "key",
    "/sdk/otel/v1/metrics": "open",
    "/healthz": "open",
    "/": "session",
    "/static/{name}": "open",
    "/login": "open",
    "/login/token": "key",
    "/logout": "open",
    "/theme": "open",
    "/search": "session",
    "/live": "events",
    "/registry/model": "session",
    "/orgs/{org}/registry/{name}": "session",
    "/{entity}/registry/model": "session",
    "/{entity}/{project}/artifacts": "session",
    "/{entity}/{project}/artifacts/{type}": "session",
    "/{entity}/{project}/artifacts/{type}/{collection}": "session",
    "/{entity}/{project}/artifacts/{type}/{collection}/compare": "session",
    "/{entity}/{project}/artifacts/{type}/{collection}/{version}": "session",
    "/{entity}/{project}/artifacts/{type}/{collection}/{version}/files/{path:path}": "session",
    "/{entity}/{project}/artifacts/{type}/{collection}/{version}/raw/{path:path}": "session",
    "/{entity}/{project}/artifacts/{type}/{collection}/{version}/lineage": "session",
    "/{entity}/{project}": "session",
    "/{entity}/{project}/runs": "session",
    "/{entity}/{project}/lineage": "session",
    "/{entity}/{project}/compare": "session",
    "/{entity}/{project}/runs/{run}": "session",
    "/{entity}/{project}/runs/{run}/lineage": "session",
    "/{entity}/{project}/runs/{run}/{tab}": "session",
    "/{entity}/{project}/runs/{run}/files/{path:path}": "session",
    "/{entity}/{project}/runs/{run}/raw/{path:path}": "session",
    "/{entity}/{project}/sweeps/{sweep}": "session",
    "/{entity}/{project}/{tab}": "session",
    "/{entity}": "session",
}


def encoded(kind: str, number: int) -> str:
    return base64.b64encode(f"{kind}:{number}".encode()).decode()


ABSENT = {
    "team": "absent-team", "org": "absent-org", "orgentity": "absent-org_registry", "project": "absent-project",
    "registry_name": "wandb-registry-absent", "run_name": "absent-run", "client": "absent-client",
    "run": encoded("Run", 10**9), "artifact": encoded("Artifact", 10**9), "pending": encoded("Artifact", 10**9),
    "sequence": encoded("ArtifactSequence", 10**9), "portfolio": encoded("ArtifactPortfolio", 10**9),
    "registry": encoded("Project", 10**9), "manifest": encoded("ArtifactManifest", 10**9),
    "sweep": encoded("Sweep", 10**9), "sweep_name": "absent-sweep", "agent": encoded("Agent", 10**9),
    "file": encoded("RunFile", 10**9), "teamid": encoded("Entity", 10**9),
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
    start = 'mutation S($p: String!) { upsertBucket(input: {entityName: "matrixteam", modelName: $p, name: "r"}) '
    run = data(admin.ask(start + "{ bucket { id } } }", p=project))["upsertBucket"]["bucket"]["id"]
    artifact = log(admin, project, "own", {"file": mark.encode()}, client=client)
    values = {
        "team": "matrixteam", "org": "matrix", "orgentity": "matrix_registry", "project": project, "run_name": "r",
        "registry_name": registry_name, "client": client, "run": run, "artifact": artifact, "new": f"n{mark}",
        "md5": b64(mark.encode()), "stored": f"wandb_artifacts/{hashlib.md5(mark.encode()).hexdigest()}",
    }  # fmt: skip

    def did(text: str) -> dict:
        return data(place.ask(ADMIN, "mutation", text, values))

    made = did("upsertModel(input: {entityName: $orgentity, name: $registry_name}) { project { id } }")
    values["registry"] = made["upsertModel"]["project"]["id"]
    linked = did(
        "linkArtifact(input: {artifactID: $artifact, entityName: $orgentity, projectName: $registry_name, "
        'artifactPortfolioName: "linked"}) { artifactMembership { artifactCollection { __typename id } } }'
    )
    values["portfolio"] = linked["linkArtifact"]["artifactMembership"]["artifactCollection"]["id"]
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


def test_every_door_has_a_rule(tmp_path: Path):
    app = create_app(open_store(tmp_path / "store"), middleware.Activity(), True, None, None)  # type: ignore[arg-type]
    assert [route.path for route in app.routes] == list(DOORS)  # type: ignore[attr-defined]


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


def test_doors_for_keys_ask_for_the_role(place: Place, thing: dict[str, str]):
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
        assert found[STRANGER].text == nothing.text.replace("absent-project", project).replace(
            "absent-team", "matrixteam"
        )
        assert place.registry.send("GET", page, signed_in=False).status == 303
    for page in ("/", "/registry/model", "/orgs/matrix/registry/model", "/matrixteam/registry/model"):
        shown = place.registry.send("GET", page, signed_in=False, headers=sessions[STRANGER]).text
        assert project not in shown
        assert "linked" not in shown

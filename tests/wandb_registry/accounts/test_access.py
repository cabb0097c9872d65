"""Private by default: a stranger reads and writes nothing, by any door, and learns nothing from the refusal."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from wandb.errors import AuthenticationError, CommError

from tests.wandb_registry import by_hand
from tests.wandb_registry.conftest import Account, Registry

MEMBERSHIP = """
query Find($entity: String, $project: String, $name: String!) {
  project(name: $project, entityName: $entity) { artifactCollectionMembership(name: $name) { artifact { id
    currentManifest { file { directUrl } } } files { edges { node { name directUrl } } } } } }
"""
RUN = "query Run($e: String!, $p: String!, $r: String!) { project(name: $p, entityName: $e) { run(name: $r) { id } } }"


@pytest.fixture(scope="module")
def stranger(registry: Registry) -> Account:
    return registry.user("stranger")


@pytest.fixture(scope="module")
def secret(registry: Registry) -> dict[str, str]:
    """Something that a stranger would like to have: a run, a version, and their ids and addresses."""
    with registry.run("secret") as run:
        registry.log_file(run, "weights", "secret")
    found = registry.ask(MEMBERSHIP, entity="local", project="secret", name="weights:latest").json()
    membership = found["data"]["project"]["artifactCollectionMembership"]
    return {
        "run": run.id,
        "run_id": registry.ask(RUN, e="local", p="secret", r=run.id).json()["data"]["project"]["run"]["id"],
        "artifact": membership["artifact"]["id"],
        "manifest": membership["artifact"]["currentManifest"]["file"]["directUrl"],
        "file": membership["files"]["edges"][0]["node"]["directUrl"],
    }


def test_a_wrong_key_is_refused_with_a_sentence(registry: Registry):
    with pytest.raises(AuthenticationError, match="No account of this registry has this API key"):
        Account(registry.url, "local", "0" * 40).api().runs("secret")


def test_a_request_without_a_key_is_refused(registry: Registry, secret: dict[str, str]):
    assert registry.send("POST", "/graphql", b"{}", signed_in=False).status == 401
    stream = f"/files/local/secret/{secret['run']}/file_stream"
    assert registry.send("POST", stream, b"{}", signed_in=False).status == 401


def test_a_stranger_finds_nothing_and_hears_the_same_as_of_what_is_not_there(stranger: Account, secret: dict[str, str]):
    api = stranger.api()
    with pytest.raises(CommError, match="project 'secret' not found under entity 'local'"):
        api.artifact("local/secret/weights:latest")
    with pytest.raises(ValueError, match="Could not find project secret"):
        len(api.runs("local/secret"))
    assert list(api.projects("local")) == []
    hidden = stranger.ask("query A($id: ID!) { artifact(id: $id) { digest } }", id=secret["artifact"])
    assert hidden.json() == {"data": {"artifact": None}}


@pytest.mark.parametrize(
    ("mutation", "arguments"),
    [
        ("upsertBucket(input: {id: $run_id, notes: $x}) { inserted }", ("run_id",)),
        ("deleteRun(input: {id: $run_id}) { clientMutationId }", ("run_id",)),
        ("updateArtifact(input: {artifactID: $artifact, description: $x}) { artifact { id } }", ("artifact",)),
        ("deleteArtifact(input: {artifactID: $artifact, deleteAliases: true}) { artifact { id } }", ("artifact",)),
        ("commitArtifact(input: {artifactID: $artifact}) { artifact { id } }", ("artifact",)),
        (
            'linkArtifact(input: {artifactID: $artifact, entityName: "stranger", projectName: "mine", '
            'artifactPortfolioName: "stolen"}) { versionIndex }',
            ("artifact",),
        ),
    ],
)
def test_a_stranger_changes_nothing(stranger: Account, secret: dict[str, str], mutation: str, arguments: tuple):
    kinds = {"run_id": "String" if "upsert" in mutation else "ID!", "artifact": "ID!"}
    head = ", ".join(f"${name}: {kinds[name]}" for name in arguments)
    values = {name: secret[name] for name in arguments}
    if "$x" in mutation:
        head, values = head + ", $x: String", values | {"x": "changed"}
    refused = stranger.ask(f"mutation M({head}) {{ {mutation} }}", **values)
    assert refused.status == 404
    assert "was not found" in refused.json()["errors"][0]["message"]


def test_a_stranger_cannot_start_a_run_in_another_entity(stranger: Account):
    start = 'mutation U { upsertBucket(input: {entityName: "local", modelName: "%s", name: "mine"}) { inserted } }'
    known, unknown = stranger.ask(start % "secret"), stranger.ask(start % "no-such-project")
    assert (known.status, unknown.status) == (404, 404)
    assert known.body == unknown.body
    assert "Entity 'local' was not found, or 'stranger' doesn't belong to it." in known.text


def test_a_stranger_cannot_write_to_the_stream_of_a_run(stranger: Account, secret: dict[str, str]):
    body = json.dumps({"complete": True, "exitcode": 3}).encode()
    assert stranger.send("POST", f"/files/local/secret/{secret['run']}/file_stream", body).status == 404


def test_a_files_address_opens_it_and_no_other_address_does(registry: Registry, stranger: Account, secret: dict):
    assert stranger.send("GET", secret["file"], signed_in=False).text == "secret"
    assert json.loads(stranger.send("GET", secret["manifest"], signed_in=False).body)["version"] == 1
    bare = secret["file"].partition("?")[0]
    assert stranger.send("GET", bare).status == 403
    assert stranger.send("GET", secret["file"].replace("signature=", "signature=0")).status == 403
    assert stranger.send("PUT", secret["file"], b"other").status in (403, 405)


def test_the_door_for_keys_asks_whether_the_key_may_read_the_version(
    registry: Registry, stranger: Account, secret: dict[str, str]
):
    md5 = hashlib.md5(b"secret").hexdigest()
    address = f"/artifactsV2/default/local/secret/weights/{secret['artifact']}/x/{md5}/content.txt"
    assert registry.send("GET", address).text == "secret"
    assert stranger.send("GET", address).status == 404
    assert registry.send("GET", address, signed_in=False).status == 401


def test_knowing_an_md5_does_not_give_its_content(stranger: Account, secret: dict[str, str]):
    created = stranger.ask(
        """
        mutation C($digest: String!) { createArtifact(input: {entityName: "stranger", projectName: "mine",
          artifactTypeName: "model", artifactCollectionName: "stolen", digest: $digest}) { artifact { id } } }
        """,
        digest="0" * 32,
    ).json()["data"]["createArtifact"]["artifact"]["id"]
    files = stranger.ask(
        """
        mutation F($artifact: ID!, $md5: String!) { createArtifactFiles(input: {artifactFiles: [
          {artifactID: $artifact, name: "content.txt", md5: $md5}]}) { files { edges { node { uploadUrl } } } } }
        """,
        artifact=created,
        md5=base64.b64encode(hashlib.md5(b"secret").digest()).decode(),
    ).json()["data"]["createArtifactFiles"]["files"]["edges"]
    assert files[0]["node"]["uploadUrl"] is not None, "who has the content must be able to send it"


def test_knowing_an_md5_does_not_give_its_content_to_a_member_whom_the_project_is_closed_to(registry: Registry):
    owner, member = registry.user("closer"), registry.user("closedout")
    registry.command("org", "add", "half", "--admin", "closer")
    registry.command("org", "add-member", "half", "closedout", "--role", "member")
    registry.command("team", "add", "halfteam", "--org", "half", "--member", "closer")
    registry.command("team", "add", "halfteam", "--org", "half", "--member", "closedout")
    registry.command("team", "add-member", "halfteam", "closedout", "--role", "member")
    close = (
        'mutation { upsertModel(input: {entityName: "halfteam", name: "closed", access: "RESTRICTED"}) { inserted } }'
    )
    assert owner.ask(close).status == 200
    for account in (owner, member):  # the member has the same bytes, and has to send them too
        team, files = Account(registry.url, "halfteam", account.key), {"a": b"behind a closed door"}
        project = "closed" if account is owner else "open"
        begun = by_hand.data(team.ask(by_hand.CREATE, entity="halfteam", project=project, name="m", digest="d"))
        wanted = {"artifactID": begun["createArtifact"]["artifact"]["id"], "name": "a", "md5": by_hand.b64(files["a"])}
        [edge] = by_hand.data(team.ask(by_hand.FILES, files=[wanted]))["createArtifactFiles"]["files"]["edges"]
        assert edge["node"]["uploadUrl"]
        assert by_hand.log(team, project, "m", files)
    assert member.ask('{ project(name: "closed", entityName: "halfteam") { id } }').json()["data"]["project"] is None


def test_a_link_leads_to_its_version_and_not_to_what_lies_beside_it(registry: Registry):
    """Whoever could read a registry listed, and fetched, all artifacts of the private project behind any link in it."""
    owner, reader = registry.user("linker"), registry.user("linkreader")
    registry.command("org", "add", "links", "--admin", "linker")
    registry.command("org", "add-member", "links", "linkreader", "--role", "viewer")
    registry.command("team", "add", "hidden", "--org", "links", "--member", "linker")
    made = 'mutation { upsertModel(input: {entityName: "links_registry", name: "wandb-registry-model"}) { inserted } }'
    assert owner.ask(made).status == 200
    team = Account(registry.url, "hidden", owner.key)
    by_hand.log(team, "lab", "weights", {"a": b"not linked"})
    linked = by_hand.log(team, "lab", "weights", {"a": b"linked"})
    by_hand.log(team, "lab", "other", {"a": b"of another name"})
    link = """mutation L($id: ID!) { linkArtifact(input: {artifactID: $id, artifactPortfolioName: "M",
      entityName: "links_registry", projectName: "wandb-registry-model"}) { versionIndex } }"""
    assert owner.ask(link, id=linked).status == 200
    beside = """query B($id: ID!) { artifact(id: $id) { digest aliases { artifactCollection { name } }
      artifactSequence { name project { name } latestArtifact { id } artifactMembership(aliasName: "v0") { id }
        aliases { edges { node { alias } } } artifacts { edges { node { id } } } }
      artifactType { name artifactCollection(name: "other") { name } artifactSequence(name: "other") { name }
        artifact(name: "other:v0") { id } artifactCollections { edges { node { name } } } } } }"""
    seen, own = (by_hand.data(account.ask(beside, id=linked))["artifact"] for account in (reader, owner))
    assert own["artifactType"]["artifact"]
    assert len(own["artifactSequence"]["artifacts"]["edges"]) == 2
    assert seen["digest"] == own["digest"]
    assert {alias["artifactCollection"]["name"] for alias in seen["aliases"]} == {"M"}
    nothing = {"edges": []}
    assert seen["artifactSequence"] == {"name": "weights", "project": None, "latestArtifact": None,
        "artifactMembership": None, "aliases": nothing, "artifacts": nothing}  # fmt: skip
    assert seen["artifactType"] == {"name": "model", "artifactCollection": None, "artifactSequence": None,
        "artifact": None, "artifactCollections": nothing}  # fmt: skip


def test_a_colleague_does_not_show_the_teams_one_is_not_in(registry: Registry):
    registry.user("between")
    asker = registry.user("outsider")
    for organization, others in {"shared": ["outsider"], "elsewhere": []}.items():
        registry.command("org", "add", organization, "--admin", "between")
        registry.command("team", "add", f"team-{organization}", "--org", organization, "--member", "between")
        for other in others:
            registry.command("team", "add", f"team-{organization}", "--org", organization, "--member", other)
    known = """{ users(query: "between") { edges { node { organizations { name }
      teams { edges { node { name members { username } } } } } } } }"""
    [edge] = by_hand.data(asker.ask(known))["users"]["edges"]
    assert edge["node"]["organizations"] == [{"name": "shared"}]
    own, team = (edge["node"] for edge in edge["node"]["teams"]["edges"])
    assert (own["members"], team["name"]) == ([], "team-shared")


def test_a_foreign_host_or_page_is_refused(registry: Registry):
    assert registry.send("GET", "/healthz", headers={"Host": "evil.example"}).status == 403
    assert registry.send("POST", "/graphql", b"{}", headers={"Origin": "http://evil.example"}).status == 403

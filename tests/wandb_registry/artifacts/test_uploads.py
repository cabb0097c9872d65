"""No version is committed with a missing or wrong file, whatever a client sends."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import uuid
from pathlib import Path

import psutil
import pytest
import wandb

from tests.wandb_registry import by_hand
from tests.wandb_registry.conftest import Account, Answer, Registry, in_folder

CREATE = """
mutation Create($name: String!, $digest: String!) {
  createArtifact(input: {entityName: "local", projectName: "uploads-by-hand", artifactTypeName: "model",
    artifactCollectionName: $name, digest: $digest, enableDigestDeduplication: true}) { artifact { id state } }
}
"""
FILES = """
mutation Files($files: [CreateArtifactFileSpecInput!]!) {
  createArtifactFiles(input: {artifactFiles: $files}) { files { edges { node {
    uploadUrl uploadHeaders artifact { id } } } } }
}
"""
MANIFEST = """
mutation Manifest($artifact: ID!, $digest: String!, $type: ArtifactManifestType) {
  createArtifactManifest(input: {artifactID: $artifact, name: "wandb_manifest.json", digest: $digest,
    entityName: "local", projectName: "uploads-by-hand", runName: "", type: $type}) {
    artifactManifest { id file { uploadUrl } } }
}
"""
DELETE = "mutation D($id: ID!) { deleteArtifact(input: {artifactID: $id, deleteAliases: true}) { artifact { id } } }"
COMMIT = "mutation Commit($artifact: ID!) { commitArtifact(input: {artifactID: $artifact}) { artifact { id digest } } }"


def b64(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()


def artifact_digest(entries: dict[str, dict]) -> str:
    md5 = hashlib.md5(b"wandb-artifact-manifest-v1\n")
    for path in sorted(entries):
        md5.update(f"{path}:{entries[path]['digest']}\n".encode())
    return md5.hexdigest()


class Upload:
    """A version uploaded step by step, so that each step can be done wrongly."""

    def __init__(self, registry: Registry, files: dict[str, bytes], digest: str | None = None, name: str | None = None):
        self.registry, self.files = registry, files
        self.entries = {path: {"digest": b64(content), "size": len(content)} for path, content in files.items()}
        self.headers: dict[str | None, dict[str, str]] = {}
        name = name or f"a{uuid.uuid4().hex}"
        made = registry.ask(CREATE, name=name, digest=digest or artifact_digest(self.entries))
        self.id = made.json()["data"]["createArtifact"]["artifact"]["id"]

    def addresses(self) -> list[str | None]:
        files = [{"artifactID": self.id, "name": path, "md5": entry["digest"]} for path, entry in self.entries.items()]
        edges = self.registry.ask(FILES, files=files).json()["data"]["createArtifactFiles"]["files"]["edges"]
        places = [edge["node"] for edge in edges]
        self.headers |= {place["uploadUrl"]: by_hand.headers(place) for place in places}
        return [place["uploadUrl"] for place in places]

    def put(self, address: str, content: bytes) -> Answer:
        return self.registry.send("PUT", address, content, signed_in=False, headers=self.headers.get(address))

    def put_files(self) -> None:
        for address, content in zip(self.addresses(), self.files.values(), strict=True):
            if address:
                assert self.put(address, content).status == 200

    def put_manifest(self, text: bytes | None = None, announced: str | None = None, type: str = "FULL") -> Answer:
        manifest = {"version": 1, "storagePolicy": "wandb-storage-policy-v1", "contents": self.entries}
        text = text or json.dumps(manifest).encode()
        made = self.registry.ask(MANIFEST, artifact=self.id, digest=announced or b64(text), type=type).json()
        return self.put(made["data"]["createArtifactManifest"]["artifactManifest"]["file"]["uploadUrl"], text)

    def commit(self) -> Answer:
        return self.registry.ask(COMMIT, artifact=self.id)


def refused(answer: Answer) -> str:
    assert answer.status == 400
    return answer.json()["errors"][0]["message"]


def some_bytes() -> bytes:
    return uuid.uuid4().bytes


def test_a_whole_upload_is_committed(registry: Registry):
    upload = Upload(registry, {"a": some_bytes(), "b": b""})
    upload.put_files()
    upload.put_manifest()
    assert upload.commit().json()["data"]["commitArtifact"]["artifact"]["digest"] == artifact_digest(upload.entries)
    assert upload.commit().status == 200, "a repeated commit is answered like the first"


@in_folder
def test_content_with_another_md5_is_refused_and_not_kept(registry: Registry):
    upload = Upload(registry, {"a": some_bytes()})
    [address] = upload.addresses()
    assert address
    assert "Nothing was stored; upload it again." in refused(upload.put(address, b"corrupted"))
    assert upload.addresses() != [None]


def test_a_version_with_a_missing_file_is_not_committed(registry: Registry):
    upload = Upload(registry, {"a": some_bytes(), "b": some_bytes()})
    first = upload.addresses()[0]
    assert first
    upload.put(first, upload.files["a"])
    upload.put_manifest()
    assert refused(upload.commit()).startswith("b: its content (md5 ")


def test_a_manifest_must_have_the_announced_md5(registry: Registry):
    upload = Upload(registry, {"a": some_bytes()})
    upload.put_files()
    assert "The manifest's upload has md5" in refused(upload.put_manifest(announced=b64(b"another")))
    assert "manifest was not uploaded" in refused(upload.commit())


def test_a_manifest_must_give_the_digest_that_was_announced(registry: Registry):
    upload = Upload(registry, {"a": some_bytes()}, digest="0" * 32)
    upload.put_files()
    upload.put_manifest()
    assert "give the digest" in refused(upload.commit())


@pytest.mark.parametrize(
    "text",
    [
        b"not json",
        b'{"version": 2, "contents": {}}',
        b'{"version": 1}',
        b"[]",
        b"[" * 100_000,
        b'{"version": 1, "contents": {"a": {"digest": "1", "size": "many"}}}',
        b'{"version": 1, "contents": {"a": {"digest": "1", "ref": {}}}}',
        b'{"version": 1, "contents": {"a": {"digest": "1", "birthArtifactID": 5}}}',
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(registry: Registry, text: bytes):
    upload = Upload(registry, {})
    upload.put_manifest(text)
    assert "is not one of version 1" in refused(upload.commit())


@pytest.mark.parametrize("path", ["../up", "/root", "a/../../b", "", "a//b", "a\\..\\..\\b"])
def test_a_path_that_leaves_the_artifact_is_refused(registry: Registry, path: str):
    upload = Upload(registry, {path: some_bytes()})
    upload.put_files()
    upload.put_manifest()
    assert "paths are relative and stay in the artifact" in refused(upload.commit())


@in_folder
def test_a_file_of_a_version_that_is_gone_meanwhile_is_refused(registry: Registry):
    upload = Upload(registry, {"a": some_bytes()})
    (address,) = upload.addresses()
    of = registry.ask("query($id: ID!) { artifact(id: $id) { artifactSequence { id } } }", id=upload.id).json()
    delete = (
        "mutation($id: ID!) { deleteArtifactSequence(input: {artifactSequenceID: $id}) { artifactCollection { id } } }"
    )
    assert registry.ask(delete, id=of["data"]["artifact"]["artifactSequence"]["id"]).status == 200
    assert address
    assert "was deleted while this file was on its way" in upload.put(address, upload.files["a"]).text


def test_a_version_that_adds_to_one_that_is_deleted_meanwhile_is_refused(registry: Registry):
    """It was committed with its own files alone: those of the version before were lost without a word."""
    name = f"a{uuid.uuid4().hex}"
    base = by_hand.log(registry, "uploads-by-hand", name, {"old": some_bytes()})
    adds = Upload(registry, {"new": some_bytes()}, name=name)
    adds.put_files()
    adds.put_manifest(type="INCREMENTAL")
    assert registry.ask(DELETE, id=base).status == 200
    assert "was deleted meanwhile" in adds.commit().text


def test_an_announcement_that_is_sent_again_names_what_another_writer_has_committed_meanwhile(registry: Registry):
    """The name that the SDK has for it led to the version that was never finished: what linked by it failed."""
    files, name, client = {"a": some_bytes()}, f"a{uuid.uuid4().hex}", uuid.uuid4().hex
    told = {"entity": "local", "project": "uploads-by-hand", "name": name, "client": client}
    for _ in range(2):
        made = registry.ask(by_hand.CREATE, digest=by_hand.artifact_digest(files), aliases=[], **told)
        other = by_hand.log(registry, "uploads-by-hand", name, files)
    assert made.json()["data"]["createArtifact"]["artifact"]["id"] == other
    asked = registry.ask("query($id: ID!) { clientIDMapping(clientID: $id) { serverID } }", id=client).json()
    assert asked["data"]["clientIDMapping"]["serverID"] == other


def test_a_size_that_the_content_has_not_is_refused(registry: Registry):
    upload = Upload(registry, {"a": some_bytes()})
    upload.put_files()
    upload.entries["a"]["size"] = 3
    upload.put_manifest()
    assert "a: the upload has 16 bytes, the manifest says 3." in refused(upload.commit())


def test_addresses_come_in_the_order_they_were_asked_for(registry: Registry):
    upload = Upload(registry, {"b": some_bytes(), "a": some_bytes(), "again": b"twice", "twice": b"twice"})
    asked = [hashlib.md5(content).hexdigest() for content in upload.files.values()]
    assert [address.partition("?")[0].rpartition("/")[2] for address in upload.addresses() if address] == asked


@in_folder
def test_content_is_kept_as_dvc_keeps_it_and_never_written_again(registry: Registry):
    content = some_bytes()
    upload = Upload(registry, {"a": content})
    upload.put_files()
    md5 = hashlib.md5(content).hexdigest()
    file = registry.store / "blobs" / md5[:2] / md5[2:]
    assert file.read_bytes() == content
    assert file.stat().st_mode & 0o777 == 0o444


@in_folder
def test_content_that_the_store_lost_is_asked_for_again(registry: Registry):
    content = some_bytes()
    Upload(registry, {"a": content}).put_files()
    lost = Upload(registry, {"b": content})
    assert lost.addresses() == [None]
    md5 = hashlib.md5(content).hexdigest()
    (registry.store / "blobs" / md5[:2] / md5[2:]).unlink()
    lost.put_manifest()
    assert "was not uploaded" in refused(lost.commit())
    lost.put_files()
    assert lost.commit().status == 200


IN_PARTS = """
mutation Parts($files: [CreateArtifactFileSpecInput!]!) {
  createArtifactFiles(input: {artifactFiles: $files}) { files { edges { node {
    uploadUrl storagePath uploadMultipartUrls { uploadID uploadUrlParts { partNumber uploadUrl } } } } } }
}
"""
COMPLETE = """
mutation Complete($artifact: ID!, $path: String!, $upload: String!, $parts: [UploadPartsInput!]!) {
  completeMultipartUploadArtifact(input: {completeMultipartAction: Complete, artifactID: $artifact,
    storagePath: $path, uploadID: $upload, completedParts: $parts}) { digest }
}
"""


class InParts(Upload):
    """A version whose one file goes up in parts."""

    def __init__(self, registry: Registry, parts: list[bytes]):
        super().__init__(registry, {"large": b"".join(parts)})
        self.parts = [{"partNumber": at, "hexMD5": hashlib.md5(part).hexdigest()} for at, part in enumerate(parts, 1)]
        file = {"artifactID": self.id, "name": "large", "md5": self.entries["large"]["digest"]}
        asked = registry.ask(IN_PARTS, files=[file | {"uploadPartsInput": self.parts}]).json()["data"]
        self.node = asked["createArtifactFiles"]["files"]["edges"][0]["node"]
        self.places = [part["uploadUrl"] for part in self.node["uploadMultipartUrls"]["uploadUrlParts"]]

    def complete(self) -> Answer:
        upload = self.node["uploadMultipartUrls"]["uploadID"]
        path = self.node["storagePath"]
        return self.registry.ask(COMPLETE, artifact=self.id, path=path, upload=upload, parts=self.parts)


@in_folder
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_large_file_arrives_in_parts_in_any_order(registry: Registry, order: tuple[int, ...]):
    parts = [some_bytes() * 100_000, some_bytes() * 200_000, some_bytes()]
    upload = InParts(registry, parts)
    assert upload.node["uploadUrl"], "null would say that the file is here already"
    for at in order:
        assert "Not all parts" in refused(upload.complete())
        answer = upload.put(upload.places[at], parts[at])
        assert (answer.status, answer.headers["etag"]) == (200, f'"{upload.parts[at]["hexMD5"]}"')
    assert upload.complete().json()["data"]["completeMultipartUploadArtifact"]["digest"] == b64(b"".join(parts))
    assert upload.addresses() == [None]
    upload.put_manifest()
    assert upload.commit().status == 200
    assert not list((registry.store / "incoming").iterdir())


@in_folder
def test_a_part_with_other_bytes_is_refused_and_can_be_sent_again(registry: Registry):
    parts = [some_bytes(), some_bytes()]
    upload = InParts(registry, parts)
    assert "Nothing was stored; upload it again." in refused(upload.put(upload.places[0], b"corrupted"))
    for place, part in [*zip(upload.places, parts, strict=True)][::-1]:
        assert upload.put(place, part).status == 200
        assert upload.put(upload.places[1], parts[1]).status in (200, 404), "again, for who missed the answer"
    assert upload.complete().status == 200


@in_folder
def test_parts_that_are_another_file_together_are_refused(registry: Registry):
    upload = InParts(registry, [some_bytes(), some_bytes()])
    others = [some_bytes(), some_bytes()]
    promised = [{"partNumber": at, "hexMD5": hashlib.md5(part).hexdigest()} for at, part in enumerate(others, 1)]
    file = {"artifactID": upload.id, "name": "large", "md5": upload.entries["large"]["digest"]}
    asked = registry.ask(IN_PARTS, files=[file | {"uploadPartsInput": promised}]).json()["data"]
    node = asked["createArtifactFiles"]["files"]["edges"][0]["node"]
    first, second = (part["uploadUrl"] for part in node["uploadMultipartUrls"]["uploadUrlParts"])
    assert upload.put(first, others[0]).status == 200
    assert "Nothing was stored; upload it again." in refused(upload.put(second, others[1]))
    assert "Not all parts" in refused(upload.complete())
    assert not list((registry.store / "incoming").iterdir())


@pytest.mark.soak
def test_the_sdk_sends_and_fetches_a_file_of_more_than_2_gib(registry: Registry, tmp_path: Path):
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        for at in range(21):
            file.write(bytes([at]) * (100 * 2**20))
    with registry.run("large") as run:
        artifact = wandb.Artifact("large", "dataset")
        artifact.add_file(str(large), policy="immutable", skip_cache=True)
        run.log_artifact(artifact).wait()
    memory = psutil.Process(json.loads((registry.store / "server.json").read_text())["pid"]).memory_info().rss
    assert memory < 200 * 2**20, "flat in the file's size"
    version = registry.api().artifact("large/large:latest")
    fetched = version.get_entry("large.bin").download(str(tmp_path / "fetched"))
    with open(fetched, "rb") as got, large.open("rb") as sent:
        digests = [hashlib.file_digest(file, "md5").digest() for file in (got, sent)]
    assert digests[0] == digests[1]
    version.delete(delete_aliases=True)


TO_SEND = "query T($entity: String!, $md5s: [String!]!) { contentsToSend(entityName: $entity, md5s: $md5s) }"
SEND = "mutation S($input: SendContentsInput!) { sendContents(input: $input) { success } }"


def sent(account: Account, contents: list[str], entity: str = "") -> Answer:
    return account.ask(SEND, input={"entityName": entity or account.entity, "contents": contents})


@in_folder
def test_many_small_contents_come_in_one_request(registry: Registry):
    """An account's version finds those that the account sent ahead, and nobody else's does."""
    files = {f"{number}": os.urandom(50) for number in range(300)} | {"empty": b""}
    md5s = [hashlib.md5(content).hexdigest() for content in files.values()]
    mika = registry.user(f"mika{uuid.uuid4().hex[:8]}")
    by_hand.log(mika, "ahead", "before", {"0": files["0"]})

    def to_send() -> list[str]:
        return by_hand.data(mika.ask(TO_SEND, entity=mika.entity, md5s=md5s))["contentsToSend"]

    assert to_send() == md5s[1:]
    assert by_hand.data(sent(mika, [base64.b64encode(content).decode() for content in files.values()]))
    assert by_hand.places(mika, by_hand.announce(mika, "ahead", "all", files)["id"], files) == [None] * len(files)
    by_hand.log(mika, "ahead", "all", files)
    assert to_send() == []
    eve = registry.user(f"eve{uuid.uuid4().hex[:8]}")
    assert None not in by_hand.places(eve, by_hand.announce(eve, "ahead", "all", files)["id"], files)
    for number in ("0", "299", "empty"):
        got = mika.api().artifact(f"{mika.entity}/ahead/all:latest").get_entry(number).download(skip_cache=True)
        assert Path(got).read_bytes() == files[number]


@in_folder
def test_what_is_wrong_with_contents_that_are_sent_ahead(registry: Registry):
    mika = registry.user(f"mika{uuid.uuid4().hex[:8]}")
    fine = base64.b64encode(os.urandom(20)).decode()
    assert sent(mika, [fine, "no base64"]).status == 400
    assert "A content is not base64. Nothing was stored." in sent(mika, [fine, "no base64"]).text
    assert "Up to 1000 contents are sent at once." in sent(mika, [""] * 1001).text
    assert "doesn't belong to it" in sent(mika, [fine], registry.entity).text
    assert "Up to 10000 md5s are named at once." in mika.ask(TO_SEND, entity=mika.entity, md5s=["../etc"]).text
    left = hashlib.md5(base64.b64decode(fine)).hexdigest()
    assert not (registry.store / "blobs" / left[:2] / left[2:]).exists()

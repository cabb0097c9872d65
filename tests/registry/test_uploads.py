"""No version is committed with a missing or wrong file, whatever a client sends."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid

import pytest

from .conftest import Answer, Registry

CREATE = """
mutation Create($name: String!, $digest: String!) {
  createArtifact(input: {entityName: "local", projectName: "uploads-by-hand", artifactTypeName: "model",
    artifactCollectionName: $name, digest: $digest, enableDigestDeduplication: true}) { artifact { id state } }
}
"""
FILES = """
mutation Files($files: [CreateArtifactFileSpecInput!]!) {
  createArtifactFiles(input: {artifactFiles: $files}) { files { edges { node { uploadUrl artifact { id } } } } }
}
"""
MANIFEST = """
mutation Manifest($artifact: ID!, $digest: String!) {
  createArtifactManifest(input: {artifactID: $artifact, name: "wandb_manifest.json", digest: $digest,
    entityName: "local", projectName: "uploads-by-hand", runName: "", type: FULL}) {
    artifactManifest { id file { uploadUrl } } }
}
"""
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

    def __init__(self, registry: Registry, files: dict[str, bytes], digest: str | None = None):
        self.registry, self.files = registry, files
        self.entries = {path: {"digest": b64(content), "size": len(content)} for path, content in files.items()}
        made = registry.ask(CREATE, name=f"a{uuid.uuid4().hex}", digest=digest or artifact_digest(self.entries))
        self.id = made.json()["data"]["createArtifact"]["artifact"]["id"]

    def addresses(self) -> list[str | None]:
        files = [{"artifactID": self.id, "name": path, "md5": entry["digest"]} for path, entry in self.entries.items()]
        edges = self.registry.ask(FILES, files=files).json()["data"]["createArtifactFiles"]["files"]["edges"]
        return [edge["node"]["uploadUrl"] for edge in edges]

    def put(self, address: str, content: bytes) -> Answer:
        return self.registry.send("PUT", address, content, signed_in=False)

    def put_files(self) -> None:
        for address, content in zip(self.addresses(), self.files.values(), strict=True):
            if address:
                assert self.put(address, content).status == 200

    def put_manifest(self, text: bytes | None = None, announced: str | None = None) -> Answer:
        manifest = {"version": 1, "storagePolicy": "wandb-storage-policy-v1", "contents": self.entries}
        text = text or json.dumps(manifest).encode()
        made = self.registry.ask(MANIFEST, artifact=self.id, digest=announced or b64(text)).json()
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


@pytest.mark.parametrize("text", [b"not json", b'{"version": 2, "contents": {}}', b'{"version": 1}', b"[]"])
def test_a_manifest_that_cannot_be_read_is_refused(registry: Registry, text: bytes):
    upload = Upload(registry, {})
    upload.put_manifest(text)
    assert "is not one of version 1" in refused(upload.commit())


@pytest.mark.parametrize("path", ["../up", "/root", "a/../../b", "", "a//b"])
def test_a_path_that_leaves_the_artifact_is_refused(registry: Registry, path: str):
    upload = Upload(registry, {path: some_bytes()})
    upload.put_files()
    upload.put_manifest()
    assert "paths are relative and stay in the artifact" in refused(upload.commit())


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


def test_content_is_kept_as_dvc_keeps_it_and_never_written_again(registry: Registry):
    content = some_bytes()
    upload = Upload(registry, {"a": content})
    upload.put_files()
    md5 = hashlib.md5(content).hexdigest()
    file = registry.store / "blobs" / md5[:2] / md5[2:]
    assert file.read_bytes() == content
    assert file.stat().st_mode & 0o777 == 0o444


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

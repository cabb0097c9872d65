"""Versions logged request by request, as the SDK's pipeline does it: faster, and each step can be repeated."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from .conftest import Account, Answer

CREATE = """
mutation Create($entity: String!, $project: String!, $name: String!, $digest: String!, $aliases: [ArtifactAliasInput!],
                $client: ID) {
  createArtifact(input: {entityName: $entity, projectName: $project, artifactTypeName: "model",
    artifactCollectionName: $name, digest: $digest, aliases: $aliases, clientID: $client,
    enableDigestDeduplication: true}) { artifact { id state } }
}
"""
FILES = """
mutation Files($files: [CreateArtifactFileSpecInput!]!) {
  createArtifactFiles(input: {artifactFiles: $files}) { files { edges { node { uploadUrl uploadHeaders } } } }
}
"""
MANIFEST = """
mutation Manifest($artifact: ID!, $digest: String!) {
  createArtifactManifest(input: {artifactID: $artifact, name: "wandb_manifest.json", digest: $digest,
    entityName: "local", projectName: "", runName: "", type: FULL}) { artifactManifest { file { uploadUrl } } }
}
"""
COMMIT = "mutation Commit($artifact: ID!) { commitArtifact(input: {artifactID: $artifact}) { artifact { id } } }"


def b64(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()


def artifact_digest(files: dict[str, bytes]) -> str:
    md5 = hashlib.md5(b"wandb-artifact-manifest-v1\n")
    for path in sorted(files):
        md5.update(f"{path}:{b64(files[path])}\n".encode())
    return md5.hexdigest()


def data(answer: Answer) -> Any:
    """What a request was answered with, if it was."""
    assert answer.status == 200, answer.text
    return answer.json()["data"]


def log(account: Account, project: str, name: str, files: dict[str, bytes], **announced: Any) -> str:
    """Logs a version of a collection, `announced` so, and answers its id once it is committed."""
    created = announce(account, project, name, files, **announced)
    return created["id"] if created["state"] == "COMMITTED" else complete(account, created["id"], files)


def headers(place: dict[str, Any]) -> dict[str, str]:
    """What has to be sent along with a content."""
    return dict(header.split(":", 1) for header in place["uploadHeaders"])


def announce(
    account: Account,
    project: str,
    name: str,
    files: dict[str, bytes],
    aliases: tuple[str, ...] = ("latest",),
    client: str | None = None,
) -> dict[str, str]:
    """Says what will come, and answers the version's id and state."""
    return data(
        account.ask(
            CREATE,
            entity=account.entity,
            project=project,
            name=name,
            digest=artifact_digest(files),
            aliases=[{"artifactCollectionName": name, "alias": alias} for alias in aliases],
            client=client,
        )
    )["createArtifact"]["artifact"]


def places(account: Account, artifact: str, files: dict[str, bytes]) -> list[str | None]:
    """Where the files are to be sent; None for what is there."""
    return [place["uploadUrl"] for place in _places(account, artifact, files)]


def _places(account: Account, artifact: str, files: dict[str, bytes]) -> list[dict[str, Any]]:
    wanted = [{"artifactID": artifact, "name": path, "md5": b64(content)} for path, content in files.items()]
    edges = data(account.ask(FILES, files=wanted))["createArtifactFiles"]["files"]["edges"]
    return [edge["node"] for edge in edges]


def complete(account: Account, artifact: str, files: dict[str, bytes]) -> str:
    """Sends what was announced, and answers the version's id once it is committed."""
    for place, content in zip(_places(account, artifact, files), files.values(), strict=True):
        if place["uploadUrl"]:
            sent = account.send("PUT", place["uploadUrl"], content, signed_in=False, headers=headers(place))
            assert sent.status == 200, sent.text
    contents = {path: {"digest": b64(content), "size": len(content)} for path, content in files.items()}
    manifest = json.dumps({"version": 1, "storagePolicy": "wandb-storage-policy-v1", "contents": contents}).encode()
    made = data(account.ask(MANIFEST, artifact=artifact, digest=b64(manifest)))
    address = made["createArtifactManifest"]["artifactManifest"]["file"]["uploadUrl"]
    assert account.send("PUT", address, manifest, signed_in=False).status == 200
    return data(account.ask(COMMIT, artifact=artifact))["commitArtifact"]["artifact"]["id"]

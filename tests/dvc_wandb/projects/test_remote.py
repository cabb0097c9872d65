"""A DVC remote on object storage, served over HTTP by a process of its own: push, a fresh clone that pulls, mirror."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import Clone
from tests.dvc_wandb.conftest import project_in
from tests.engines.object_storage import KEYS, bucket, storage_in
from wandb_registry import daemon

pytestmark = pytest.mark.slow

STAGES = """
stages:
  draw:
    cmd: echo drawn >> ../ran && mkdir data && cp words.txt data/w.txt && touch data/empty.txt
    deps: [words.txt]
    outs: [data]
  train:
    cmd: echo trained >> ../ran && cat data/w.txt data/w.txt > model.txt && echo 2 > score.json
    deps: [data]
    outs: [model.txt]
    metrics:
      - score.json: {cache: false}
artifacts:
  model: {path: model.txt, type: model}
"""


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 server with the empty bucket `team`."""
    with storage_in(tmp_path_factory.mktemp("storage")) as url:
        yield url


@pytest.fixture(scope="module")
def pushed(storage: str, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A project that was run and pushed, the way docs/remotes.md shows it."""
    project = project_in(tmp_path_factory.mktemp("remote") / "team/project")
    project.env.update(KEYS)
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    (project.path / "dvc.yaml").write_text(STAGES)
    (project.path / "words.txt").write_text("one\ntwo\n")
    project.run("dvc", "remote", "add", "--default", "team", "s3://team/project")
    project.run("dvc", "remote", "modify", "team", "endpointurl", storage)
    project.run("dvc", "repro", "--quiet")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "Two stages")
    assert "4 files pushed" in project.run("dvc", "push").text
    return project


@pytest.fixture
def fresh(pushed: Clone, tmp_path: Path) -> Iterator[Clone]:
    """Another person's clone: no cache, no registry."""
    (tmp_path / "home").mkdir()
    clone = Clone(tmp_path / "clones/project", {**pushed.env, "HOME": str(tmp_path / "home")})
    pushed.git("clone", "--quiet", str(pushed.path), str(clone.path))
    yield clone
    daemon.stop(clone.path / ".registry")


def lines(clone: Clone) -> list[str]:
    """The stages that ran beside `clone`."""
    ran = clone.path.parent / "ran"
    return ran.read_text().split() if ran.exists() else []


def test_a_fresh_clone_pulls_instead_of_training_and_is_mirrored_and_verified(pushed: Clone, fresh: Clone):
    assert lines(pushed) == ["drawn", "trained"]
    fresh.run("dvc", "pull")
    assert fresh.read("model.txt") == "one\ntwo\none\ntwo\n"
    assert "up to date" in fresh.run("dvc", "repro").text
    assert "model:v0" in fresh.run("dvc-wandb", "mirror").text
    shown = fresh.run("dvc-wandb", "verify", "--deep").text
    assert "dvc.lock and the registry agree" in shown
    assert lines(fresh) == []
    assert fresh.git("status", "--porcelain", "dvc.lock") == ""


def test_mirror_fetches_what_only_the_storage_has_and_names_what_it_lost(pushed: Clone, fresh: Clone, storage: str):
    md5 = pushed.run("md5sum", "model.txt").text.split()[0]
    bucket(storage).delete_object(Bucket="team", Key=f"project/files/md5/{md5[:2]}/{md5[2:]}")
    done = fresh.run("dvc-wandb", "mirror", ok=False)
    shutil.rmtree(pushed.path / ".dvc/tmp")  # where DVC remembers what it pushed
    pushed.run("dvc", "push")
    assert done.code == 1
    assert "train was not mirrored: neither the workspace nor DVC's cache holds model.txt" in done.text
    assert "data:v0" in done.text
    assert "model:v0" in fresh.run("dvc-wandb", "mirror").text
    assert "dvc.lock and the registry agree" in fresh.run("dvc-wandb", "verify").text
    assert not (fresh.path / "model.txt").exists()
    assert lines(fresh) == []


@pytest.mark.soak
def test_an_import_whose_bytes_are_gone_comes_from_where_it_is_from(tmp_path: Path):
    """Without a remote of the project's own it was 'no DVC remote is set up', and was left."""
    theirs, project = (project_in(tmp_path / name) for name in ("theirs", "importing"))
    for one in (theirs, project):
        one.git("init", "--quiet", "--initial-branch=main")
        one.run("dvc", "init", "--quiet")
    (theirs.path / "data.csv").write_text("a,b\n1,2\n")
    theirs.run("dvc", "add", "--quiet", "data.csv")
    theirs.git("add", ".")
    theirs.git("commit", "--quiet", "--message", "data")
    project.run("dvc", "import", "--quiet", str(theirs.path), "data.csv")
    shutil.rmtree(project.path / ".dvc/cache")
    (project.path / "data.csv").unlink()
    try:
        assert "data.csv:v0" in project.run("dvc-wandb", "mirror").text
        assert not (project.path / "data.csv").exists()
    finally:
        project.run("wandb-registry", "stop", ok=False)


@pytest.mark.soak
def test_a_remote_that_keeps_versions_under_their_own_names_is_asked_too(fresh: Clone, storage: str):
    """`'pull' is unsupported for cloud versioned remotes`, and nothing was mirrored."""
    fresh.run("dvc", "pull", "--quiet")
    bucket(storage).create_bucket(Bucket="versions")
    bucket(storage).put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    fresh.run("dvc", "remote", "add", "--default", "versions", "s3://versions/project")
    fresh.run("dvc", "remote", "modify", "versions", "endpointurl", storage)
    fresh.run("dvc", "remote", "modify", "versions", "version_aware", "true")
    fresh.run("dvc", "push", "--quiet")
    shutil.rmtree(fresh.path / ".dvc/cache")
    shutil.rmtree(fresh.path / "data")
    (fresh.path / "model.txt").unlink()
    assert "not there" not in fresh.run("dvc-wandb", "mirror").text
    assert "dvc.lock and the registry agree" in fresh.run("dvc-wandb", "verify", "--deep").text
    assert lines(fresh) == []


def test_what_the_client_of_a_web_server_says_of_its_sessions_is_not_passed_on(pushed: Clone, tmp_path: Path):
    """`Aiohttp retry client was not closed`, beside what was mirrored."""
    project = Clone(tmp_path / "project", pushed.env)
    shutil.copytree(pushed.path, project.path, symlinks=True)
    (project.path / ".dvc/cache").rename(tmp_path / "served")
    (project.path / "model.txt").unlink()
    serve = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        project.run("dvc", "remote", "add", "--default", "web", f"http://127.0.0.1:{server.server_port}")
        try:
            mirrored = project.run("dvc-wandb", "mirror").text
        finally:
            server.shutdown()
            project.run("wandb-registry", "stop", ok=False)
    assert "not there" not in mirrored
    assert "closed" not in mirrored

"""Every kind of drift, made through the SDK or in the store: found, named with both sides, mended if it can be."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml

from tests.conftest import Clone, api_of
from tests.dvc_wandb.conftest import project_in
from wandb_registry import daemon

pytestmark = pytest.mark.slow

STAGES = """
stages:
  make:
    cmd: python make.py
    deps: [make.py]
    outs: [data]
    metrics:
      - score.json: {cache: false}
  use:
    cmd: cat data/a.txt > model.txt
    deps: [data]
    outs: [model.txt]
  publish:
    cmd: cat model.txt > receipt.txt
    deps: [model.txt]
    outs: [receipt.txt]
    meta: {wandb: {links: {model.txt: model-registry/Best}}}
artifacts:
  model: {path: model.txt, type: model}
"""
MAKE = """
import pathlib
pathlib.Path("data").mkdir(exist_ok=True)
for name in "abc":
    pathlib.Path("data", f"{name}.txt").write_text(f"{name} as it was made\\n")
pathlib.Path("score.json").write_text('{"score": 1}')
"""
VERIFY = ("dvc-wandb", "verify", "--json")
MIRROR = ("dvc-wandb", "mirror")


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A small project that was run and mirrored, and its registry."""
    project = project_in(tmp_path_factory.mktemp("drift") / "small")
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    (project.path / "dvc.yaml").write_text(STAGES)
    (project.path / "make.py").write_text(MAKE)
    project.run("dvc", "repro", "--quiet")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "Three stages")
    project.run(*MIRROR)
    yield project
    daemon.stop(project.path / ".registry")


@pytest.fixture
def small(mirrored: Clone, tmp_path: Path) -> Iterator[Clone]:
    """A copy of it with a registry and a cache of its own, to be damaged."""
    daemon.stop(mirrored.path / ".registry")
    shutil.copytree(mirrored.path, tmp_path / "small", symlinks=True)
    yield Clone(tmp_path / "small", mirrored.env)
    daemon.stop(tmp_path / "small/.registry")


@pytest.fixture
def api(small: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> wandb.Api:
    return api_of(small, monkeypatch, tmp_path)


def drifts(project: Clone, *options: str) -> dict[str, dict[str, str]]:
    """What verify finds, by its kind and place; that it fails if and only if it finds something."""
    done = project.run(*VERIFY, *options, ok=False, stderr=None)
    report = json.loads(done.text)
    assert (done.code == 0) == report["agree"] == (not report["drifts"])
    return {f"{one['what']}: {one['where']}": one for one in report["drifts"]}


def md5(project: Clone, stage: str) -> str:
    return yaml.safe_load(project.read("dvc.lock"))["stages"][stage]["outs"][0]["md5"]


def log(
    name: str, kind: str, files: dict[str, str], aliases: list[str], metadata: dict[str, Any] | None = None
) -> None:
    """A version that somebody logs with a script of their own."""
    with wandb.init(project="small", settings=wandb.Settings(silent=True)) as run:
        artifact = wandb.Artifact(name, kind, metadata=metadata)
        for path, text in files.items():
            with artifact.new_file(path) as file:
                file.write(text)
        run.log_artifact(artifact, aliases=aliases).wait()


def change_store(project: Clone, *statements: str) -> None:
    """Change the records of a stopped registry."""
    daemon.stop(project.path / ".registry")
    with sqlite3.connect(project.path / ".registry/registry.db") as db:
        for statement in statements:
            assert db.execute(statement).rowcount > 0, statement
    db.close()


def delete_version(project: Clone, api: wandb.Api) -> None:
    api.artifact("small/model:v0").delete(delete_aliases=True)


def take_alias(project: Clone, api: wandb.Api) -> None:
    version = api.artifact("small/model:v0")
    version.aliases = ["latest"]
    version.save()


def forget_metadata(project: Clone, api: wandb.Api) -> None:
    version = api.artifact("small/score.json:v0")
    version.metadata = {}  # mirror said that it had mended it, and hadn't
    version.save()


def move_alias(project: Clone, api: wandb.Api) -> None:
    log("model", "model", {"model.txt": "another"}, [f"dvc-{md5(project, 'use')}"])


def replace_file(project: Clone, api: wandb.Api) -> None:
    said = api.artifact("small/data:v0").metadata
    files = {"a.txt": "a as it was made\n", "b.txt": "another b", "c.txt": "c as it was made\n"}
    log("data", "data", files, [f"dvc-{md5(project, 'make')}"], said)


def add_file(project: Clone, api: wandb.Api) -> None:
    said = api.artifact("small/data:v0").metadata
    files = {f"{name}.txt": f"{name} as it was made\n" for name in "abc"}
    log("data", "data", {**files, "extra.txt": "x"}, [f"dvc-{md5(project, 'make')}"], said)


def replace_file_in_the_store(project: Clone, api: wandb.Api) -> None:
    other = base64.b64encode(bytes(16)).decode()
    change_store(project, f"update entry set digest = '{other}', md5 = '{'0' * 32}' where path = 'b.txt'")


def drop_edge(project: Clone, api: wandb.Api) -> None:
    change_store(
        project,
        "delete from run_input where run_id in (select id from run where display_name = 'use')",
    )


def use_more(project: Clone, api: wandb.Api) -> None:
    log("found-on-the-way", "dataset", {"x.txt": "x"}, [])
    run = next(run for run in api.runs("small") if run.name == "use")
    run.use_artifact(api.artifact("small/found-on-the-way:v0"))


def delete_run(project: Clone, api: wandb.Api) -> None:
    next(run for run in api.runs("small") if run.name == "use").delete()


def unlink(project: Clone, api: wandb.Api) -> None:
    api.artifact(f"model-registry/Best:dvc-{md5(project, 'use')}").unlink()


Damage = Callable[[Clone, wandb.Api], None]
DAMAGES: dict[
    Damage, tuple[str, str]
] = {  # what was done: the difference that must be found, and what must be said of the registry's side
    delete_version: ("no version: model.txt", "model has no version with the alias dvc-"),
    take_alias: ("no version: model.txt", "model:v0, which the run use-"),
    move_alias: ("moved alias: model.txt", "model:v1 has the alias dvc-"),
    forget_metadata: ("moved alias: score.json", "its metadata don't name its md5"),
    replace_file: ("other files: data", "data:v1: b.txt is "),
    add_file: ("other files: data", "extra.txt (9dd4e461268c8034f5c8564e155c67a6) is not in dvc.lock"),
    replace_file_in_the_store: ("other files: data", f"b.txt is {'0' * 32} instead of "),
    drop_edge: ("missing edge: use", "the run use-"),
    use_more: ("extra input: use", "uses found-on-the-way:v0"),
    delete_run: ("no run: use", "no run has the tag dvc-"),
    unlink: ("missing link: publish", "model-registry/Best has no model:v0"),
}


@pytest.mark.parametrize(
    "damages",
    [
        (delete_version, add_file),
        (take_alias, replace_file, use_more),
        (move_alias, forget_metadata, drop_edge),
        (unlink, delete_run, replace_file_in_the_store),
    ],
    ids=lambda damages: " and ".join(damage.__name__ for damage in damages),
)
def test_damage_is_named_and_mirror_mends_it(small: Clone, api: wandb.Api, damages: tuple[Damage, ...]):
    for damage in damages:
        damage(small, api)
    named = drifts(small)
    for found, registry in (DAMAGES[damage] for damage in damages):
        assert found in named
        assert registry in named[found]["registry"]
        assert named[found]["lock"]
        assert named[found]["mend"].endswith("dvc-wandb mirror")
        if not named[found]["mend"].startswith("dvc-wandb "):  # the store contradicts itself
            assert named[found]["mend"].startswith("delete data:v0 in the registry, then ")
            api.artifact("small/data:v0").delete(delete_aliases=True)
    small.run(*MIRROR)
    assert drifts(small) == {}


def test_what_the_store_serves_wrongly_is_found_by_deep_only(small: Clone, api: wandb.Api):
    (wanted,) = (entry.digest for entry in api.artifact("small/score.json:v0").manifest.entries.values())
    name = base64.b64decode(wanted).hex()
    blob = small.path / ".registry/blobs" / name[:2] / name[2:]
    blob.chmod(0o644)
    blob.write_text('{"score": 2}')
    assert drifts(small) == {}
    named = drifts(small, "--deep")
    drift = named["damaged file: score.json"]
    assert "score.json:v0 serves" in drift["registry"]

    # As it says
    assert "delete score.json:v0 in the registry (and what `wandb-registry check` says" in drift["mend"]
    assert name in small.run("wandb-registry", "check", ok=False).text
    blob.unlink()
    api.artifact("small/score.json:v0").delete(delete_aliases=True)
    small.run(*MIRROR)
    assert drifts(small, "--deep") == {}


def test_a_corrupted_object_of_dvcs_cache_is_found_by_deep(small: Clone):
    name = md5(small, "use")
    path = small.path / ".dvc/cache/files/md5" / name[:2] / name[2:]
    path.unlink()
    path.write_text("rotten")
    path.chmod(0o444)  # DVC trusts what is read-only
    assert drifts(small) == {}
    named = drifts(small, "--deep")
    assert list(named) == ["corrupted DVC cache: data/a.txt, model.txt, receipt.txt"]
    assert str(path) in next(iter(named.values()))["mend"]


@pytest.mark.parametrize("of_list", [False, True], ids=["a file", "the list of a folder"])
@pytest.mark.parametrize("then", ["dvc commit data", "dvc pull data", "dvc repro make"])
def test_a_corrupted_object_is_mended_by_what_is_said(small: Clone, tmp_path: Path, then: str, of_list: bool):
    """`dvc pull` was said without a remote, and `dvc commit` without a workspace."""
    if "pull" in then:
        small.run("dvc", "remote", "add", "--quiet", "--default", "remote", str(tmp_path / "remote"))
        small.run("dvc", "push", "--quiet")
    name = md5(small, "make") if of_list else hashlib.md5((small.path / "data/b.txt").read_bytes()).hexdigest()
    path = small.path / ".dvc/cache/files/md5" / name[:2] / name[2:]
    if "commit" not in then:
        shutil.rmtree(small.path / "data")
    path.unlink()
    path.write_text("{rotten")
    path.chmod(0o444)
    (drift,) = drifts(small, "--deep").values()
    assert drift["mend"] == f"rm -f {path} && {then}"
    small.run("sh", "-c", drift["mend"])
    assert drifts(small, "--deep") == {}


def test_a_list_of_files_with_other_bytes_is_not_believed(small: Clone, tmp_path: Path):
    """A version without one of the files was mirrored, and verified."""
    name = md5(small, "make")
    path = small.path / ".dvc/cache/files/md5" / name[:2] / name[2:]
    path.chmod(0o644)
    path.write_text(json.dumps(json.loads(path.read_text())[:1]))
    path.chmod(0o444)
    empty = {"REGISTRY_DIR": str(tmp_path / "empty")}
    try:
        assert "data:v0" in small.run(*MIRROR, env=empty).text  # from the workspace
        assert "3 stages, 7 edges, 7 files" in small.run("dvc-wandb", "verify", env=empty).text
        (small.path / "data/b.txt").unlink()
        assert "3 stages, 7 edges, 7 files" in small.run("dvc-wandb", "verify", env=empty).text
    finally:
        daemon.stop(tmp_path / "empty")


def test_a_corrupted_object_is_never_mirrored(small: Clone, tmp_path: Path):
    name = md5(small, "use")
    path = small.path / ".dvc/cache/files/md5" / name[:2] / name[2:]
    path.unlink()
    path.write_text("rotten")
    path.chmod(0o444)
    (small.path / "model.txt").unlink()
    empty = {"REGISTRY_DIR": str(tmp_path / "empty")}
    done = small.run(*MIRROR, ok=False, env=empty)
    daemon.stop(tmp_path / "empty")
    assert done.code == 1
    assert f"the bytes in {path} are not those of {name}" in done.text
    assert "data:v0" in done.text  # the rest is mirrored


def test_a_stage_that_gives_other_bytes_each_time_is_named(small: Clone, api: wandb.Api):
    stages = STAGES + "\n"
    (small.path / "dvc.yaml").write_text(stages.replace("cat data/a.txt > model.txt", "date +%N > model.txt"))
    for _ in range(3):
        small.run("dvc", "repro", "--quiet", "--force", "--single-item", "use")
        small.run("dvc", "repro", "--quiet")
        small.run(*MIRROR)
    told = small.json(*VERIFY)
    assert told["agree"]
    here = [note for note in told["notes"] if note.startswith("use is not deterministic")]
    assert len(here) == 2  # there was one more for each run
    assert "in the run use-" in here[0]
    assert "DVC's run cache" in here[1]
    assert here[0].endswith(" (and 1 more; `dvc-wandb verify --json` lists all).")
    shutil.rmtree(small.path / ".dvc/cache/runs")
    assert [note for note in small.json(*VERIFY)["notes"] if note.startswith("use is")]


def test_verify_needs_neither_workspace_nor_cache(small: Clone):
    """A folder's files are held against its md5 in DVC's own way of making it, where no list of them is at hand."""
    shutil.rmtree(small.path / ".dvc/cache")
    shutil.rmtree(small.path / "data")
    (small.path / "model.txt").unlink()
    assert drifts(small) == {}
    assert os.listdir(small.path / ".dvc/tmp")


def test_a_checkout_that_may_only_be_read_says_so_once(small: Clone, tmp_path: Path):
    """As root, to whom everything is allowed, without that right."""
    writable = [path for path in (small.path, *small.path.rglob("*")) if not path.is_symlink()]
    for path in writable:
        path.chmod(path.stat().st_mode & ~0o222)
    may_only_read = () if os.geteuid() else ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
    elsewhere = {"REGISTRY_DIR": str(tmp_path / "registry"), "TMPDIR": str(tmp_path)}
    try:
        refused = {
            command: small.run("dvc-wandb", command, ok=False, under=may_only_read)
            for command in ("mirror", "verify", "repro")
        }
        shown = small.run("dvc-wandb", "show", under=may_only_read)
        # As it says
        assert "choose another with REGISTRY_DIR" in refused["mirror"].text
        mirrored = small.run(*MIRROR, under=may_only_read, env=elsewhere)
        verified = small.run("dvc-wandb", "verify", under=may_only_read, env=elsewhere)
    finally:
        for path in writable:
            path.chmod(path.stat().st_mode | 0o200)
        daemon.stop(tmp_path / "registry")
    for done in refused.values():
        assert done.code == 1
        assert done.text.count("can't ") == done.text.count("dvc-wandb: ") == 1, done.text
    assert "model:v0" in mirrored.text
    assert "agree" in verified.text
    assert "model.txt" in shown.text

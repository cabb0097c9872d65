"""A file lies on disk once for DVC's cache and the embedded registry, and neither side harms the other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Clone, api_of
from tests.dvc_wandb.conftest import project_in
from wandb_registry import daemon
from wandb_registry.storage import cache_sharing

pytestmark = pytest.mark.slow

SIZE = 3_000_000
STAGES = """
stages:
  make:
    cmd: python make.py
    deps: [make.py]
    outs: [big]
"""
MAKE = f"""
import pathlib
pathlib.Path("big").mkdir(exist_ok=True)
for name in "ab":
    pathlib.Path("big", name).write_bytes(name.encode() * {SIZE})
pathlib.Path("big/small").write_text("small")
"""
MIRROR = ("dvc-wandb", "mirror")


@pytest.fixture
def project(tmp_path: Path):
    made = project_in(tmp_path / "shared")
    made.git("init", "--quiet", "--initial-branch=main")
    made.run("dvc", "init", "--quiet")
    (made.path / "dvc.yaml").write_text(STAGES)
    (made.path / "make.py").write_text(MAKE)
    made.run("dvc", "repro", "--quiet")
    yield made
    daemon.stop(made.path / ".registry")


def objects(project: Clone) -> dict[str, Path]:
    """The files in DVC's cache by md5."""
    cache = project.path / ".dvc/cache/files/md5"
    return {path.parent.name + path.name: path for path in cache.glob("??/*") if path.suffix != ".dir"}


def blob(project: Clone, md5: str) -> Path:
    return project.path / ".registry/blobs" / md5[:2] / md5[2:]


def on_disk(*paths: Path) -> int:
    """Bytes that these files take, each inode once."""
    found = {path.stat().st_ino: path.stat().st_blocks for path in paths}
    return 512 * sum(found.values())


def test_a_file_lies_on_disk_once(project: Clone):
    project.run(*MIRROR)
    cached = objects(project)
    assert len(cached) == 3
    both = [*cached.values(), *(blob(project, md5) for md5 in cached)]
    assert on_disk(*both) == on_disk(*cached.values()) < 2.1 * SIZE
    for path in both:
        assert path.stat().st_mode & 0o777 == 0o444


def test_neither_side_harms_the_other(project: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    project.run(*MIRROR)
    assert "up to date" in project.run("dvc", "status").text
    assert project.run("wandb-registry", "check").code == 0
    project.run("wandb-registry", "gc")

    # DVC throws its whole cache away; the registry has all of it
    (project.path / "dvc.lock").rename(tmp_path / "dvc.lock")
    project.run("dvc", "gc", "--workspace", "--force")
    assert objects(project) == {}
    served = Path(api_of(project, monkeypatch, tmp_path).artifact("shared/big:v0").download(str(tmp_path / "served")))
    assert (served / "a").read_bytes() == b"a" * SIZE
    (tmp_path / "dvc.lock").rename(project.path / "dvc.lock")

    # The registry goes away; DVC has all of it
    project.run("dvc", "commit", "--force")
    project.run(*MIRROR)
    assert on_disk(*objects(project).values(), *(blob(project, md5) for md5 in objects(project))) < 2.1 * SIZE
    daemon.stop(project.path / ".registry")
    shutil.rmtree(project.path / ".registry")
    shutil.rmtree(project.path / "big")
    project.run("dvc", "checkout")
    assert (project.path / "big/b").read_bytes() == b"b" * SIZE


def test_a_workspace_whose_files_are_links_to_the_cache_keeps_its_own_copy(project: Clone):
    """Somebody who writes to such a file would write to the registry's."""
    project.run("dvc", "config", "cache.type", "hardlink,copy")
    project.run("dvc", "checkout", "--relink", "--quiet")
    project.run(*MIRROR)
    for md5, path in objects(project).items():
        assert path.stat().st_ino != blob(project, md5).stat().st_ino


@pytest.mark.parametrize("spoil", ["writable", "named twice", "other bytes"])
def test_what_may_change_or_is_something_else_is_not_shared(project: Clone, tmp_path: Path, spoil: str):
    project.run(*MIRROR)
    md5, path = next(iter(objects(project).items()))
    other = tmp_path / "other"
    shutil.copy2(path, other)
    if spoil == "writable":
        other.chmod(0o644)
    elif spoil == "named twice":
        (tmp_path / "again").hardlink_to(other)
    else:
        other.chmod(0o644)
        other.write_text("not what its name says")
        other.chmod(0o444)
    before = blob(project, md5).stat().st_ino
    assert cache_sharing.share(project.path / ".registry", [(md5, other)]).contents == 0
    assert blob(project, md5).stat().st_ino == before


def test_a_damaged_content_is_replaced_by_dvcs(project: Clone):
    project.run(*MIRROR)
    md5, path = next((md5, path) for md5, path in objects(project).items() if path.stat().st_size == SIZE)
    place = blob(project, md5)
    place.unlink()
    place.write_bytes(b"damaged")
    assert project.run("wandb-registry", "check", ok=False).code == 1
    project.run(*MIRROR)
    assert place.stat().st_ino == path.stat().st_ino
    assert project.run("wandb-registry", "check").code == 0

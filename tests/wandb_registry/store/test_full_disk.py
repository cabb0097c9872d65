"""A full disk: what was acknowledged stays, what wasn't is refused with a sentence, and space makes it go on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.wandb_registry.artifacts.test_uploads import Upload
from tests.wandb_registry.by_hand import data, log
from tests.wandb_registry.conftest import Registry, command, embedded
from wandb_registry import daemon

STATE = "query State($id: ID!) { artifact(id: $id) { state } }"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 12 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk can only be made by root")
    yield disk
    daemon.stop(disk / "store")
    subprocess.run(["umount", str(disk)], check=True)


@embedded
@pytest.mark.parametrize("size", [20_000, 1_500_000])
def test_a_full_disk_loses_nothing_that_was_acknowledged(small_disk: Path, size: int):
    ballast = small_disk / "ballast"
    server = daemon.ensure(small_disk / "store")
    registry = Registry(server.url, server.entity, server.api_key, small_disk / "store")
    ballast.write_bytes(bytes(os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize - 4_000_000))
    Upload(registry, {"a": bytes(100_000)}).put_files()
    made: list[str] = []

    def fill() -> None:
        for _ in range(400):
            made.append(log(registry, "full", "weights", {"file": os.urandom(size)}))

    with pytest.raises(AssertionError, match="The registry's disk is full: nothing of this request was stored"):
        fill()
    with pytest.raises(AssertionError):
        log(registry, "full", "weights", {"file": os.urandom(size)})
    assert registry.ask("{ viewer { username } }").status == 200, "reading goes on"
    with suppress(OSError), (small_disk / "rest").open("wb", buffering=0) as rest:
        while True:
            rest.write(bytes(512))
    refused = command(registry.store, "user", "add", "ann")
    assert (refused.returncode, refused.stdout) == (1, ""), "no key is shown that nobody has"
    assert command(registry.store, "check").returncode == 0
    cleared = command(registry.store, "gc", "--grace", "0")
    assert (cleared.returncode, "contents (0.1 MiB)" in cleared.stdout) == (0, True), "what is of no use makes room"
    (small_disk / "rest").unlink()
    ballast.unlink()
    made.append(log(registry, "full", "weights", {"file": os.urandom(size)}))
    assert [data(registry.ask(STATE, id=version))["artifact"]["state"] for version in made] == ["COMMITTED"] * len(made)
    checked = command(registry.store, "check")
    assert (checked.returncode, f"{len(made)} versions" in checked.stdout) == (0, True), checked.stdout

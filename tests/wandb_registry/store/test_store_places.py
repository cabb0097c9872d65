"""Where a store can't be: on a network's file system, or in a folder that another machine serves."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wandb_registry.conftest import command, embedded
from wandb_registry import daemon, store_folder
from wandb_registry.store_folder import DaemonError


@pytest.fixture
def network_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a real mount that the kernel calls fuse.sshfs."""
    if not shutil.which("bindfs") or not os.access("/dev/fuse", os.W_OK):
        pytest.skip("There is no FUSE to mount by. Install it: sudo apt-get install bindfs")
    behind, mounted = tmp_path / "behind", tmp_path / "mounted disk"
    behind.mkdir()
    mounted.mkdir()
    if subprocess.run(["bindfs", "-o", "subtype=sshfs", behind, mounted], check=False).returncode:
        pytest.skip("this machine mounts no file system of FUSE")
    yield mounted
    subprocess.run(["umount", mounted], check=True)


@embedded
def test_a_store_on_a_networks_file_system_is_refused(network_disk: Path):
    store = network_disk / "project/.registry"
    done = command(store, "serve")
    assert done.returncode == 1
    assert f"folder {store} lies on a network's file system (fuse.sshfs)" in done.stderr
    assert "with REGISTRY_DIR" in done.stderr
    assert done.stderr.count("\n") == 1
    with pytest.raises(DaemonError, match=r"\(fuse\.sshfs\)"):
        daemon.ensure(store)
    assert not store.exists()


def test_a_store_whose_records_are_in_a_database_may_be_shared_by_machines(
    network_disk: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its folder holds contents alone: several hosts can only share it on a network's file system."""
    store = network_disk / ".registry"
    monkeypatch.setenv(store_folder.DATABASE_VARIABLE, "postgresql://nobody@127.0.0.1:9/none")
    store_folder.prepare(store)
    store_folder.keep_database_url(store, "postgresql://nobody@127.0.0.1:9/none")
    monkeypatch.delenv(store_folder.DATABASE_VARIABLE)
    store_folder.prepare(store)
    other = {"host": "node-7", "processes": "another-boot/pid:[1]", "network": "another-boot/net:[1]"}
    there = {"url": "http://node-7:8090", "port": 8090, "pid": 1, "machine": other}
    (store / "server.json").write_text(json.dumps(there))
    with (store / "server.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # as the server there has it
        assert "can't be used" in command(store, "log", "--head").stderr  # it got as far as the database


@embedded
def test_no_command_opens_a_store_that_another_machine_serves(store: Path):
    """Locks go over some file systems, shared memory over none."""
    server = daemon.ensure(store)
    kept = (store / "server.json").read_text()
    told = json.loads(kept)
    told["machine"] |= {"host": "node-7", "processes": "another-boot/pid:[1]"}
    (store / "server.json").write_text(json.dumps(told))
    try:
        for arguments in (("log", "--head"), ("gc",), ("user", "list")):
            done = command(store, *arguments)
            assert done.returncode == 1
            assert f"{store} is served at {server.url} by the machine node-7" in done.stderr
            assert done.stderr.count("\n") == 1
    finally:
        (store / "server.json").write_text(kept)
    assert command(store, "log", "--head").returncode == 0

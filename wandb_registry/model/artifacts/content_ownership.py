"""Which contents an entity has proved to have. Contents are shared on disk, never between those who may not share them:
who only knows an md5 must send the bytes like anybody else.

In a bucket that is DVC's remote too, who can read a content there needn't send it. That is proved by a secret that the
registry put beside the contents, under an md5, as DVC lays out everything: the same keys open it and them.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import Forbidden, NotFound
from wandb_registry.model import access
from wandb_registry.model.access import Viewer
from wandb_registry.model.artifacts import manifests
from wandb_registry.storage.signing import Signer

Row = dict[str, Any]
Content = tuple[str, int | None]  # an md5, and the version that its client has it from

ENTITY_OF_ARTIFACT = """
select project.entity_id
  from artifact
  join collection on collection.id = artifact.collection_id
  join project on project.id = collection.project_id
 where artifact.id = :artifact
"""
HELD = """
select holding.*, exists (select 1 from artifact where artifact.id = holding.artifact_id) as known
  from holding
 where entity_id = :entity and md5 in (select value from json_each(:md5s))
"""
HOLD = """
insert into holding (entity_id, md5, size, artifact_id) values (:entity, :md5, :size, :artifact)
    on conflict (entity_id, md5) do update set artifact_id = excluded.artifact_id
"""
CHALLENGE = "CHALLENGE"
CHALLENGE_SECONDS = 3600
CLAIM_SECONDS = 24 * 3600  # as long as an upload may take

CLAIM = """
insert into claim (user_id, md5, size, expires_at) values (:user, :md5, :size, :expires)
    on conflict (user_id, md5) do update set size = excluded.size, expires_at = excluded.expires_at
"""
CLAIMED = """
select md5, size
  from claim
 where user_id = :user and expires_at > :now and md5 in (select value from json_each(:md5s))
"""


def find(db: Connection, viewer: Viewer, entity_id: int, md5s: list[str]) -> dict[str, Row]:
    """Which of these contents the entity has, but for those that were sent for a version that the account may not read:
    a project can be closed to members of its entity.
    """
    rows = db.all(HELD, entity=entity_id, md5s=json.dumps(md5s))
    known = {row["artifact_id"] for row in rows if row["known"]}
    closed = {number for number in known if access.find_artifact(db, viewer, number) is None}
    return {row["md5"]: row for row in rows if row["artifact_id"] not in closed}


def add(db: Connection, artifact_id: int, md5: str, size: int) -> None:
    """Notes that the content arrived whole for this version."""
    add_all(db, artifact_id, {md5: size})


def add_all(db: Connection, artifact_id: int, sizes: dict[str, int]) -> None:
    """Notes that contents, their sizes by md5, arrived whole for this version."""
    entity_id = db.value(ENTITY_OF_ARTIFACT, artifact=artifact_id)
    if entity_id is None:
        raise NotFound("The artifact was deleted while this file was on its way. Nothing was stored.")
    common = {"entity": entity_id, "artifact": artifact_id}
    db.executemany(HOLD, [common | {"md5": md5, "size": size} for md5, size in sizes.items()])


def entity_of(db: Connection, artifact_id: int) -> int:
    return db.value(ENTITY_OF_ARTIFACT, artifact=artifact_id)


def checker(
    db: Connection, viewer: Viewer, artifact_id: int, is_there: Callable[[str, int], bool]
) -> Callable[[list[Content]], Iterator[int | None]]:
    """Answers the sizes of contents that this version may have: its entity's own, or of a version one may read."""
    entity_id = entity_of(db, artifact_id)

    def sizes_of(contents: list[Content]) -> Iterator[int | None]:
        own = find(db, viewer, entity_id, [md5 for md5, _ in contents])
        for md5, birth_id in contents:
            held = own.get(md5)
            if (
                held is None
                and birth_id
                and manifests.has_content(db, birth_id, md5)
                and access.find_artifact(db, viewer, birth_id)
            ):
                held = find(db, viewer, entity_of(db, birth_id), [md5]).get(md5)
            yield held["size"] if held and is_there(md5, held["size"]) else None

    return sizes_of


# ---- what is there before its version is announced ----


def challenge(signer: Signer, viewer: Viewer) -> tuple[bytes, str, str]:
    """A secret to be read in the bucket, its md5, and a token that says for whom it was made."""
    secret = secrets.token_hex(32).encode()
    md5 = _md5(secret)
    return secret, md5, signer.seal(CHALLENGE, f"{viewer.user_id} {md5}", CHALLENGE_SECONDS)


def check_secret(signer: Signer, viewer: Viewer, token: str, secret: str) -> str:
    """The md5 of the secret. Raises Forbidden where it isn't the one that this account was to read."""
    md5 = _md5(secret.encode())
    if signer.open(CHALLENGE, token) != f"{viewer.user_id} {md5}":
        raise Forbidden("This is not the secret that lies in the bucket for this account, or its time is over.")
    return md5


def claim(db: Connection, viewer: Viewer, sizes: dict[str, int]) -> None:
    """Notes which contents, by their md5s, this account has sent ahead, or can read in the bucket."""
    now = int(time.time())
    db.execute("delete from claim where expires_at < :now", {"now": now})
    common = {"user": viewer.user_id, "expires": now + CLAIM_SECONDS}
    db.executemany(CLAIM, [common | {"md5": md5, "size": size} for md5, size in sizes.items()])


def use_claims(db: Connection, viewer: Viewer, artifact_id: int, md5s: list[str]) -> bool:
    """Gives a version those of the contents that this account has claimed, as if they had been sent for it."""
    claimed = db.all(CLAIMED, user=viewer.user_id, now=int(time.time()), md5s=json.dumps(md5s))
    if claimed:
        add_all(db, artifact_id, {row["md5"]: row["size"] for row in claimed})
    return bool(claimed)


def _md5(secret: bytes) -> str:
    return hashlib.md5(secret, usedforsecurity=False).hexdigest()

"""Manifests: which files a version has, and the proof that they are here.

A version is committed only if its manifest is what was announced, its digest is the digest of its entries, and the
content of every file was received whole from somebody who may give it.
"""

import hashlib
import json
import posixpath
from collections.abc import Callable, Iterable
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, Conflict, NotFound
from wandb_registry.model import ids
from wandb_registry.storage import blobs

Row = dict[str, Any]
DIGEST_HEAD = b"wandb-artifact-manifest-v1\n"
KINDS = {"size": int, "ref": str, "birthArtifactID": str, "extra": dict}  # of what an entry may say beside its digest
POLICY = {"version": 1, "storagePolicy": "wandb-storage-policy-v1", "storagePolicyConfig": {"storageLayout": "V2"}}


def create(db: Connection, artifact_id: int, kind: str, digest: str) -> Row:
    """Reserves a manifest, or announces one by the digest of its bytes."""
    return db.row(
        "insert into manifest (artifact_id, kind, digest) values (:artifact, :kind, :digest) returning *",
        artifact=artifact_id,
        kind=kind,
        digest=digest,
    )


def announce(db: Connection, manifest: Row, digest: str) -> Row:
    """Says which bytes will come for a manifest that was reserved."""
    return db.row(
        "update manifest set digest = :digest, body = null where id = :id returning *", id=manifest["id"], digest=digest
    )


def find(db: Connection, number: int) -> Row | None:
    return db.one("select * from manifest where id = :id", id=number)


def receive(db: Connection, number: int, body: bytes) -> None:
    """Takes the manifest's bytes, if they are the announced ones."""
    manifest = find(db, number)
    if manifest is None:
        raise NotFound("The manifest was not found: its artifact is committed, or gone.")
    md5 = blobs.to_base64(hashlib.md5(body, usedforsecurity=False).hexdigest())
    if md5 != manifest["digest"]:
        raise BadInput(
            f"The manifest's upload has md5 {md5}, announced was {manifest['digest']}. "
            "Nothing was stored; upload it again."
        )
    db.execute("update manifest set body = :body where id = :id", {"body": body, "id": manifest["id"]})


# ---- from manifest to entries ----


def settle(db: Connection, artifact: Row, holds: Callable[[list[tuple[str, int | None]]], Iterable[int | None]]) -> Row:
    """Turns the manifests of a pending version into its entries, and answers its digest, size and file count.

    `holds` gives, for md5s with the version that each is from, the size of content that the version may have, or None.
    """
    entries = _entries_of(db, artifact)
    digest = digest_of(entries)
    if _is_full(db, artifact) and digest != artifact["digest"]:
        raise BadInput(
            f"The files in the manifest give the digest {digest}, the artifact was announced with "
            f"{artifact['digest']}. It was not committed; log it again."
        )
    rows = [_read(artifact["id"], path, entry) for path, entry in sorted(entries.items())]
    contents = [row for row in rows if row["md5"] is not None]
    for row, size in zip(contents, holds([(row["md5"], row["birth_id"]) for row in contents]), strict=True):
        row |= _held(artifact["id"], row, entries[row["path"]].get("size"), size)
    db.executemany(INSERT_ENTRY, rows)
    db.execute("delete from manifest where artifact_id = :artifact", {"artifact": artifact["id"]})
    return {"digest": digest, "size": sum(row["size"] for row in rows), "file_count": len(rows)}


INSERT_ENTRY = """
insert into entry (artifact_id, path, digest, md5, size, ref, birth_id, extra)
values (:artifact_id, :path, :digest, :md5, :size, :ref, :birth_id, :extra)
"""
ARRIVED = "select kind, body from manifest where artifact_id = :artifact and body is not null order by id"


def digest_of(entries: dict[str, dict[str, Any]]) -> str:
    """The digest of a version: md5 over its paths, in order, with the digest of each."""
    md5 = hashlib.md5(DIGEST_HEAD, usedforsecurity=False)
    for path in sorted(entries):
        md5.update(f"{path}:{entries[path]['digest']}\n".encode())
    return md5.hexdigest()


def _is_full(db: Connection, artifact: Row) -> bool:
    return db.all(ARRIVED, artifact=artifact["id"])[-1]["kind"] == "FULL"


def _entries_of(db: Connection, artifact: Row) -> dict[str, dict[str, Any]]:
    """A full manifest as it is; incremental ones over the base version; patches of several writers together."""
    arrived = db.all(ARRIVED, artifact=artifact["id"])
    if not arrived:
        raise BadInput("The artifact's manifest was not uploaded. It was not committed; log it again.")
    if arrived[-1]["kind"] == "FULL":
        return _parse(arrived[-1]["body"])
    entries = _of_base(db, artifact["base_id"]) if arrived[-1]["kind"] == "INCREMENTAL" else {}
    for manifest in arrived:
        entries |= _parse(manifest["body"])
    return entries


def _of_base(db: Connection, base_id: int | None) -> dict[str, dict[str, Any]]:
    """What an incremental version starts from: what was `latest` when it was announced, if anything was."""
    base = db.one("select file_count from artifact where id = :id", id=base_id)
    rows = entries_of(db, base_id)
    if base and len(rows) < base["file_count"]:
        raise Conflict("The version that this one adds to was deleted meanwhile. It was not committed; log it again.")
    return _as_manifest(rows)


def _parse(body: bytes) -> dict[str, dict[str, Any]]:
    try:
        manifest = json.loads(body)
        contents = manifest["contents"]
        usable = manifest["version"] == 1 and all(_is_entry(entry) for entry in contents.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        usable = False
    if not usable:
        raise BadInput("The artifact's manifest is not one of version 1. It was not committed.")
    return contents


def _is_entry(entry: dict[str, Any]) -> bool:
    as_they_should = (entry.get(name) is None or type(entry[name]) is kind for name, kind in KINDS.items())
    return isinstance(entry["digest"], str) and all(as_they_should) and (entry.get("size") or 0) >= 0


def _leaves(path: str) -> bool:
    """Whether it would lead out of the folder that it is downloaded to, on any system, or names no file in it."""
    return (
        posixpath.normpath(path) != path
        or path.startswith(("/", "../"))
        or path in (".", "..")
        or "\x00" in path
        or ("\\" in path and ".." in path.split("\\"))
    )


def _read(artifact_id: int, path: str, entry: dict) -> Row:
    if _leaves(path):
        raise BadInput(f"The manifest names a file '{path}': paths are relative and stay in the artifact.")
    row = {
        "artifact_id": artifact_id,
        "path": path,
        "digest": entry["digest"],
        "md5": None,
        "size": entry.get("size") or 0,
        "ref": entry.get("ref"),
        "birth_id": None,
        "extra": json.dumps(entry["extra"]) if entry.get("extra") else None,
    }
    if row["ref"] is not None:
        return row
    birth = ids.decode(entry["birthArtifactID"], "Artifact") if entry.get("birthArtifactID") else None
    return row | {"md5": blobs.to_hex(entry["digest"]), "birth_id": birth}


def _held(artifact_id: int, row: Row, announced: int | None, size: int | None) -> Row:
    """What a row gets from its content, if that is here and as large as it was announced."""
    if size is None:
        raise BadInput(
            f"{row['path']}: its content (md5 {row['md5']}) was not uploaded. "
            "The artifact was not committed; log it again."
        )
    if announced is not None and size != announced:
        raise BadInput(f"{row['path']}: the upload has {size} bytes, the manifest says {announced}. Log it again.")
    return {"size": size, "birth_id": row["birth_id"] or artifact_id}


# ---- reading ----


def entries_of(db: Connection, artifact_id: int | None) -> list[Row]:
    return db.all("select * from entry where artifact_id = :artifact order by path", artifact=artifact_id)


def entry_page(db: Connection, artifact_id: int, paths: list[str] | None, limit: int, offset: int) -> list[Row]:
    """A version's files by path, the named ones or all."""
    return db.all(
        """
        select *
          from entry
         where artifact_id = :artifact
           and (:paths is null or path in (select value from json_each(:paths)))
         order by path
         limit :limit offset :offset
        """,
        artifact=artifact_id,
        paths=json.dumps(paths) if paths else None,
        limit=limit,
        offset=offset,
    )


def count(db: Connection, artifact_id: int, paths: list[str] | None) -> int:
    """How many files a version has, of the named ones or of all."""
    return db.value(
        """
        select count(*)
          from entry
         where artifact_id = :artifact
           and (:paths is null or path in (select value from json_each(:paths)))
        """,
        artifact=artifact_id,
        paths=json.dumps(paths) if paths else None,
    )


def contents_of(db: Connection, artifact_id: int) -> list[Row]:
    """The md5 and size of each content that a version holds."""
    return db.all(
        "select distinct md5, size from entry where artifact_id = :artifact and md5 is not null", artifact=artifact_id
    )


def has_content(db: Connection, artifact_id: int, md5: str) -> bool:
    return db.one("select 1 from entry where artifact_id = :id and md5 = :md5", id=artifact_id, md5=md5) is not None


def render(db: Connection, artifact_id: int) -> bytes:
    """The manifest as readers get it: without what only concerned the machine that uploaded it."""
    contents = _as_manifest(entries_of(db, artifact_id))
    return json.dumps(POLICY | {"contents": contents}, separators=(",", ":")).encode()


def _as_manifest(rows: list[Row]) -> dict[str, dict[str, Any]]:
    contents = {}
    for row in rows:
        entry = {"digest": row["digest"], "size": row["size"]}
        if row["ref"] is not None:
            entry["ref"] = row["ref"]
        if row["birth_id"] is not None:
            entry["birthArtifactID"] = ids.encode("Artifact", row["birth_id"])
        if row["extra"]:
            entry["extra"] = json.loads(row["extra"])
        contents[row["path"]] = entry
    return contents

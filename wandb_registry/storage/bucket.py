"""Contents in a bucket, laid out as a DVC remote: `files/md5/ab/cdef…`. Clients send and fetch them directly.

A client uploads to `incoming/ARTIFACT/MD5`, and only the registry puts a content under its md5: after the store has
said that its bytes have that md5, or after reading them once where the store can't say. So nothing is under an md5
that hasn't it, and a version has only contents that somebody sent for it or proved to have.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wandb_registry.db.connection import Connection, Database
from wandb_registry.errors import BadInput, BucketAway, RegistryError
from wandb_registry.storage.blobs import MD5, Blobs, BlobWriter, Content, check_md5
from wandb_registry.storage.local_cache import LocalCache
from wandb_registry.storage.object_store import ObjectStore, StoredObject

LAYOUT = "files/md5"  # as DVC 3 lays out its remotes
INCOMING = "incoming"
OWNER = "registry-owner"
SURE_SECONDS = 60.0  # for which a content that was just seen in the bucket is taken to be there
ASKED_SECONDS = 3600  # after which it is noted again that somebody asked for a content
FEW = 8  # contents below `files/md5/ab` that are asked for one by one; more are listed

SEEN = """
insert into bucket_content (md5, size, etag, asked_at) values (:md5, :size, :etag, :now)
    on conflict (md5) do update set size = excluded.size, etag = excluded.etag, asked_at = excluded.asked_at
"""
NOTED = "select * from bucket_content where md5 in (select value from json_each(:md5s))"
REMOVE = """
delete from bucket_content
 where md5 in (select value from json_each(:md5s)) and asked_at <= :before
returning md5, size
"""
FORGET = "delete from bucket_content where md5 in (select value from json_each(:md5s))"
ASKED = "update bucket_content set asked_at = :now where md5 in (select value from json_each(:md5s))"


class Bucket(Blobs):
    """The contents of one store, in a bucket. Its folder holds uploads that pass through, and a cache for pages."""

    def __init__(self, folder: Path, objects: ObjectStore, db: Database):
        super().__init__(folder, "cache")
        self.objects = objects
        self._db = db
        self._cache = LocalCache(self.folder, self.incoming)
        self._sweeper = ThreadPoolExecutor(1, thread_name_prefix="bucket-sweeper")
        self._sure: dict[str, tuple[int, float]] = {}  # by md5: size, and when it was seen

    def check_reachable(self) -> None:
        super().check_reachable()
        self.objects.check()

    def claim(self, mark: str, records: str) -> None:
        """Makes the prefix that of the registry with the secret of this mark, and with these records.

        Raises RegistryError where it is another's: what one removes there the other may need.
        """
        if self._owner() is None:
            self.objects.put_new(OWNER, f"{mark}\n{records}\n".encode())
        owner = self._owner() or ["", ""]
        if owner == [mark, records]:
            return
        elsewhere = (
            f"for another registry, name another prefix. If that registry is gone for good, remove the object "
            f"{self.objects.name}/{OWNER}."
        )
        if owner[0] == mark:
            raise RegistryError(
                f"{self.objects.name} has the contents of other records than this registry's, though both have one "
                f"secret. For one more server of that registry, name its database; {elsewhere}"
            )
        raise RegistryError(
            f"{self.objects.name} has the contents of a registry with another secret. For one more server of that "
            f"registry, copy the file 'secret' of its folder into this one; {elsewhere}"
        )

    def _owner(self) -> list[str] | None:
        """Mark and records of the registry that has the prefix."""
        with suppress(FileNotFoundError), self.objects.open(OWNER) as chunks:
            return b"".join(chunks).decode().split()
        return None

    def local(self, md5: str) -> Path:
        """A copy in the cache. Raises FileNotFoundError, also for a content that hasn't its md5 any more."""
        path = self.path(md5)
        if not self._cache.has(path):
            with self.objects.open(_key(md5)) as chunks:
                self._cache.fill(path, md5, chunks)
        return path

    def still_there(self, db: Connection, md5: str) -> bool:
        return db.one("select 1 from bucket_content where md5 = :md5", md5=md5) is not None

    def still_there_of(self, db: Connection, sizes: dict[str, int]) -> dict[str, int]:
        """Those of the contents, given with their sizes, that `gc` hasn't taken away meanwhile."""
        noted = {row["md5"] for row in db.all(NOTED, md5s=json.dumps(list(sizes)))}
        return {md5: size for md5, size in sizes.items() if md5 in noted}

    def known(self, md5: str, size: int) -> bool | None:
        known, seen = self._sure.get(md5, (0, -SURE_SECONDS))
        return known == size if time.monotonic() - seen < SURE_SECONDS else None

    def is_there(self, md5: str, size: int) -> bool | None:
        return self.known(md5, size)

    def undamaged(self, sizes: dict[str, int]) -> dict[str, bool]:
        proved = self.proved(list(sizes))
        return {md5: proved.get(md5) == size for md5, size in sizes.items()}

    def proved(self, md5s: list[str]) -> dict[str, int]:
        """The sizes of those contents that are in the bucket with all their bytes right. Reads those of which the ETag
        is no md5 and that nobody has read before.
        """
        noted = self._ask_for(md5s)  # before it is looked, so that `gc` can't take it away afterwards
        found = self._find(md5s)
        unread = [md5 for md5, one in found.items() if one.etag not in (md5, noted.get(md5, {}).get("etag"))]
        for md5, digest in zip(unread, self.objects.each(self._md5_of, unread), strict=True):
            if digest != md5:
                del found[md5]
        self._note([(md5, one.size, one.etag) for md5, one in found.items() if md5 not in noted or md5 in unread])
        sizes = {md5: one.size for md5, one in found.items()}
        self._remember(sizes)
        return sizes

    def has_undamaged(self, md5: str, size: int) -> bool:
        return self.undamaged({md5: size})[md5]

    def put_all(self, contents: dict[str, bytes]) -> None:
        there = self.undamaged({md5: len(body) for md5, body in contents.items()})
        new = [(md5, body) for md5, body in contents.items() if not there[md5]]
        etags = self.objects.each(lambda one: self.objects.put(_key(one[0]), one[1], one[0]), new)
        self._note([(md5, len(body), etag) for (md5, body), etag in zip(new, etags, strict=True)])
        self._remember({md5: len(body) for md5, body in new})

    def take(self, writer: BlobWriter, md5: str) -> None:
        if not self.has_undamaged(md5, writer.size):
            self.objects.put_file(_key(md5), writer.path, md5)
            self._note_put(md5, writer.size)

    # ---- what clients send and fetch directly ----

    def upload_address(self, artifact_id: int, md5: str, seconds: int) -> str:
        """Where a client puts a content for a version. It can put those bytes alone, with the header Content-MD5."""
        return self.objects.address_to_put(_incoming(artifact_id, md5), md5, seconds)

    def begin_parts(self, artifact_id: int, md5: str) -> str:
        return self.objects.begin_parts(_incoming(artifact_id, md5))

    def part_address(self, artifact_id: int, md5: str, upload: str, part: tuple[int, str], seconds: int) -> str:
        """Where a client puts one part, given by its number and its md5."""
        return self.objects.address_of_part(_incoming(artifact_id, md5), upload, *part, seconds)

    def complete_parts(self, artifact_id: int, md5: str, upload: str, etags: list[str]) -> None:
        """Puts the parts together. Raises BadInput where one is missing, or all together have another md5."""
        key = _incoming(artifact_id, md5)
        try:
            self.objects.complete_parts(key, upload, etags)
        except BadInput:
            if self.objects.head(key) is None:  # else they are together already: the client missed the answer
                raise
        whole = self.objects.head(key)
        if whole is None:
            raise BadInput("The upload in parts is gone. Upload the file again.")
        self._place(whole, md5)

    def arrived(self, artifact_id: int) -> dict[str, int]:
        """Puts all that clients have sent for a version under its md5. Answers their sizes by md5."""
        sent = {one.key.rpartition("/")[2]: one for one in self.objects.below(f"{INCOMING}/{artifact_id}/")}
        sizes = {md5: one.size for md5, one in sent.items()}
        noted = {md5: sizes[md5] for md5 in self._noted(list(sizes))}  # to look for others costs as much as to put them
        there = self.undamaged(noted) if noted else {}
        missing = [(one, md5) for md5, one in sent.items() if not there.get(md5)]
        placed = self.objects.each(lambda pair: self._place(*pair), missing)
        self._confirm({md5: size for md5, size, _ in placed})
        self._note(placed)
        self._remember(sizes)
        return sizes

    def forget_arrived(self, artifact_id: int) -> None:
        """Removes what clients have sent for a version, once it is recorded where it lies. Nobody waits for that."""

        def remove() -> None:
            with suppress(RegistryError):  # what is left is removed by `gc`
                for one in self.objects.below(f"{INCOMING}/{artifact_id}/"):
                    self.objects.delete(one.key)

        self._sweeper.submit(remove)

    def download_address(self, md5: str, seconds: int, method: str, headers: dict[str, str]) -> str:
        """Where a client reads a content, or with HEAD its size alone."""
        asked = {"HEAD": "head_object"}.get(method, "get_object")
        return self.objects.address_to_get(_key(md5), seconds, asked, **headers)

    # ---- what is known of the bucket's contents ----

    def _place(self, sent: StoredObject, md5: str) -> tuple[str, int, str]:
        """Puts what a client sent under its md5. The store compared the md5 of what came in one request."""
        if sent.etag != md5:
            self._check_whole(sent, md5)
        return md5, sent.size, self.objects.copy(sent, _key(md5))

    def _confirm(self, sizes: dict[str, int]) -> None:
        """Raises BucketAway where a content isn't there after all: a store without room may answer otherwise."""
        found = self._find(list(sizes))
        if lost := [md5 for md5, size in sizes.items() if md5 not in found or found[md5].size != size]:
            raise BucketAway(self.objects.name, f"it took {lost[0]} and hasn't it, so it may be full")

    def _check_whole(self, sent: StoredObject, md5: str) -> None:
        digest = self._digest(sent.key)
        if digest != md5:
            self.objects.delete(sent.key)
            check_md5("the upload in parts", digest or "of nothing", md5)

    def _find(self, md5s: list[str]) -> dict[str, StoredObject]:
        """The objects of contents, as far as they are there."""
        by_folder: dict[str, list[str]] = {}
        for md5 in sorted(md5s):
            by_folder.setdefault(md5[:2], []).append(md5)
        single = [md5 for folder in by_folder.values() if len(folder) < FEW for md5 in folder]
        listed = [folder for folder in by_folder.values() if len(folder) >= FEW]
        found = {md5: one for md5, one in zip(single, self.objects.each(self._head, single), strict=True) if one}
        for objects in self.objects.each(self._listed, listed):
            found |= objects
        return found

    def _head(self, md5: str) -> StoredObject | None:
        return self.objects.head(_key(md5))

    def _listed(self, md5s: list[str]) -> dict[str, StoredObject]:
        """Contents of one folder `files/md5/ab`, given in order, by listing it from the first to the last."""
        wanted, found = set(md5s), {}
        for one in self.objects.below(f"{LAYOUT}/{md5s[0][:2]}/", after=_key(md5s[0])[:-1]):
            md5 = _md5(one.key)
            if md5 in wanted:
                found[md5] = one
            if md5 >= md5s[-1]:
                break
        return found

    def _md5_of(self, md5: str) -> str | None:
        return self._digest(_key(md5))

    def _digest(self, key: str) -> str | None:
        """The md5 of an object, read once; None if it is gone."""
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with self.objects.open(key) as chunks:
                for chunk in chunks:
                    digest.update(chunk)
        except FileNotFoundError:
            return None
        return digest.hexdigest()

    def _note_put(self, md5: str, size: int) -> None:
        found = self._head(md5)
        if found is None or found.size != size:
            raise BadInput("The bucket lost the content while it arrived. Upload it again.")
        self._note([(md5, size, found.etag)])
        self._remember({md5: size})

    def _ask_for(self, md5s: list[str]) -> dict[str, dict[str, Any]]:
        """What is noted of contents, by md5, and that somebody asks for them now, so that `gc` spares them."""
        now, noted = int(time.time()), self._noted(md5s)
        if any(row["asked_at"] < now - ASKED_SECONDS for row in noted.values()):
            with self._db.write() as db:
                db.execute(ASKED, {"md5s": json.dumps(md5s), "now": now})
            noted = self._noted(md5s)
        return noted

    def _noted(self, md5s: list[str]) -> dict[str, dict[str, Any]]:
        with self._db.read() as db:
            rows = db.all(NOTED, md5s=json.dumps(md5s))
        return {row["md5"]: row for row in rows}

    def _note(self, seen: list[tuple[str, int, str]]) -> None:
        """Notes (md5, size, ETag) of contents that were proved to have their md5, and that somebody asked for them."""
        if not seen:
            return
        now = int(time.time())
        with self._db.write() as db:
            db.executemany(SEEN, [{"md5": md5, "size": size, "etag": etag, "now": now} for md5, size, etag in seen])

    def _remember(self, sizes: dict[str, int]) -> None:
        now = time.monotonic()
        if len(self._sure) > 100_000:
            self._sure.clear()
        self._sure |= {md5: (size, now) for md5, size in sizes.items()}

    # ---- moved in and out as a whole ----

    def noted(self) -> dict[str, int]:
        """The sizes of all contents that the registry has here, by md5."""
        with self._db.read() as db:
            return {row["md5"]: row["size"] for row in db.all("select md5, size from bucket_content")}

    def forget(self, md5s: set[str]) -> None:
        """Notes that the registry doesn't have these here. What lies in the bucket stays."""
        if md5s:
            with self._db.write() as db:
                db.execute(FORGET, {"md5s": json.dumps(sorted(md5s))})

    def put_files(self, files: dict[str, Path]) -> set[str]:
        """Puts files under their md5s, as far as the bucket lacks them, and answers which it did.

        Raises BadInput where one hasn't its md5, and FileNotFoundError.
        """
        there = self.proved(list(files))
        missing = [md5 for md5 in files if there.get(md5) != files[md5].stat().st_size]
        self.objects.each(lambda md5: self.objects.put_file(_key(md5), files[md5], md5), missing)
        if lost := set(missing) - self.proved(missing).keys():
            raise BadInput(f"The bucket has other bytes than were sent to it, under {', '.join(sorted(lost))}.")
        return set(missing)

    def fetch(self, md5: str, writer: BlobWriter) -> None:
        """Writes a content into a folder. Raises FileNotFoundError, and BadInput where it hasn't its md5."""
        with self.objects.open(_key(md5)) as chunks:
            for chunk in chunks:
                writer.write(chunk)
        writer.commit("The bucket's content", md5)

    # ---- maintenance ----

    def withdraw(self, md5: str) -> None:
        """Removes what the registry itself put there, under its md5, for a moment."""
        with self._db.write() as db:
            self.remove(db, [md5], time.time() + 1)

    def put_folder_of_dvc(self, md5: str, files: bytes) -> None:
        """Puts DVC's list of a folder's files where DVC looks for it. It is small, and its md5 is that of its bytes."""
        if self.objects.head(f"{_key(md5)}.dir") is None:
            self.objects.put(f"{_key(md5)}.dir", files, md5)

    def listing(self) -> Iterator[Content]:
        """All contents, also those that others put there. DVC's lists of folders are not among them."""
        for one in self.objects.below(f"{LAYOUT}/"):
            if MD5.fullmatch(_md5(one.key)):
                yield Content(_md5(one.key), one.size, one.modified.timestamp())

    def inspect(self, md5s: list[str]) -> Iterator[tuple[str, Content | OSError]]:
        """Each content with the md5 that its bytes have: by the store's ETag where that tells, else they are read."""
        proved, found = self._noted(md5s), self._find(md5s)
        for md5 in md5s:
            one = found.get(md5)
            if one is None:
                yield md5, FileNotFoundError()
                continue
            is_right = one.etag in (md5, proved.get(md5, {}).get("etag"))
            actual = md5 if is_right else self._md5_of(md5)
            yield md5, Content(actual or "", one.size, one.modified.timestamp())

    def remove(self, db: Connection, md5s: list[str], before: float) -> tuple[dict[str, int], RegistryError | None]:
        """As in a folder. Where the bucket fails, an object may stay: then it is no longer the registry's."""
        gone = {row["md5"]: row["size"] for row in db.all(REMOVE, md5s=json.dumps(md5s), before=int(before))}
        for md5 in gone:
            self._sure.pop(md5, None)
        try:
            self.objects.each(self.objects.delete, [_key(md5) for md5 in gone])
        except RegistryError as error:
            return gone, error
        return gone, None

    def folders_of_dvc(self, md5s: set[str]) -> Iterator[bytes]:
        """DVC's lists of the folders with these md5s, as far as the bucket has them: without one DVC finds nothing."""

        def read(md5: str) -> bytes | None:
            with suppress(FileNotFoundError), self.objects.open(f"{_key(md5)}.dir") as chunks:
                return b"".join(chunks)
            return None

        return (files for files in self.objects.each(read, sorted(md5s)) if files is not None)

    def clear_abandoned(self, seconds: float) -> None:
        super().clear_abandoned(seconds)
        before = datetime.fromtimestamp(time.time() - seconds, UTC)
        for one in self.objects.below(f"{INCOMING}/"):
            if one.modified < before:
                self.objects.delete(one.key)
        for key, upload in self.objects.stale_parts(f"{INCOMING}/", before):
            self.objects.abort_parts(key, upload)


def _key(md5: str) -> str:
    if not MD5.fullmatch(md5):
        raise BadInput(f"'{md5}' is not an md5.")
    return f"{LAYOUT}/{md5[:2]}/{md5[2:]}"


def _md5(key: str) -> str:
    return "".join(key.removeprefix(f"{LAYOUT}/").split("/"))


def _incoming(artifact_id: int, md5: str) -> str:
    return f"{INCOMING}/{artifact_id}/{md5}"

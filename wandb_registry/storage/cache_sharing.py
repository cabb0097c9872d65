"""One copy on disk of what a store and another content-addressed folder, such as DVC's cache, both hold.

Where the file system can clone (btrfs, XFS), a content becomes a clone of the other side's; elsewhere both become
names of one inode. That is safe as neither side writes to a content again: each only adds and removes names. Only the
standard library, so that a client can import it; it needs no server, and does no harm to one that runs, or to `gc`.
"""

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wandb_registry.storage.blobs import md5_of
from wandb_registry.storage.fsync import fsync_all

FICLONE = 0x40049409  # ioctl of Linux: the target shares the blocks of the source
READ_ONLY = 0o444


@dataclass
class SharedBytes:
    """What was brought together just now."""

    contents: int = 0
    bytes: int = 0


def share(store: Path, contents: Iterable[tuple[str, Path]]) -> SharedBytes:
    """Let the store's contents share their bytes with files elsewhere, given with their md5s, where that is safe.

    Left alone: what the store lacks, what lies on another file system or belongs to another user, what may still be
    written to (not read-only, or with a further name, such as one in somebody's workspace), and what hasn't its md5.
    """
    blobs, incoming = store / "blobs", store / "incoming"
    if not blobs.is_dir() or not incoming.is_dir():
        return SharedBytes()
    pairs = [(blobs / md5[:2] / md5[2:], path) for md5, path in contents if _can_share(blobs, md5, path)]
    pairs = [(blob, path) for blob, path in pairs if _md5_of(path) == blob.parent.name + blob.name]
    fsync_all([path for _, path in pairs], incoming)  # the store's own were on disk before they were acknowledged
    done = SharedBytes()
    for blob, path in pairs:
        with contextlib.suppress(OSError):  # taken away meanwhile, or links to it are not allowed: two copies, then
            _replace(blob, path, incoming / secrets.token_hex(16))
            done.contents += 1
            done.bytes += path.stat().st_size
    return done


def _can_share(blobs: Path, md5: str, path: Path) -> bool:
    try:
        ours, theirs = os.lstat(blobs / md5[:2] / md5[2:]), os.lstat(path)
    except OSError:
        return False
    return (
        ours.st_dev == theirs.st_dev
        and not _are_one(ours, theirs)
        and theirs.st_size > 0
        and theirs.st_nlink == 1
        and stat.S_ISREG(theirs.st_mode)
        and stat.S_IMODE(theirs.st_mode) == READ_ONLY
    )


def _are_one(ours: os.stat_result, theirs: os.stat_result) -> bool:
    """Whether they are one already; a clone is known by the time of the file that it was made from."""
    same_time = (ours.st_mtime_ns, ours.st_size) == (theirs.st_mtime_ns, theirs.st_size)
    return ours.st_ino == theirs.st_ino or same_time


def _replace(blob: Path, path: Path, aside: Path) -> None:
    """Put a clone of `path`, or the file itself under another name, in the place of `blob`, at once."""
    try:
        if not _clone(path, aside):
            os.link(path, aside)
        os.lstat(blob)  # a content that `gc` took away meanwhile stays away
        aside.replace(blob)
    finally:
        aside.unlink(missing_ok=True)  # a rename between two names of one file leaves both


def _clone(source: Path, target: Path) -> bool:
    """Whether the file system could make `target` share the blocks of `source`."""
    with source.open("rb") as from_file, target.open("xb") as to_file:
        try:
            fcntl.ioctl(to_file.fileno(), FICLONE, from_file.fileno())
        except OSError:
            target.unlink()
            return False
        time = os.fstat(from_file.fileno()).st_mtime_ns
        os.utime(to_file.fileno(), ns=(time, time))
        os.fchmod(to_file.fileno(), READ_ONLY)
        os.fsync(to_file.fileno())
        return True


def _md5_of(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return md5_of(file)
    except OSError:
        return None

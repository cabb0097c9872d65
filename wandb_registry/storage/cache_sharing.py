"""Shares disk blocks between a store and another content-addressed folder, such as DVC's cache.

Where the file system can clone (btrfs, XFS), the store's file becomes a clone of the other folder's; elsewhere it
becomes a hard link to it. Both are safe, because neither side writes to a content again: each only adds and removes
names. The module uses the standard library alone, so that a client can import it. It needs no server, and disturbs
neither a running one nor `gc`.
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
    """How many contents `share` has shared, and their bytes."""

    contents: int = 0
    bytes: int = 0


def share(store: Path, contents: Iterable[tuple[str, Path]]) -> SharedBytes:
    """Makes the store's contents share blocks with other files, given as (md5, path), where that is safe.

    It skips a file whose content the store lacks, that lies on another file system or belongs to another user, whose
    bytes don't have the md5, or that may still be written to: because it isn't read-only, or has a second name, such as
    one in a workspace.
    """
    blobs, incoming = store / "blobs", store / "incoming"
    if not blobs.is_dir() or not incoming.is_dir():
        return SharedBytes()
    pairs = [(blobs / md5[:2] / md5[2:], path) for md5, path in contents if _can_share(blobs, md5, path)]
    pairs = [(blob, path) for blob, path in pairs if _md5_of(path) == blob.parent.name + blob.name]
    fsync_all([path for _, path in pairs], incoming)  # the store's own files are on disk already
    done = SharedBytes()
    for blob, path in pairs:
        with contextlib.suppress(OSError):  # removed meanwhile, or links are not allowed: both copies stay
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
        and not _already_shared(ours, theirs)
        and theirs.st_size > 0
        and theirs.st_nlink == 1
        and stat.S_ISREG(theirs.st_mode)
        and stat.S_IMODE(theirs.st_mode) == READ_ONLY
    )


def _already_shared(ours: os.stat_result, theirs: os.stat_result) -> bool:
    """Whether both share their blocks: one inode, or a clone, which has the size and time of its source."""
    same_time = (ours.st_mtime_ns, ours.st_size) == (theirs.st_mtime_ns, theirs.st_size)
    return ours.st_ino == theirs.st_ino or same_time


def _replace(blob: Path, path: Path, aside: Path) -> None:
    """Replaces `blob` by a clone of `path` or a hard link to it, in one step."""
    try:
        if not _clone(path, aside):
            os.link(path, aside)
        os.lstat(blob)  # raises if `gc` has removed the content meanwhile
        aside.replace(blob)
    finally:
        aside.unlink(missing_ok=True)  # a rename from one name of a file to another leaves both


def _clone(source: Path, target: Path) -> bool:
    """Makes `target` a clone of `source`. False if the file system can't."""
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

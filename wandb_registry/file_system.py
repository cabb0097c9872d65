"""Which file system a folder lies on. SQLite's write-ahead log is shared memory: it works on a machine's disk alone."""

import os
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")  # Linux alone has it
OF_A_NETWORK = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs"),
    *("fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse", "fuse.goofys", "fuse.mount-s3"),
}


def of_a_network(folder: Path) -> str | None:
    """The type of the network's file system that holds the folder, made or not; None if it is no such one."""
    try:
        kind = type_of(MOUNTS.read_text(), os.path.realpath(folder))
    except OSError:
        return None
    return kind if kind in OF_A_NETWORK else None


def type_of(mounts: str, path: str) -> str | None:
    """The type of the file system that holds an absolute path, by the kernel's table of mounts.

    See proc(5), /proc/pid/mountinfo: the fifth field is the mount point, and the type follows a lone hyphen.
    """
    found, longest = None, -1
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        point = _unescaped(left.split(" ")[4]).rstrip("/")
        if f"{path}/".startswith(f"{point}/") and len(point) >= longest:  # of two at one place the later one is seen
            found, longest = right.split(" ")[0], len(point)
    return found


def _unescaped(text: str) -> str:
    """The kernel writes a blank, a tab, a line's end and a backslash as octal numbers."""
    for character in " \t\n\\":
        text = text.replace(f"\\{ord(character):03o}", character)
    return text

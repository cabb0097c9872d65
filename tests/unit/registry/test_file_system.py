"""Which file system a path lies on, by the kernel's table of mounts."""

from __future__ import annotations

import pytest

from wandb_registry.file_system import type_of

MOUNTS = r"""
21 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw
30 21 0:40 / /home rw,nosuid shared:5 - nfs4 filer:/home rw,vers=4.2,addr=10.0.0.1
31 30 0:41 / /home/ann/scratch rw - xfs /dev/sdb1 rw
32 21 0:42 / /data/my\040disk rw - cifs //filer/share rw
33 21 0:43 / /mnt rw - ext4 /dev/sdc1 rw
34 33 0:44 / /mnt rw master:2 propagate_from:3 - fuse.sshfs ann@host: rw
""".strip()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/homework/.registry", "ext4"),
        ("/home", "nfs4"),
        ("/home/ann/project/.registry", "nfs4"),
        ("/home/ann/scratch/.registry", "xfs"),
        ("/home/ann/scratchy", "nfs4"),
        ("/data/my disk/store", "cifs"),
        ("/data/my", "ext4"),
        ("/mnt/store", "fuse.sshfs"),
    ],
)
def test_the_innermost_mount_holds_a_path(path: str, kind: str):
    assert type_of(MOUNTS, path) == kind

"""A real PostgreSQL in a temporary folder, and schemas in it: one is all that a store needs.

python -m tests.engines.team_database COMMAND …      # runs a command, such as pytest, with REGISTRY_TEST_DATABASE set
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEST_DATABASE = "REGISTRY_TEST_DATABASE"  # the address of a PostgreSQL in which the tests' stores keep their records
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = '{folder}'
port = {port}
max_connections = 200
"""


def is_installed() -> bool:
    return _program("initdb") is not None


class PostgreSQL:
    """A server of its own. As root it runs as the user `postgres`: it refuses to run as root."""

    def __init__(self, folder: Path):
        self.folder, self.port = folder, _free_port()
        folder.mkdir()
        (folder / "password").write_text("secret\n")
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", "postgres", folder], check=True)
            for parent in [folder, *folder.parents]:
                if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
        self._run(
            "initdb", "-A", "scram-sha-256", f"--pwfile={folder}/password", "-U", "reg", "-E", "UTF8", "--no-sync"
        )
        with (folder / "data/postgresql.conf").open("a") as file:
            file.write(SETTINGS.format(folder=folder, port=self.port))

    @property
    def url(self) -> str:
        return f"postgresql://reg:secret@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        self._run("pg_ctl", "-w", "-l", f"{self.folder}/log", "start")

    def stop(self, how: str = "fast") -> None:
        self._run("pg_ctl", "-w", "-m", how, "stop")

    def _run(self, name: str, *arguments: str) -> None:
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
        program = _program(name) or name
        done = subprocess.run(
            [program, "-D", f"{self.folder}/data", *arguments],
            **as_user,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@contextmanager
def running() -> Iterator[PostgreSQL]:
    """A server for the block. Its folder is none of pytest's: each session of pytest closes theirs to other users."""
    with tempfile.TemporaryDirectory() as temporary:
        server = PostgreSQL(Path(temporary) / "postgresql")
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


def new_schema(url: str) -> str:
    """The address of a new schema in a database: to a store it is as good as a database of its own."""
    import psycopg  # here, for those who have no database

    name = f"store_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"create schema {name}".encode())
    return f"{url}?options=-csearch_path%3D{name}"


def _program(name: str) -> str | None:
    """Debian has a folder for each version, which isn't on the path."""
    return next((str(path) for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), shutil.which(name))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    with running() as started:
        sys.exit(subprocess.call(sys.argv[1:], env=os.environ | {TEST_DATABASE: started.url}))

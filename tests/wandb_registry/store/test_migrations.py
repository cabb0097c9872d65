"""A store of an earlier version of the schema is upgraded when it is opened, once, whoever opens it first."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.working_tree import ROOT
from wandb_registry.db.sqlite import Database
from wandb_registry.errors import RegistryError

OPEN = """
import sys
from pathlib import Path
from wandb_registry.db.sqlite import Database
store, migrations = map(Path, sys.argv[1:])
print("ready", flush=True)
sys.stdin.readline()
Database(store, str, migrations).close()
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The database of a store, at version 1, with a user's entity in it."""
    path = tmp_path / "registry.db"
    with closing(Database(path, str, migrations=tmp_path)) as database, database.write() as db:
        db.execute("insert into entity (name, kind) values ('me', 'user')")
    return path


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """Two migrations, the second of which needs the first and fails where it runs twice."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0002.sql").write_text("-- A name to show.\nalter table entity add column shown text;\n")
    (folder / "0003.sql").write_text("create table note (text text) strict;\ninsert into note select name from entity;")
    return folder


def state(store: Path) -> tuple[int, list[str]]:
    """The version of the schema, and the rows that the second migration made."""
    with closing(sqlite3.connect(store)) as db:
        version = db.execute("pragma user_version").fetchone()[0]
        return version, [text for (text,) in db.execute("select text from note")] if version == 3 else []


def test_an_older_store_is_upgraded_once(store: Path, migrations: Path):
    for _ in range(2):
        Database(store, str, migrations).close()
    assert state(store) == (3, ["me"])


def test_a_new_store_gets_every_migration(tmp_path: Path, migrations: Path):
    Database(tmp_path / "new.db", str, migrations).close()
    assert state(tmp_path / "new.db") == (3, [])


def test_processes_that_open_an_older_store_at_once_upgrade_it_once(store: Path, migrations: Path):
    command = [sys.executable, "-c", OPEN, str(store), str(migrations)]
    opening = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for process in opening:
        assert process.stdout
        process.stdout.readline()  # it has imported all that it needs
    for process in opening:
        process.communicate("go\n", timeout=60)
    assert [process.returncode for process in opening] == [0] * 4
    assert state(store) == (3, ["me"])


def test_a_migration_that_fails_leaves_the_store_as_the_one_before_left_it(store: Path, migrations: Path):
    (migrations / "0003.sql").write_text("create table note (text text) strict;\ninsert into note values (null, null);")
    with pytest.raises(sqlite3.OperationalError):
        Database(store, str, migrations)
    assert state(store) == (2, [])
    (migrations / "0003.sql").write_text("create table note (text text) strict;")
    Database(store, str, migrations).close()
    assert state(store) == (3, [])


def test_a_newer_store_is_refused(store: Path, migrations: Path):
    Database(store, str, migrations).close()
    (migrations / "0003.sql").unlink()
    with pytest.raises(RegistryError, match=r"written by a newer registry \(its schema is 3, this one knows 2\)"):
        Database(store, str, migrations)

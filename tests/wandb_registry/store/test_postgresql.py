"""Records in a real PostgreSQL: several servers on one database, faults of both, and what is said where it can't be.

`make test-team` runs all other tests of this folder on such records too.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests import working_tree
from tests.conftest import eventually
from tests.engines import team_database
from tests.engines.team_database import PostgreSQL
from tests.wandb_registry.by_hand import data, log
from tests.wandb_registry.conftest import Account, Registry, command, embedded
from tests.working_tree import ROOT
from wandb_registry import store_folder
from wandb_registry.store import open_database
from wandb_registry.store_folder import keep_database_url

psycopg = pytest.importorskip("psycopg")
pytestmark = pytest.mark.skipif(not team_database.is_installed(), reason="needs PostgreSQL: apt-get install postgresql")

MOVE = """
mutation Move($id: ID!, $aliases: [ArtifactCollectionAliasInput!]!) {
  addAliases(input: {artifactID: $id, aliases: $aliases}) { success } }
"""
STATE = """
query State($name: String!) { project(name: "shared", entityName: "local") { artifactCollection(name: $name) {
  artifacts { edges { version node { id digest aliases { alias } } } } } } }
"""


@pytest.fixture
def team(postgresql: PostgreSQL, tmp_path: Path) -> Path:
    """A store with its records in the database, that nobody serves yet."""
    store_folder.prepare(tmp_path / "store")
    keep_database_url(tmp_path / "store", team_database.new_schema(postgresql.url))
    return tmp_path / "store"


@contextmanager
def served(store: Path, port: int = 0) -> Iterator[tuple[Registry, subprocess.Popen[str]]]:
    """One more server of a store."""
    with subprocess.Popen(
        [sys.executable, "-m", "wandb_registry", "serve", "--port", str(port)],
        cwd=ROOT,
        env=os.environ | {"REGISTRY_DIR": str(store)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout
            url = process.stdout.readline().split()[1]
            yield Registry(url, "local", store_folder.api_key(store), store), process
        finally:
            process.kill()


def versions(account: Account, name: str) -> list[dict]:
    found = data(account.ask(STATE, name=name))["project"]["artifactCollection"]["artifacts"]["edges"]
    return [edge["node"] | {"version": edge["version"]} for edge in found]


def holders(account: Account, name: str, alias: str) -> list[str]:
    """The versions that have an alias."""
    return [node["version"] for node in versions(account, name) if {"alias": alias} in node["aliases"]]


def move(account: Account, version: str, name: str, alias: str) -> None:
    where = {"entityName": "local", "projectName": "shared", "artifactCollectionName": name, "alias": alias}
    assert data(account.ask(MOVE, id=version, aliases=[where]))["addAliases"]["success"]


def assert_whole(store: Path) -> str:
    checked = command(store, "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return checked.stdout


def test_two_servers_are_one_registry(team: Path):
    with served(team) as (one, _), served(team) as (other, _):
        version = log(one, "shared", "m", {"a": b"1"}, aliases=["best"])
        assert holders(other, "m", "best") == ["v0"]
        move(other, log(other, "shared", "m", {"a": b"2"}), "m", "best")
        assert holders(one, "m", "best") == ["v1"]
        move(one, version, "m", "best")
        assert holders(other, "m", "best") == ["v0"]
    assert_whole(team)


@pytest.mark.parametrize(("writers", "moves"), [(4, 5), pytest.param(16, 1000, marks=pytest.mark.soak)])
def test_an_alias_has_one_holder_at_any_instant(team: Path, writers: int, moves: int):
    """And versions that both servers log at once have numbers without a gap."""
    with served(team) as (one, _), served(team) as (other, _):
        servers = [one, other]
        with ThreadPoolExecutor(writers + 1) as pool:
            logged = list(
                pool.map(lambda n: log(servers[n % 2], "shared", "m", {"a": str(n).encode()}), range(writers))
            )
            move(one, logged[0], "m", "best")

            def keep_moving(n: int) -> None:
                for turn in range(moves):
                    move(servers[(n + turn) % 2], logged[(n + turn) % writers], "m", "best")

            moving = [pool.submit(keep_moving, n) for n in range(writers)]
            seen = 0
            while not all(one.done() for one in moving):
                assert len(holders(servers[seen % 2], "m", "best")) == 1
                seen += 1
            for one_moved in moving:
                one_moved.result()
        assert seen > 1
        assert sorted(node["version"] for node in versions(one, "m")) == sorted(f"v{n}" for n in range(writers))
    assert_whole(team)


def test_what_another_process_writes_is_heard(team: Path):
    """Open pages look at this count."""
    with closing(open_database(team, str)) as one, closing(open_database(team, str)) as other:
        assert eventually(lambda: one.changes > 0)  # it listens
        before = one.changes
        with other.write():
            pass
        assert eventually(lambda: one.changes > before, 20)


def test_writers_of_all_processes_take_turns(team: Path):
    with (
        closing(open_database(team, str)) as one,
        closing(open_database(team, str)) as other,
        ThreadPoolExecutor() as pool,
    ):

        def write() -> None:
            with other.write():
                pass

        with one.write():
            waiting = pool.submit(write)
            time.sleep(1)
            assert not waiting.done()
        waiting.result(60)


def test_a_reader_sees_one_moment_and_a_single_question_the_present(team: Path):
    count = "select count(*) as found from bucket_content"
    with closing(open_database(team, str)) as one, closing(open_database(team, str)) as other:
        with one.read() as reader:
            assert reader.value(count) == 0
            with other.write() as db:
                db.execute("insert into bucket_content (md5, size, etag, asked_at) values ('a', 1, 'a', 1)")
            assert reader.value(count) == 0
        assert one.one(count) == {"found": 1}


def test_a_request_waits_for_few_answers_of_the_database(team: Path, postgresql: PostgreSQL):
    """Each costs a way there and back: on a network that is all that an operation takes."""
    with psycopg.connect(postgresql.url, autocommit=True) as db:
        db.execute("alter database postgres set log_min_duration_statement = 0")
    try:
        with served(team) as (server, _):
            first, second = (log(server, "shared", "m", {"a": text}) for text in (b"1", b"2"))
            move(server, first, "m", "best")
            began = statements(postgresql)
            move(server, second, "m", "best")
            moved = statements(postgresql)
            holders(server, "m", "best")
            assert 0 < moved - began <= 14
            assert 0 < statements(postgresql) - moved <= 12
    finally:
        with psycopg.connect(postgresql.url, autocommit=True) as db:
            db.execute("alter database postgres reset log_min_duration_statement")


def statements(postgresql: PostgreSQL) -> int:
    """How many messages of its clients the server has logged."""
    return (postgresql.folder / "log").read_text().count(" statement: ")


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [1, pytest.param(30, marks=pytest.mark.soak)])
def test_a_server_that_is_killed_loses_no_acknowledged_version(team: Path, rounds: int):
    """Writers of a killed server go on at the other one."""
    acknowledged: list[str] = []
    with served(team) as (lasting, _):
        for turn in range(rounds):
            with served(team) as (doomed, process), ThreadPoolExecutor(8) as pool:

                def write(n: int, turn: int = turn, doomed: Registry = doomed) -> None:
                    for count in range(1000):
                        try:
                            acknowledged.append(
                                log(doomed, "shared", f"m{n % 2}", {"a": f"{turn} {n} {count}".encode()})
                            )
                        except (OSError, ValueError, HTTPException):  # no answer, or a part of one
                            return

                writing, before = [pool.submit(write, n) for n in range(8)], len(acknowledged)
                enough = before + 3 + turn % 5
                assert eventually(lambda enough=enough: len(acknowledged) > enough)
                process.send_signal(signal.SIGKILL)
                for one in writing:
                    one.result()
            assert log(lasting, "shared", "m0", {"a": f"after {turn}".encode()})
        there = {node["id"] for name in ("m0", "m1") for node in versions(lasting, name)}
    assert set(acknowledged) <= there
    assert_whole(team)


@pytest.mark.slow
def test_a_restart_of_the_database_loses_no_acknowledged_version(team: Path, postgresql: PostgreSQL):
    """Requests in the middle fail with a status that the SDK repeats; others wait."""
    acknowledged: list[str] = []
    with served(team) as (registry, _), ThreadPoolExecutor(4) as pool:
        stop = False

        def write(n: int) -> None:
            count = 0
            while not stop:
                with suppress(AssertionError):  # of a request in the middle, which says 503
                    acknowledged.append(log(registry, "shared", "m", {"a": f"{n} {count}".encode()}))
                count += 1

        writing = [pool.submit(write, n) for n in range(4)]
        assert eventually(lambda: len(acknowledged) > 4)
        postgresql.stop("immediate")
        away = len(acknowledged)
        postgresql.start()
        assert eventually(lambda: len(acknowledged) > away + 8)
        stop = True
        for one in writing:
            one.result()
        there = {node["id"] for node in versions(registry, "m")}
    assert set(acknowledged) <= there
    assert_whole(team)


# ---- what is said ----


@pytest.mark.slow
def test_a_backup_is_an_embedded_store(team: Path, tmp_path: Path):
    with served(team) as (registry, _):
        log(registry, "shared", "m", {"a": b"1"})
        log(registry, "shared", "m", {"a": b"2"})
    assert command(team, "backup", str(tmp_path / "copy")).returncode == 0
    assert (tmp_path / "copy/registry.db").exists()
    assert assert_whole(tmp_path / "copy") == assert_whole(team)
    with served(tmp_path / "copy") as (copied, _):
        assert [node["version"] for node in versions(copied, "m")] == ["v1", "v0"]
        log(copied, "shared", "m", {"a": b"3"})
    assert_whole(tmp_path / "copy")


def said(store: Path, url: str) -> str:
    """What `check` says of a store with this database; it ends with status 1."""
    shutil.rmtree(store, ignore_errors=True)
    store_folder.prepare(store)
    keep_database_url(store, url)
    done = command(store, "check")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    return done.stderr.removeprefix("wandb-registry: ")


def test_a_database_that_can_not_be_used_is_told_in_a_sentence(postgresql: PostgreSQL, tmp_path: Path):
    import psycopg

    with psycopg.connect(postgresql.url, autocommit=True) as db:
        db.execute("create role weak login password 'secret'")
        db.execute("create database guarded")
    url, store = postgresql.url, tmp_path / "said"
    assert "password authentication failed" in said(store, url.replace("secret", "wrong"))
    assert 'database "nowhere" does not exist' in said(store, url.replace("/postgres", "/nowhere"))
    assert "Connection refused" in said(store, url.replace(str(postgresql.port), "1"))
    assert "'weak' lacks a right" in said(store, url.replace("reg:", "weak:").replace("/postgres", "/guarded"))
    assert "no address of a database" in said(store, "http://example.com")
    assert "secret" not in said(store, url.replace(str(postgresql.port), "1"))


@embedded
@pytest.mark.slow
def test_a_store_with_its_records_in_a_file_takes_no_database(postgresql: PostgreSQL, store: Path):
    with served(store):
        pass
    done = subprocess.run(
        [sys.executable, "-m", "wandb_registry", "serve", "--database", postgresql.url],
        env=os.environ | {"REGISTRY_DIR": str(store)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "has its records in the file registry.db" in done.stderr


def test_a_newer_schema_is_refused(team: Path):
    import psycopg

    assert_whole(team)
    with psycopg.connect((team / "database").read_text().strip(), autocommit=True) as db:
        db.execute("update registry_schema set version = 1000")
    assert "written by a newer registry" in command(team, "check").stderr


# ---- one set of SQL ----

BEGINNING = re.compile(r"\s*(select|insert|update|delete)\s")
SIFTED = re.compile(r"\bfrom found\b")  # asked by SQLite in any case


def package_sql() -> dict[str, str]:
    """Every statement that stands whole in a module of the package, and where."""
    found: dict[str, str] = {}
    for path in working_tree.files("wandb_registry/model", "wandb_registry/web", "wandb_registry/maintenance.py"):
        if path.endswith(".py"):
            module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
            texts = [item for value in vars(module).values() for item in (value if type(value) is tuple else [value])]
            tree = ast.parse((ROOT / path).read_text())
            parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
            texts += [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in parts]
            found |= {text: path for text in texts if isinstance(text, str) and _is_statement(text)}
    return found


def _is_statement(text: str) -> bool:
    return bool(BEGINNING.match(text)) and not SIFTED.search(text) and "{" not in text and ":" in text


def test_postgresql_takes_every_statement_of_the_package(team: Path):
    """One that no other test runs would fail on the day that somebody needs it."""
    import psycopg

    refused = []
    with closing(open_database(team, str)) as database:
        for text, path in package_sql().items():
            names = dict.fromkeys(re.findall(r":(\w+)", text))
            try:
                with database.write() as db:
                    db.execute(text, names)
                    raise _Undone
            except (_Undone, psycopg.IntegrityError):
                pass
            except psycopg.Error as error:
                refused.append(f"{path}: {error}\n{text}")
    assert not refused, "\n".join(refused)


class _Undone(Exception):
    """So that a statement leaves nothing behind."""

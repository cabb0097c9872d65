"""A registry behind nginx with TLS: each address that it gives out is the public one, also below a path.

And requests with hosts or forwarded addresses that are made up.
"""

from __future__ import annotations

import html
import http.client
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from tests.engines.proxy import Served, behind_nginx, free_port, serving
from tests.wandb_registry.by_hand import CREATE, FILES, artifact_digest, b64
from tests.wandb_registry.conftest import Account, command

MOST_PAGES = 150
FORMS = ("/theme", "/logout")  # where nothing is but what a form sends to
LINKS = re.compile(r"""(?:href|src|action|data-base)="([^"#][^"]*)"|"(?:series|values|rows)": *"([^"]+)\"""")
LOG = """
import wandb
for number in range(2):
    with wandb.init(project="vision", name=f"run-{number}", settings=wandb.Settings(x_disable_stats=True)) as run:
        run.log({"loss": number, "samples": wandb.Table(["a", "b"], [[1, 2], [3, 4]]), "page": wandb.Html("<p>hello")})
        version = wandb.Artifact("digits", "dataset")
        with version.new_file("some folder/labels.csv") as file:
            file.write("label\\n" * (100 + number))
        run.log_artifact(version).wait()
        run.link_artifact(version, "model-registry/Digits")
"""
DOWNLOAD = """
import sys, wandb
version = wandb.Api().artifact("local/vision/digits:latest")
print(version.url)
print(open(version.download(sys.argv[1]) + "/some folder/labels.csv").read().count("\\n"))
"""


@pytest.fixture(scope="module", params=[pytest.param("", marks=pytest.mark.slow), "/team/wandb"], ids=["root", "path"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A registry that the SDK has filled through nginx."""
    folder = tmp_path_factory.mktemp("served")
    with behind_nginx(folder, request.param) as served:
        _run(served, folder, LOG)
        yield served


def test_serve_and_open_url_print_the_public_address(served: Served):
    assert served.said[0] == f"Registry  {served.url}"
    assert served.said[2].startswith(f"Open      {served.url}/login?token=")
    assert command(served.store, "open-url").stdout.startswith(f"{served.url}/login?token=")


def test_the_sdk_gets_what_it_logged(served: Served, tmp_path: Path):
    url, lines = _run(served, tmp_path, DOWNLOAD, str(tmp_path / "got")).split()
    assert url.startswith(f"{served.url}/local/vision/artifacts/dataset/digits/v")
    assert lines == "101"


def test_each_address_of_each_page_is_below_the_public_one(served: Served):
    cookies = CookieJar()
    opener = urllib.request.build_opener(
        urllib.request.HTTPCookieProcessor(cookies),
        urllib.request.HTTPSHandler(context=served.trust),
        urllib.request.ProxyHandler({}),
    )
    opener.open(command(served.store, "open-url").stdout.strip(), timeout=60).close()
    assert [(cookie.secure, cookie.path) for cookie in cookies] == [(True, f"{urlsplit(served.url).path}/")]
    waiting, seen = [f"{served.url}/"], {f"{served.url}/"}
    kinds = set()
    while waiting:
        page = waiting.pop(0)
        with opener.open(page, timeout=60) as answer:
            assert answer.url.startswith(f"{served.url}/"), page
            text = answer.read().decode(errors="replace") if "html" in answer.headers["content-type"] else ""
        for found in LINKS.findall(text):
            address = html.unescape(found[0] or found[1])
            if address.startswith(("http", "data:")):  # of a run's repository, or an uploaded file
                continue
            absolute = urljoin(answer.url, address).partition("#")[0]
            assert absolute.startswith(f"{served.url}/"), f"{page} has {address}"
            kind = re.sub(r"[\w.-]*\d[\w.-]*|\?.*", "", absolute)  # one of each is enough
            if absolute not in seen and kind not in kinds and len(seen) < MOST_PAGES and not absolute.endswith(FORMS):
                kinds.add(kind)
                seen.add(absolute)
                waiting.append(absolute)
    assert len(seen) > 30


def test_who_is_not_signed_in_is_sent_to_the_public_sign_in_page(served: Served):
    path = urlsplit(served.url).path
    answer = _send(served.direct, "GET", f"{path}/local/vision?q=a", Accept="text/html")
    assert answer.status == 303
    assert answer.headers["location"] == f"{path}/login?next={path.replace('/', '%2F')}%2Flocal%2Fvision%3Fq%3Da"
    answer = _send(served.direct, "POST", f"{path}/login?next=%2F%2Fevil.example", f"key={served.key}")
    assert answer.headers["location"] == f"{path}/"
    assert "Secure" in answer.headers["set-cookie"]


def test_a_direct_request_is_given_the_public_addresses_too(served: Served):
    assert _upload_address(served.direct, served.key).startswith(f"{served.url}/storage/artifacts/")


def test_an_altered_address_of_an_upload_opens_nothing(served: Served):
    address = _upload_address(served.direct, served.key)
    path, _, query = address.removeprefix(served.url).partition("?")
    prefix = urlsplit(served.url).path
    other_file = path[:-1] + ("1" if path.endswith("0") else "0")
    for other in (f"{prefix}{other_file}?{query}", f"{prefix}{path}?{query}0", f"{prefix}{prefix}/x{path}?{query}"):
        assert _send(served.direct, "PUT", other, "text").status in (403, 404, 405)


HOSTILE = [
    ({"Host": "evil.example"}, 403),
    ({"Host": "evil@127.0.0.1:{port}"}, 400),
    ({"Host": "evil@127.0.0.1:{port}.evil.example"}, 400),
    ({"Host": "127.0.0.1:{port}.evil.example"}, 400),
    ({"Host": "127.0.0.1:{port}@evil.example"}, 400),
    ({"Host": "127.0.0.1.evil.example:{port}"}, 403),
    ({"Host": "127.0.0.1:{port}/evil.example"}, 400),
    ({"Host": "127.0.0.1:{port}", "Origin": "http://evil.example"}, 403),
    ({"Host": "127.0.0.1:{port}", "Origin": "null"}, 403),
    ({"Host": "127.0.0.1:{port}", "X-Forwarded-Host": "evil.example"}, 200),
    ({"Host": "127.0.0.1:{port}", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "444"}, 200),
    ({"Host": "127.0.0.1:{port}", "X-Forwarded-Prefix": "/evil", "X-Script-Name": "/evil"}, 200),
    ({"Host": "127.0.0.1:{port}", "Forwarded": "for=1.2.3.4;host=evil.example;proto=https"}, 200),
    ({"Host": "127.0.0.1:{port}", "X-Original-Host": "evil.example", "X-Host": "evil.example"}, 200),
]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """A registry of this machine alone, which trusts no proxy."""
    store, port = tmp_path_factory.mktemp("alone") / "store", free_port()
    with serving(store, "--port", str(port)):
        yield Account(f"http://127.0.0.1:{port}", "local", (store / "api-key").read_text().strip())


@pytest.mark.parametrize(("headers", "status"), HOSTILE)
def test_no_made_up_host_gets_into_an_address(alone: Account, headers: dict[str, str], status: int):
    """`evil@127.0.0.1:PORT.evil.example` was served: its upload addresses led to evil.example."""
    sent = {name: value.format(port=urlsplit(alone.url).port) for name, value in headers.items()}
    if status == 200:
        assert _upload_address(alone.url, alone.key, **sent).startswith(f"{alone.url}/storage/")
    assert _send(alone.url, "GET", "/healthz", **sent).status == status


def test_two_hosts_are_none(alone: Account):
    port = urlsplit(alone.url).port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("GET", "/healthz", skip_host=True)
    for host in (f"127.0.0.1:{port}", "evil.example"):
        connection.putheader("Host", host)
    connection.endheaders()
    assert connection.getresponse().status == 400
    connection.close()


@pytest.mark.parametrize(
    ("trusted", "client"), [((), "127.0.0.1"), (("--trusted-proxy", "127.0.0.0/8"), "203.0.113.9")]
)
def test_forwarded_addresses_are_believed_from_trusted_proxies_alone(tmp_path: Path, trusted: tuple, client: str):
    """uvicorn by itself believes each process of this machine."""
    port = free_port()
    with serving(tmp_path / "store", "--port", str(port), *trusted):
        url, key = f"http://127.0.0.1:{port}", (tmp_path / "store/api-key").read_text().strip()
        forwarded = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9", "X-Forwarded-Proto": "https"}
        given = _upload_address(url, key, **forwarded)
        assert given.startswith(f"https://127.0.0.1:{port}/" if trusted else f"{url}/")
        signed_in = _send(url, "POST", "/login", f"key={key}", **forwarded).headers["set-cookie"]
        assert ("Secure" in signed_in) == bool(trusted)
        settings = _send(url, "GET", "/settings", Cookie=signed_in.partition(";")[0]).text
        assert f", {client}" in settings


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--public-url", "wandb.example.com", "'wandb.example.com' is not a public address."),
        ("--public-url", "https://a.example/x y", "a path has letters, digits"),
        ("--trusted-proxy", "proxy.example", "'proxy.example' is neither an address nor a network"),
        ("--trusted-proxy", "*", "'*' is neither an address nor a network"),
    ],
)
def test_serve_refuses_what_it_cannot_be_reached_by(tmp_path: Path, option: str, value: str, told: str):
    done = command(tmp_path / "store", "serve", option, value)
    assert done.returncode == 2
    assert told in done.stderr


def _run(served: Served, folder: Path, script: str, *arguments: str) -> str:
    """Runs a script with the SDK on the public address; returns what it printed."""
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, env=served.sdk_environment(folder), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


class _Answer:
    def __init__(self, answer: http.client.HTTPResponse):
        self.status, self.headers, self.text = answer.status, answer.headers, answer.read().decode(errors="replace")


def _send(url: str, method: str, path: str, body: str = "", **headers: str) -> _Answer:
    """A plain request with any header."""
    parts = urlsplit(url)
    assert parts.hostname
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.request(method, path, body or None, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = _Answer(connection.getresponse())
    connection.close()
    return answer


def _upload_address(url: str, key: str, **headers: str) -> str:
    """Where a file of a new version is to go."""

    def ask(query: str, **variables: object) -> dict:
        body = json.dumps({"query": query, "variables": variables})
        answer = _send(url, "POST", "/graphql", body, Authorization=f"Bearer {key}", **headers)
        assert answer.status == 200, answer.text
        return json.loads(answer.text)["data"]

    content = {"a.txt": os.urandom(8)}
    version = ask(CREATE, entity="local", project="addresses", name="a", digest=artifact_digest(content), aliases=[])
    files = [{"artifactID": version["createArtifact"]["artifact"]["id"], "name": "a.txt", "md5": b64(content["a.txt"])}]
    [edge] = ask(FILES, files=files)["createArtifactFiles"]["files"]["edges"]
    return edge["node"]["uploadUrl"]

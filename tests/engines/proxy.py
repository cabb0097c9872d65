"""nginx with TLS before a server of the registry, by the configuration that deploy/ has."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.working_tree import ROOT

HOST = "127.0.0.2"  # an address of this machine by which a server of 127.0.0.1 isn't reached without a proxy
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
LACKING = "There is no nginx to test behind. Install it: sudo apt-get install nginx-light"
MAIN = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    include {folder}/site.conf;
}}
"""


@dataclass(frozen=True)
class Served:
    """A registry behind nginx: its public address, the server's own, what it printed, and the certificate to trust."""

    url: str
    direct: str
    store: Path
    said: list[str]
    certificate: Path
    process: subprocess.Popen[str]

    @property
    def key(self) -> str:
        return (self.store / "api-key").read_text().strip()

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    def sdk_environment(self, folder: Path) -> dict[str, str]:
        """The environment of a process whose SDK speaks to the public address."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
        places = ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR", "WANDB_CONFIG_DIR")
        trusted = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
        return {
            **kept,
            **dict.fromkeys(places, str(folder)),
            **dict.fromkeys(trusted, str(self.certificate)),
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": self.key,
            "WANDB_SILENT": "true",
            "WANDB_ERROR_REPORTING": "false",
            "PYTHONPATH": str(ROOT),
        }


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


@contextmanager
def serving(store: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`wandb-registry serve` in the foreground, with the lines that it printed at its start."""
    process = subprocess.Popen(
        [sys.executable, "-m", "wandb_registry", "serve", *options],
        cwd=ROOT,
        env=os.environ | {"REGISTRY_DIR": str(store)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        yield process, [process.stdout.readline().strip() for _ in range(3)]
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


@contextmanager
def behind_nginx(
    folder: Path, path: str = "", *options: str, outer: int | None = None, servers: int = 1
) -> Iterator[Served]:
    """A registry behind nginx, at the root of an address or below a path; `outer` is the port of that address.

    Several servers share its store, and nginx passes requests to each in turn.
    """
    if not Path(NGINX).exists():
        pytest.skip(LACKING)
    ports, outer = [free_port() for _ in range(servers)], outer or free_port(HOST)
    url = f"https://{HOST}:{outer}{path}"
    certificate = _certificate(folder)
    known = ("--public-url", url, "--trusted-proxy", "127.0.0.1", *options)
    with ExitStack() as stack:
        started = [stack.enter_context(serving(folder / "store", "--port", str(port), *known)) for port in ports]
        process, said = started[0]
        stack.enter_context(_nginx(folder, path, ports, outer))
        yield Served(url, f"http://127.0.0.1:{ports[0]}", folder / "store", said, certificate, process)


def _certificate(folder: Path) -> Path:
    made = folder / "certificate.pem"
    names = ["-subj", "/CN=registry", "-addext", f"subjectAltName=IP:{HOST}"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(made)]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *names, *files],
        check=True,
        capture_output=True,
    )
    return made


@contextmanager
def _nginx(folder: Path, path: str, ports: list[int], outer: int) -> Iterator[None]:
    site = (ROOT / "deploy/nginx.conf").read_text()
    for pattern, value in (
        (r"listen 443 ssl", f"listen {HOST}:{outer} ssl"),
        (r"server_name \S+;", f"server_name {HOST};"),
        (r"/etc/ssl/wandb/fullchain\.pem", f"{folder}/certificate.pem"),
        (r"/etc/ssl/wandb/privkey\.pem", f"{folder}/key.pem"),
        (r"(?m)^    location /", f"    location {path}/"),
        (r"server 127\.0\.0\.1:8090;", " ".join(f"server 127.0.0.1:{port};" for port in ports)),
    ):
        site, found = re.subn(pattern, value, site)
        assert found == 1, f"deploy/nginx.conf has no {pattern}"
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
    command = [NGINX, "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
    process = subprocess.Popen(command)
    try:
        _wait_for(outer)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        assert time.monotonic() < deadline, "nginx doesn't listen"
        time.sleep(0.05)

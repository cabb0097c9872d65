"""A registry where people sign in at a provider, and what its pages say to a browser."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.engines.identity_provider import Browser
from tests.engines.proxy import serving

from .conftest import Account, command

FILE = """
[provider]
issuer = "{issuer}"
client_id = "registry"
name = "Example"

[[access]]
group = "ml"
team = "vision"

[[access]]
group = "leads"
team = "vision"
role = "admin"

[[access]]
group = "guests"

[[access]]
group = "operators"
admin = true
"""


@dataclass(frozen=True)
class Place:
    """A registry where people sign in by a provider."""

    url: str
    store: Path

    def key_works(self, key: str) -> str:
        """Whom the key signs in, or why it doesn't."""
        answer = Account(self.url, "", key).ask("{ viewer { username } }").json()
        return answer["data"]["viewer"]["username"] if answer["data"] else answer["errors"][0]["message"]


def make_team(store: Path) -> None:
    for line in ("user add lead", "org add acme --admin lead", "team add vision --org acme --member lead"):
        done = command(store, *line.split())
        assert done.returncode == 0, done.stderr


@contextmanager
def served(folder: Path, port: int, issuer: str, text: str = FILE, machines: tuple[str, ...] = ()) -> Iterator[Place]:
    """A registry with the team 'vision', these service accounts, and whom this issuer signs in."""
    store, file = folder / "store", folder / "openid.toml"
    make_team(store)
    for name in machines:
        command(store, "user", "add", name, "--service", "vision")
    file.write_text(text.format(issuer=issuer))
    with serving(store, "--port", str(port), "--openid", str(file)):
        yield Place(f"http://127.0.0.1:{port}", store)


def text_of(answer: requests.Response) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def problem(answer: requests.Response) -> str:
    """What the page to sign in at says went wrong."""
    [found] = re.findall(r'role="alert">([^<]*)<', answer.text)
    return html.unescape(found)


def who(url: str, browser: Browser) -> str | None:
    """Whom the registry takes this browser for."""
    answer = browser.session.get(f"{url}/settings", timeout=60)
    found = re.search(r"Signed in as (\S+)", text_of(answer))
    return found[1] if found and answer.ok and "/login" not in answer.url else None


def make_key(url: str, browser: Browser) -> str:
    """A key that somebody who is signed in makes on the page for it."""
    page = browser.session.get(f"{url}/authorize", timeout=60)
    [token] = re.findall(r'action="[^"]*/authorize">\s*<input type="hidden" name="token" value="([^"]+)"', page.text)
    made = browser.session.post(f"{url}/authorize", {"token": token}, timeout=60)
    return re.findall(r'id="made"[^>]*value="([^"]+)"', made.text)[0]

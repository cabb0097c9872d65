"""Signing in at a provider of OpenID Connect, a certified one: accounts begin, change and end by its word."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.engines import identity_provider
from tests.engines.identity_provider import Browser, IdentityProvider
from tests.engines.proxy import HOST, behind_nginx, free_port
from tests.wandb_registry.conftest import command, records
from tests.wandb_registry.openid_place import FILE, Place, make_key, make_team, problem, served, text_of, who


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IdentityProvider, Place]]:
    folder, port = tmp_path_factory.mktemp("openid"), free_port()
    with (
        pytest.MonkeyPatch.context() as patch,
        identity_provider.running(folder, f"http://127.0.0.1:{port}") as running,
    ):
        patch.setenv("REGISTRY_OPENID_SECRET", running.secret or "")
        with served(folder, port, running.url) as place:
            yield running, place


def members(place: Place) -> str:
    return command(place.store, "team", "list").stdout


# ---- accounts ----


def test_the_first_sign_in_makes_an_account_in_the_teams_of_its_groups(provider: tuple[IdentityProvider, Place]):
    known, place = provider
    known.know("Mika.Example", "ml", "something else")
    browser = Browser()
    answer = browser.sign_in(place.url, "Mika.Example", "?next=/vision")
    assert answer.url == f"{place.url}/vision"
    settings = text_of(browser.session.get(f"{place.url}/settings", timeout=60))
    assert "Name mika-example E-mail Mika.Example@example.com" in settings
    assert f"Signs in at {known.url}" in settings
    assert "vision member" in settings
    key = make_key(place.url, browser)
    assert place.key_works(key) == "mika-example"


def test_each_sign_in_brings_the_account_up_to_date(provider: tuple[IdentityProvider, Place]):
    known, place = provider
    known.know("ben", "ml")
    browser = Browser()
    browser.sign_in(place.url, "ben")
    known.know("ben", "leads", "operators", email="b@example.com", preferred_username="benjamin")
    browser.sign_in(place.url, "ben")
    settings = text_of(browser.session.get(f"{place.url}/settings", timeout=60))
    assert "ben, admin of this registry" in settings, "a name stays: addresses hold it"
    assert "Name ben E-mail b@example.com" in settings
    known.know("ben", "guests")
    browser.sign_in(place.url, "ben")
    settings = text_of(browser.session.get(f"{place.url}/settings", timeout=60))
    assert "You are in no team." in settings
    assert "none beyond those in teams" in settings
    assert "ben" not in command(place.store, "org", "list").stdout


def test_an_account_ends_with_its_groups_and_comes_back_with_them(provider: tuple[IdentityProvider, Place]):
    known, place = provider
    known.know("eve", "ml")
    first, second = Browser(), Browser()
    first.sign_in(place.url, "eve")
    key = make_key(place.url, first)
    known.know("eve", "another")
    answer = second.sign_in(place.url, "eve")
    assert (answer.status_code, problem(answer)) == (
        403,
        f"'eve' is in no group of {urlsplit(known.url).netloc} that may sign in here.",
    )
    assert who(place.url, first) is None
    assert "No account of this registry has this API key" in place.key_works(key)
    assert "eve" not in members(place)
    known.know("eve", "ml")
    second.sign_in(place.url, "eve")
    assert who(place.url, second) == "eve"
    assert who(place.url, first) is None, "a session of before came back with the account"
    assert "eve" in members(place)


def test_whom_an_admin_removed_stays_out(provider: tuple[IdentityProvider, Place]):
    known, place = provider
    known.know("gone", "ml")
    browser = Browser()
    browser.sign_in(place.url, "gone")
    command(place.store, "user", "rm", "gone")
    assert who(place.url, browser) is None
    assert problem(browser.sign_in(place.url, "gone")) == "An admin of this registry ended the account 'gone'."


def test_a_name_that_is_taken_is_nobody_elses_until_an_admin_says_so(provider: tuple[IdentityProvider, Place]):
    """Who can choose a name at the provider must not become the account that has it here."""
    known, place = provider
    key = "taken".ljust(40, "k")
    command(place.store, "user", "add", "taken", "--api-key", key)
    known.know("sub ject's", "ml", preferred_username="taken")
    browser = Browser()
    answer = browser.sign_in(place.url, "sub ject's")
    assert answer.status_code == 409
    assert who(place.url, browser) is None
    remedy = shlex.split(problem(answer).partition("types: wandb-registry ")[2])
    done = command(place.store, *remedy)
    assert (done.returncode, done.stdout) == (0, f"taken signs in at {known.url}.\n"), done.stderr
    assert place.key_works(key) == "taken", "until the first sign-in it goes on as before"
    browser.sign_in(place.url, "sub ject's")
    assert who(place.url, browser) == "taken"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "told"),
    [("nobody", "There is no user 'nobody'"), ("robot", "'robot' is a service account"), ("", "runs this registry")],
)
def test_not_each_account_can_be_linked(provider: tuple[IdentityProvider, Place], name: str, told: str):
    _, place = provider
    command(place.store, "user", "add", "robot", "--service", "vision")
    operator = command(place.store, "user", "list").stdout.splitlines()[1:]
    named = name or next(line.split()[0] for line in operator if " yes " in line)
    done = command(place.store, "user", "link", named, "--issuer", "https://a.example", "--subject", "1")
    assert done.returncode == 1
    assert told in done.stderr


def test_keys_wait_for_a_sign_in_after_a_while(provider: tuple[IdentityProvider, Place]):
    known, place = provider
    known.know("away", "ml")
    browser = Browser()
    browser.sign_in(place.url, "away")
    key = make_key(place.url, browser)
    with records(place.store) as db:
        db.execute("update identity set valid_until = 1 where subject = 'away'", {})
    assert place.key_works(key).startswith(f"'away' hasn't signed in at {known.url} for too long")
    assert who(place.url, browser) is None, "a session by the key would go on for a month"
    browser.sign_in(place.url, "away")
    assert place.key_works(key) == "away"


def test_signing_out_at_the_provider_ends_the_sessions_here(provider: tuple[IdentityProvider, Place]):
    known, place = provider
    known.know("leaver", "ml")
    browser = Browser()
    browser.sign_in(place.url, "leaver")
    assert who(place.url, browser) == "leaver"
    page = browser.session.get(f"{place.url}/login/openid/leave", timeout=60)
    action = re.findall(r'action="([^"]+)"', page.text)[0]
    [token] = re.findall(r'name="xsrf" value="([^"]+)"', page.text)
    browser.session.post(html.unescape(action), {"xsrf": token, "logout": "yes"}, timeout=60)
    assert who(place.url, browser) is None


def test_signing_out_here_says_that_one_may_be_signed_in_there(provider: tuple[IdentityProvider, Place]):
    known, place = provider
    known.know("ada", "ml")
    browser = Browser()
    page = browser.sign_in(place.url, "ada")
    [token] = re.findall(r'action="/logout"[^>]*>\s*<input type="hidden" name="token" value="([^"]+)"', page.text)
    left = browser.session.post(f"{place.url}/logout", {"token": token}, timeout=60)
    assert "At Example you may still be signed in: sign out there too" in text_of(left)
    assert who(place.url, browser) is None


@pytest.mark.slow
def test_behind_nginx_below_a_path_and_without_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """PKCE alone proves the client; all cookies stay below the path, over TLS."""
    monkeypatch.delenv("REGISTRY_OPENID_SECRET", raising=False)
    make_team(tmp_path / "store")
    url = f"https://{HOST}:{(port := free_port(HOST))}/team/wandb"
    with identity_provider.running(tmp_path, url, secret=None) as known:
        (tmp_path / "openid.toml").write_text(FILE.format(issuer=known.url))
        with behind_nginx(tmp_path, "/team/wandb", "--openid", str(tmp_path / "openid.toml"), outer=port) as place:
            known.know("mika", "ml")
            browser = Browser(place.certificate)
            started = browser.session.get(
                f"{url}/login/openid?next=/team/wandb/vision", allow_redirects=False, timeout=60
            )
            [cookie] = [one for one in browser.session.cookies if "_openid_" in one.name]
            assert (cookie.secure, cookie.path) == (True, "/team/wandb/")
            assert "; HttpOnly; " in started.headers["set-cookie"]
            assert "; SameSite=lax; Secure" in started.headers["set-cookie"]
            asked = parse_qs(urlsplit(started.headers["location"]).query)
            assert asked["redirect_uri"] == [f"{url}/login/openid/done"]
            assert asked["code_challenge_method"] == ["S256"]
            page = browser.session.get(started.headers["location"], timeout=60)
            assert browser.pass_provider(page, "mika").url == f"{url}/vision"
            kept = [one for one in browser.session.cookies if one.domain == HOST]
            assert [(one.secure, one.path, "_openid_" in one.name) for one in kept] == [(True, "/team/wandb/", False)]

"""Between two sign-ins the provider is asked again, by refresh tokens: who is locked out there is soon out here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.engines import identity_provider
from tests.engines.identity_provider import Browser, IdentityProvider
from tests.engines.proxy import free_port
from tests.wandb_registry.conftest import command, records
from tests.wandb_registry.openid_place import FILE, Place, make_key, served, who

OFFLINE = FILE.replace(
    "[provider]", '[provider]\nscopes = ["profile", "email", "offline_access"]\nprompt = "consent"\nrecheck_minutes = 1'
)


@contextmanager
def running(folder: Path, file: str) -> Iterator[tuple[IdentityProvider, Place]]:
    port = free_port()
    with (
        pytest.MonkeyPatch.context() as patch,
        identity_provider.running(folder, f"http://127.0.0.1:{port}") as known,
    ):
        patch.setenv("REGISTRY_OPENID_SECRET", known.secret or "")
        with served(folder, port, known.url, file) as place:
            yield known, place


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IdentityProvider, Place]]:
    with running(tmp_path_factory.mktemp("openid"), OFFLINE) as both:
        yield both


def identity(place: Place, name: str) -> dict[str, Any]:
    with records(place.store) as db:
        return db.row("select * from identity where subject = :subject", subject=name)


def let_time_pass(place: Place, name: str) -> None:
    """As if the provider had been asked about somebody a long time ago."""
    with records(place.store) as db:
        db.execute("update identity set asked_at = 1 where subject = :subject", {"subject": name})


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, "the provider's word doesn't arrive"
        time.sleep(0.2)


def test_who_is_locked_out_at_the_provider_is_out_here(provider: tuple[IdentityProvider, Place]):
    """The provider tells nobody of it."""
    known, place = provider
    known.know("mika", "ml")
    known.know("ben", "ml")
    browser, other = Browser(), Browser()
    browser.sign_in(place.url, "mika")
    other.sign_in(place.url, "ben")
    key = make_key(place.url, browser)
    known.lock_out("mika")
    for name in ("ben", "mika"):
        let_time_pass(place, name)
    wait_for(lambda: who(place.url, browser) is None)
    assert place.key_works(key).startswith(f"'mika' hasn't signed in at {known.url} for too long")
    wait_for(lambda: identity(place, "ben")["asked_at"] > 1)
    assert who(place.url, other) == "ben"
    known.know("mika", "ml")
    browser.sign_in(place.url, "mika")
    assert place.key_works(key) == "mika"


def test_roles_follow_groups_and_the_account_ends_with_the_last(provider: tuple[IdentityProvider, Place]):
    """Twice, since the provider takes a refresh token once."""
    known, place = provider
    known.know("eve", "ml")
    browser = Browser()
    browser.sign_in(place.url, "eve")
    key = make_key(place.url, browser)
    known.know("eve", "guests")
    let_time_pass(place, "eve")
    wait_for(lambda: "eve" not in command(place.store, "team", "list").stdout)
    assert who(place.url, browser) == "eve"
    known.know("eve", "another")
    let_time_pass(place, "eve")
    wait_for(lambda: who(place.url, browser) is None)
    assert "No account of this registry has this API key" in place.key_works(key)
    assert identity(place, "eve")["refresh_token"] is None


def test_a_refresh_token_is_kept_encrypted_and_no_longer_than_the_account(provider: tuple[IdentityProvider, Place]):
    known, place = provider
    known.know("ada", "ml")
    Browser().sign_in(place.url, "ada")
    assert identity(place, "ada")["refresh_token"].startswith("gAAAA"), "no text of Fernet"
    command(place.store, "user", "rm", "ada")
    assert identity(place, "ada")["refresh_token"] is None


@pytest.mark.slow
def test_nothing_changes_while_the_provider_is_away(tmp_path: Path):
    with running(tmp_path, OFFLINE) as (known, place):
        known.know("mika", "ml")
        browser = Browser()
        browser.sign_in(place.url, "mika")
        before = identity(place, "mika")["refresh_token"]
        known.stop()
        let_time_pass(place, "mika")
        wait_for(lambda: identity(place, "mika")["asked_at"] > 1)
        time.sleep(2)
        assert identity(place, "mika")["refresh_token"] == before
        assert who(place.url, browser) == "mika"


@pytest.mark.slow
def test_a_provider_that_gives_no_refresh_token_is_not_asked(tmp_path: Path):
    with running(tmp_path, FILE) as (known, place):
        known.know("mika", "ml")
        browser = Browser()
        browser.sign_in(place.url, "mika")
        known.lock_out("mika")
        let_time_pass(place, "mika")
        time.sleep(5)
        assert identity(place, "mika")["asked_at"] == 1
        assert who(place.url, browser) == "mika"

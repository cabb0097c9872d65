"""What an attacker or a failing provider sends instead of a proof: nobody is signed in, and the page says why."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests
from joserfc.jwk import ECKey

from tests.engines.forging_issuer import Issuer, forging_issuer
from tests.engines.identity_provider import Browser
from tests.engines.proxy import free_port
from tests.wandb_registry.forged_tokens import FORGED, NOW, Honest
from tests.wandb_registry.openid_place import Place, problem, served, who


@pytest.fixture(scope="module")
def forged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Issuer, Place]]:
    """A registry whose provider signs whatever a test wants."""
    folder = tmp_path_factory.mktemp("forged")
    with (
        pytest.MonkeyPatch.context() as patch,
        forging_issuer() as issuer,
    ):
        patch.delenv("REGISTRY_OPENID_SECRET", raising=False)
        with served(folder, free_port(), issuer.url) as place:
            yield issuer, place


def begin(place: Place, browser: Browser, next: str = "") -> tuple[str, str]:
    """The state and the nonce with which the registry sends a browser to the provider."""
    started = browser.session.get(f"{place.url}/login/openid{next}", allow_redirects=False, timeout=60)
    asked = parse_qs(urlsplit(started.headers["location"]).query)
    return asked["state"][0], asked["nonce"][0]


def come_back(place: Place, browser: Browser, state: str, **query: str) -> requests.Response:
    query = {"state": state, "code": "any"} | query
    return browser.session.get(f"{place.url}/login/openid/done", params=query, timeout=60)


def person(issuer: Issuer, own_nonce: str, **changed: Any) -> str:
    """The ID token of somebody who may sign in, with what an attack changes."""
    claims = {
        "aud": "registry",
        "nonce": own_nonce,
        "preferred_username": "mika",
        "groups": ["ml"],
        "email": "m@example.com",
    }
    return issuer.token(**(claims | changed))


ATTACKS: dict[str, tuple[Callable[[Issuer, Honest], str], str]] = FORGED | {
    "several audiences": (lambda _, token: token(aud=["registry", "another"]), "'azp' is not that"),
    "another party's": (lambda _, token: token(azp="another"), "'azp' is not that"),
    "of another sign-in": (lambda _, token: token(nonce="another"), "'nonce' is not that of this sign-in"),
    "of no sign-in": (lambda _, token: token(nonce=None), "'nonce' is not that of this sign-in"),
    "of another access token": (lambda _, token: token(at_hash="another"), "'at_hash' is not that of this sign-in"),
    "without a name": (lambda _, token: token(preferred_username=None), "the claim 'preferred_username' is missing"),
    "no letter in its name": (lambda _, token: token(preferred_username="李"), "can't be the name of an account"),
    "markup in its name": (lambda _, token: token(preferred_username="<b>", groups=[]), "'<b>' is in no group"),
    "groups of another kind": (lambda _, token: token(groups={"ml": True}), "is in no group"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_token_that_proves_nothing_signs_nobody_in(forged: tuple[Issuer, Place], attack: str):
    issuer, place = forged
    make, told = ATTACKS[attack]
    browser = Browser()
    state, nonce = begin(place, browser)
    token = make(issuer, partial(person, issuer, nonce))
    issuer.answer = lambda: {"access_token": "a", "token_type": "Bearer", "id_token": token}
    answer = come_back(place, browser, state)
    assert answer.status_code == 403
    assert told in problem(answer)
    assert who(place.url, browser) is None


def sign_in(issuer: Issuer, place: Place, browser: Browser, next: str = "", **changed: Any) -> requests.Response:
    """An honest way there and back."""
    state, nonce = begin(place, browser, next)
    issuer.answer = lambda: {"access_token": "a", "token_type": "Bearer", "id_token": person(issuer, nonce, **changed)}
    return come_back(place, browser, state)


def test_an_honest_token_of_the_same_issuer_signs_in(forged: tuple[Issuer, Place]):
    """Else the attacks would prove nothing."""
    issuer, place = forged
    browser = Browser()
    assert sign_in(issuer, place, browser).ok
    assert who(place.url, browser) == "mika"


def test_keys_that_an_issuer_changes_are_asked_for(forged: tuple[Issuer, Place]):
    issuer, place = forged
    sign_in(issuer, place, Browser())
    new = ECKey.generate_key("P-256", {"kid": "second", "use": "sig"})
    issuer.published = [issuer.key, new]
    time.sleep(2.1)  # more often an issuer isn't asked, whatever keys tokens name
    browser = Browser()
    assert sign_in(issuer, place, browser, key=new, header={"alg": "ES256", "kid": "second"}).ok
    assert who(place.url, browser) == "mika"


def test_an_attempt_works_once_and_in_its_browser_alone(forged: tuple[Issuer, Place]):
    issuer, place = forged
    browser, another = Browser(), Browser()
    state, nonce = begin(place, browser)
    issuer.answer = lambda: {"access_token": "a", "token_type": "Bearer", "id_token": person(issuer, nonce)}
    [kept] = [(one.name, one.value) for one in browser.session.cookies]
    assert "wasn't begun in this browser" in problem(come_back(place, another, state)), "somebody sent the address on"
    assert "wasn't begun in this browser" in problem(come_back(place, browser, state[:8] + "x" * 24))
    browser.session.cookies.set(*kept, domain="127.0.0.1", path="/")
    assert come_back(place, browser, state).ok
    assert who(place.url, browser) == "mika"
    browser.session.cookies.clear()
    browser.session.cookies.set(*kept, domain="127.0.0.1", path="/")
    assert problem(come_back(place, browser, state)) == "This sign-in was used already. Begin it again."
    assert who(place.url, browser) is None


def test_a_cookie_of_an_attempt_cannot_be_made_up(forged: tuple[Issuer, Place]):
    """Login CSRF: somebody's browser is sent back with the attacker's code."""
    _, place = forged
    browser = Browser()
    state, _ = begin(place, browser)
    [cookie] = browser.session.cookies
    name, value = cookie.name, cookie.value or ""
    browser.session.cookies.clear()
    browser.session.cookies.set(name, f"a{value[1:]}", domain="127.0.0.1", path="/")
    assert "wasn't begun in this browser" in problem(come_back(place, browser, state))


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"error": "access_denied", "error_description": "You said no <b>"}, "signed nobody in: You said no <b>."),
        ({"iss": "https://evil.example"}, "This answer is of another issuer"),
    ],
)
def test_what_the_provider_refuses_is_told(forged: tuple[Issuer, Place], query: dict[str, str], told: str):
    _, place = forged
    browser = Browser()
    state, _ = begin(place, browser)
    answer = come_back(place, browser, state, **query)
    assert answer.status_code == 403
    assert told in problem(answer)


@pytest.mark.parametrize(
    "next", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "http:/evil.example"]
)
def test_nobody_is_sent_elsewhere_after_signing_in(forged: tuple[Issuer, Place], next: str):
    issuer, place = forged
    answer = sign_in(issuer, place, Browser(), f"?next={quote(next, safe='')}")
    assert answer.url == f"{place.url}/"


def test_a_session_that_somebody_planted_ends_at_the_sign_in(forged: tuple[Issuer, Place]):
    """Session fixation: who planted the cookie would be signed in as whom it was planted on."""
    issuer, place = forged
    attacker, victim = Browser(), Browser()
    sign_in(issuer, place, attacker, sub="attacker", preferred_username="attacker")
    [planted] = attacker.session.cookies
    victim.session.cookies.set(planted.name, planted.value, domain="127.0.0.1", path="/")
    sign_in(issuer, place, victim)
    assert who(place.url, victim) == "mika"
    assert who(place.url, attacker) is None
    assert planted.value not in [one.value for one in victim.session.cookies]


@pytest.mark.parametrize(
    "changed",
    [
        {"events": {}},
        {"events": None},
        {"nonce": "a"},
        {"aud": "another"},
        {"exp": NOW - 3600},
        {"header": {"kid": "x"}},
    ],
)
def test_only_a_logout_token_signs_out(forged: tuple[Issuer, Place], changed: dict[str, Any]):
    issuer, place = forged
    browser = Browser()
    sign_in(issuer, place, browser)
    event = {"http://schemas.openid.net/event/backchannel-logout": {}}
    honest = {"aud": "registry", "events": event, "header": {"typ": "logout+jwt"}}
    for claims, status, then in (({**honest, **changed}, 400, "mika"), (honest, 200, None)):
        sent = {"logout_token": issuer.token(jti=secrets.token_hex(8), **claims)}
        assert requests.post(f"{place.url}/login/openid/logout", sent, timeout=60).status_code == status
        assert who(place.url, browser) == then
    sign_in(issuer, place, browser)
    assert requests.post(f"{place.url}/login/openid/logout", sent, timeout=60).status_code == 200
    assert who(place.url, browser) == "mika", "a logout token that was heard before ended a later session"


@pytest.mark.slow
def test_a_provider_that_is_away_signs_nobody_in_and_keys_go_on(tmp_path: Path):
    port, away = free_port(), free_port()
    with served(tmp_path, port, f"http://127.0.0.1:{away}") as place:
        answer = requests.get(f"{place.url}/login/openid", timeout=60)
        assert (answer.status_code, problem(answer)) == (
            503,
            f"127.0.0.1:{away} can't be asked who signs in: it can't be reached.",
        )
        assert "API key" in requests.get(f"{place.url}/login", timeout=60).text
        assert place.key_works((place.store / "api-key").read_text().strip())


@pytest.mark.slow
def test_a_provider_that_calls_itself_otherwise_is_none(tmp_path: Path):
    with forging_issuer() as issuer, served(tmp_path, free_port(), issuer.url) as place:
        issuer.named = "https://evil.example"
        answer = requests.get(f"{place.url}/login/openid", timeout=60)
        assert "it calls itself 'https://evil.example'" in problem(answer)

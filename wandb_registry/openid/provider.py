"""The provider at which people sign in: OpenID Connect Core 1.0, the code flow with PKCE (RFC 7636), by Authlib."""

import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc.errors import ClaimError

from wandb_registry.errors import IdentityRefused
from wandb_registry.openid import tokens
from wandb_registry.openid.issuer import TIMEOUT, Issuer, asking
from wandb_registry.openid.people import Person
from wandb_registry.openid.settings import ProviderSettings

# With which a provider answers that it doesn't vouch for somebody any more, by RFC 6749, 5.2, and OpenID Connect Core
# 1.0, 3.1.2.6. Other errors are about the client or the moment
REFUSALS = ("invalid_grant", "access_denied", "interaction_required", "login_required")
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True)
class Attempt:
    """One way to the provider and back, by what only this browser knows."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True)
class SignIn:
    """Who signed in, and with what the provider may be asked later whether that person still may."""

    person: Person
    refresh_token: str | None


class NoLongerVouched(IdentityRefused):
    """The provider refused a refresh token: the person is locked out, or the session there has ended."""


class Provider:
    def __init__(self, settings: ProviderSettings):
        self.settings = settings
        self.issuer = Issuer(settings.issuer)

    def begin(self, back: str) -> tuple[str, Attempt]:
        """The address at the provider to send a browser to, which comes back to `back`. Raises ProviderAway."""
        attempt = Attempt(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48))
        with self._client(back) as client:
            address, _ = client.create_authorization_url(
                self._endpoint("authorization_endpoint"),
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
                **({"prompt": self.settings.prompt} if self.settings.prompt else {}),
            )
        return address, attempt

    def finish(self, attempt: Attempt, code: str, back: str) -> SignIn:
        """Who the code stands for. Raises IdentityRefused and ProviderAway."""
        with self._client(back) as client:
            answer = self._fetch(client, code, attempt.verifier)
            if not isinstance(answer.get("id_token"), str):
                raise IdentityRefused(f"{self.issuer.host} gave no ID token. Is 'openid' among the scopes it allows?")
            claims = self._check(answer["id_token"], attempt.nonce, answer.get("access_token"))
            return SignIn(self._person(self._with_user_info(client, claims)), _text(answer.get("refresh_token")))

    def ask_again(self, subject: str, refresh_token: str) -> tuple[Person | None, str]:
        """What the provider says now of somebody who signed in, and the refresh token for the next time. None: that the
        person still may, and nothing else. By OpenID Connect Core 1.0, 12.

        Raises NoLongerVouched, IdentityRefused for an answer that can't be taken, and ProviderAway.
        """
        with self._client(None) as client:
            with asking(self.issuer.host):
                try:
                    answer = client.refresh_token(self._endpoint("token_endpoint"), refresh_token=refresh_token)
                except OAuthError as error:
                    kind = NoLongerVouched if error.error in REFUSALS else IdentityRefused
                    raise kind(f"{self.issuer.host} refused a refresh token: {error}.") from None
            claims: dict[str, Any] = {"sub": subject}
            if token := _text(answer.get("id_token")):
                claims = tokens.read(token, self.issuer).claims
                if claims["sub"] != subject or self.settings.client_id not in tokens.audiences(claims):
                    raise IdentityRefused(f"{self.issuer.host} answered a refresh token with an ID token of another.")
            told = self._with_user_info(client, claims)
            return self._person(told) if told.keys() > {"sub"} else None, answer["refresh_token"]

    def end_address(self) -> str:
        """Where a browser ends its session at the provider. Raises IdentityRefused, and ProviderAway."""
        address = self._endpoint("end_session_endpoint")
        return f"{address}{'&' if '?' in address else '?'}{urlencode({'client_id': self.settings.client_id})}"

    def logged_out(self, token: str) -> str:
        """Whose sessions a logout token ends: the subject. By OpenID Connect Back-Channel Logout 1.0, 2.6.

        Raises IdentityRefused and ProviderAway.
        """
        claims = tokens.read(token, self.issuer, ("logout+jwt", "JWT")).claims
        events = claims.get("events")
        if not isinstance(events, dict) or LOGOUT_EVENT not in events or "nonce" in claims:
            raise IdentityRefused("The token is no logout token.")
        if self.settings.client_id not in tokens.audiences(claims):
            raise IdentityRefused(f"The token is not for '{self.settings.client_id}'.")
        return claims["sub"]

    def _client(self, back: str | None) -> Any:
        """A session of `requests`, which Authlib's types don't say."""
        secret = self.settings.secret
        return OAuth2Session(
            self.settings.client_id,
            secret,
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            scope=" ".join(self.settings.scopes),
            redirect_uri=back,
            code_challenge_method="S256",
            default_timeout=TIMEOUT,
        )

    def _endpoint(self, name: str) -> str:
        address = self.issuer.endpoint(name)
        if address is None:
            raise IdentityRefused(f"{self.issuer.url} has no {name.replace('_', ' ')}.")
        return address

    def _fetch(self, client: Any, code: str, verifier: str) -> dict[str, Any]:
        with asking(self.issuer.host):
            try:
                return client.fetch_token(self._endpoint("token_endpoint"), code=code, code_verifier=verifier)
            except OAuthError as error:
                raise IdentityRefused(f"{self.issuer.host} refused this sign-in: {error}.") from None

    def _check(self, token: str, nonce: str, access_token: Any) -> dict[str, Any]:
        found = tokens.read(token, self.issuer)
        if self.settings.client_id not in tokens.audiences(found.claims):
            raise IdentityRefused(f"The token is not for '{self.settings.client_id}'.")
        parameters = {"nonce": nonce, "client_id": self.settings.client_id, "access_token": access_token}
        try:
            CodeIDToken(found.claims, found.header, params=parameters).validate(leeway=tokens.LEEWAY)
        except ClaimError as error:
            raise IdentityRefused(f"The ID token's '{error.claim}' is not that of this sign-in.") from None
        return found.claims

    def _with_user_info(self, client: Any, claims: dict[str, Any]) -> dict[str, Any]:
        """The claims, with those that the provider tells at its user info endpoint alone."""
        wanted = {self.settings.username, self.settings.groups, "email"}
        address = self.issuer.endpoint("userinfo_endpoint")
        if wanted <= claims.keys() or address is None:
            return claims
        with asking(self.issuer.host):
            answer = client.get(address)
            answer.raise_for_status()
            more = answer.json()
        if not isinstance(more, dict) or more.get("sub") != claims["sub"]:
            raise IdentityRefused(f"{self.issuer.host} told of somebody else than who signed in.")
        return more | claims

    def _person(self, claims: dict[str, Any]) -> Person:
        username, groups = claims.get(self.settings.username), claims.get(self.settings.groups, [])
        if not isinstance(username, str) or not username:
            raise IdentityRefused(
                f"{self.issuer.host} doesn't say how you are called: the claim '{self.settings.username}' is missing. "
                "Whoever runs this registry names another, or asks for its scope."
            )
        email = claims.get("email") if claims.get("email_verified") is not False else None
        return Person(
            self.issuer.url, claims["sub"], username, email if isinstance(email, str) else None, _texts(groups)
        )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> frozenset[str]:
    """The texts of a claim that is one text or a list."""
    values = value if isinstance(value, list) else [value]
    return frozenset(one for one in values if isinstance(one, str))

"""Signing in at a provider: a browser is sent there and comes back with a code, which only its own attempt can use.

Every way that this fails ends on the page to sign in at, with one sentence.
"""

import base64
import hmac
import json
import logging
from dataclasses import asdict

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from wandb_registry.errors import IdentityRefused, RegistryError
from wandb_registry.http.authentication import cookie, cookie_reach
from wandb_registry.model.access import Viewer
from wandb_registry.model.accounts import identities, users
from wandb_registry.openid.provider import Attempt, Provider
from wandb_registry.openid.settings import Settings
from wandb_registry.web.endpoints import read_form
from wandb_registry.web.signing_in import rechecks
from wandb_registry.web.signing_in.session import SessionEndpoints

log = logging.getLogger("wandb_registry")
ATTEMPT = "OPENID-1"
ATTEMPT_SECONDS = 600
LOGOUT_SECONDS = 3600  # in which a logout token isn't taken twice


class OpenIDEndpoints:
    """The endpoints of one store for one provider."""

    def __init__(self, session: SessionEndpoints, settings: Settings):
        assert settings.provider
        self.session, self.store, self.settings = session, session.store, settings
        self.provider = Provider(settings.provider)
        self.seconds = settings.provider.session_hours * 3600

    async def start(self, request: Request) -> Response:
        """Sends the browser to the provider, and leaves in it what proves that it is the same when it comes back."""
        try:
            address, attempt = await run_in_threadpool(self.provider.begin, _back(request))
        except RegistryError as error:
            return self._refuse(request, error)
        answer = RedirectResponse(address, 303, {"cache-control": "no-store"})
        value = self._seal(attempt, request.query_params.get("next"))
        name, reach = _cookie(request, attempt.state), cookie_reach(request)
        answer.set_cookie(name, value, max_age=ATTEMPT_SECONDS, httponly=True, samesite="lax", **reach)
        return answer

    async def finish(self, request: Request) -> Response:
        """Signs in whom the provider sent back. An attempt works once."""
        try:
            viewer, next = await run_in_threadpool(self._viewer, request)
            answer = await self.session.begin(request, viewer, next, self.seconds)
        except RegistryError as error:
            answer = self._refuse(request, error)
        name = _cookie(request, request.query_params.get("state", ""))
        if name in request.cookies:
            answer.delete_cookie(name, **cookie_reach(request), httponly=True, samesite="lax")
        return answer

    async def leave(self, request: Request) -> Response:
        """Sends the browser to where it ends its session at the provider."""
        try:
            return RedirectResponse(await run_in_threadpool(self.provider.end_address), 303)
        except RegistryError as error:
            return self._refuse(request, error)

    async def logged_out(self, request: Request) -> Response:
        """The provider says that somebody signed out there: OpenID Connect Back-Channel Logout 1.0."""
        token = (await read_form(request)).get("logout_token", "")
        try:
            await run_in_threadpool(self._end_sessions, token)
        except RegistryError as error:
            log.warning("A logout token was refused: %.300r", str(error))
            body = {"error": "invalid_request", "error_description": str(error)}
            return JSONResponse(body, 400, {"cache-control": "no-store"})
        return Response(headers={"cache-control": "no-store"})

    def _viewer(self, request: Request) -> tuple[Viewer, str | None]:
        """Who comes back, and to which page. Raises RegistryError."""
        attempt, next = self._attempt(request)
        query = request.query_params
        host = self.provider.issuer.host
        if query.get("iss", self.provider.issuer.url) != self.provider.issuer.url:  # RFC 9207
            raise IdentityRefused(f"This answer is of another issuer than {self.provider.issuer.url}.")
        if "error" in query:
            reason = query.get("error_description") or query["error"]
            raise IdentityRefused(f"{host} signed nobody in: {reason[:200]}.")
        signed_in = self.provider.finish(attempt, query.get("code", ""), _back(request))
        person, token = signed_in.person, rechecks.sealed(self.store, signed_in.refresh_token)
        allowed = identities.granted(self.settings, person)
        with self.store.db.write() as db:
            if allowed:
                return identities.sign_in(db, self.settings, person, token), next
            identities.end(db, person)
        raise IdentityRefused(f"'{person.username[:80]}' is in no group of {host} that may sign in here.")

    def _attempt(self, request: Request) -> tuple[Attempt, str | None]:
        """The attempt that this browser began and comes back from, for the first time. Raises IdentityRefused."""
        state = request.query_params.get("state", "")
        sealed = request.cookies.get(_cookie(request, state), "")
        opened = self.store.signer.open(ATTEMPT, sealed)
        kept = json.loads(base64.urlsafe_b64decode(opened)) if opened else {}
        if not opened or not hmac.compare_digest(kept["attempt"]["state"].encode(), state.encode()):
            raise IdentityRefused(
                f"This sign-in wasn't begun in this browser, or over {ATTEMPT_SECONDS // 60} minutes ago. "
                "Begin it again."
            )
        with self.store.db.write() as db:
            if not users.end_session(db, sealed, ATTEMPT_SECONDS):
                raise IdentityRefused("This sign-in was used already. Begin it again.")
        return Attempt(**kept["attempt"]), kept["next"]

    def _seal(self, attempt: Attempt, next: str | None) -> str:
        text = json.dumps({"attempt": asdict(attempt), "next": (next or "")[:1000]})
        return self.store.signer.seal(ATTEMPT, base64.urlsafe_b64encode(text.encode()).decode(), ATTEMPT_SECONDS)

    def _end_sessions(self, token: str) -> None:
        subject = self.provider.logged_out(token)
        with self.store.db.write() as db:
            if users.end_session(db, token, LOGOUT_SECONDS):
                identities.end_sessions(db, self.provider.issuer.url, subject)

    def _refuse(self, request: Request, error: RegistryError) -> Response:
        log.warning("Nobody was signed in by %s: %.300r", self.provider.issuer.host, str(error))
        return self.session.page(request, str(error), error.status)


def _back(request: Request) -> str:
    """Where the provider sends a browser back to."""
    return f"{request.base_url}login/openid/done"


def _cookie(request: Request, state: str) -> str:
    """One for each attempt: several may be under way in a browser."""
    return f"{cookie(request)}_openid_{state[:8]}"

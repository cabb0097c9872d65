"""Where the SDK exchanges an identity token for an access token, as WANDB_IDENTITY_TOKEN_FILE makes it: by RFC 7523."""

import logging
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from wandb_registry.errors import BadInput, IdentityRefused, ProviderAway, RegistryError
from wandb_registry.http.authentication import access_token
from wandb_registry.http.request_bodies import whole_body
from wandb_registry.model.accounts import identities, users
from wandb_registry.openid.settings import Machine, Settings
from wandb_registry.store import Store

log = logging.getLogger("wandb_registry")
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LARGEST_FORM = 2**16


def routes(store: Store, settings: Settings | None) -> list[Route]:
    """`POST /oidc/token`; without machines in the settings it takes no token."""
    machines = _machines(settings.machines if settings else ())

    async def endpoint(request: Request) -> Response:
        form = dict(parse_qsl((await whole_body(request, LARGEST_FORM)).decode(errors="replace")))
        try:
            return JSONResponse(await run_in_threadpool(exchange, form), headers={"cache-control": "no-store"})
        except RegistryError as error:
            log.warning("An identity token was refused: %.300r", str(error))
            return _refusal(error)

    def exchange(form: dict[str, str]) -> dict[str, str | int]:
        if form.get("grant_type") != GRANT:
            raise BadInput(f"This endpoint takes identity tokens: grant_type is {GRANT}.")
        if machines is None:
            raise IdentityRefused("This registry takes no identity tokens: set WANDB_API_KEY instead.")
        machine, subject = machines.of_token(form.get("assertion", ""))
        with store.db.write() as db:
            account = identities.service_account(db, machine.account)
            identities.note_machine(db, account, f"{subject} of {machine.issuer}")
        seconds = machine.minutes * 60
        token = access_token(store, users.as_viewer(account), seconds)
        return {"access_token": token, "token_type": "Bearer", "expires_in": seconds}

    return [Route("/oidc/token", endpoint, methods=["POST"])]


def _machines(named: tuple[Machine, ...]):
    if not named:
        return None
    from wandb_registry.openid.machines import Machines  # here, for those who lack the extra `team`

    return Machines(named)


def _refusal(error: RegistryError) -> Response:
    """In the form of RFC 6749, 5.2, of which the SDK shows all. It asks again after a 503 alone."""
    code = "invalid_request" if isinstance(error, BadInput) else "invalid_grant"
    status = error.status if isinstance(error, ProviderAway) else 400
    return JSONResponse({"error": code, "error_description": str(error)}, status, {"cache-control": "no-store"})

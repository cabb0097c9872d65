"""Checks tokens that an issuer signed: JSON Web Tokens, by RFC 7519 and RFC 8725, read by Authlib's joserfc."""

import json
import math
from datetime import UTC, datetime
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import (
    BadSignatureError,
    ClaimError,
    ExpiredTokenError,
    InvalidKeyIdError,
    JoseError,
)
from joserfc.jwt import JWTClaimsRegistry

from wandb_registry.errors import IdentityRefused
from wandb_registry.openid.issuer import Issuer

# By a public key alone: 'none' signs nothing, and whoever knows the public key could make an HMAC with it
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LEEWAY = 60  # seconds that two clocks may differ
LONGEST = 32 * 2**10  # characters of a token
TIMES = ("exp", "iat", "nbf")


def read(token: str, issuer: Issuer, kinds: tuple[str, ...] = ("JWT",)) -> jwt.Token:
    """A token with its header and claims, if this issuer signed it as its own and its time is now.

    `kinds` are the values that `typ` may have, if the token has one. Whom it is for, the caller checks. Raises
    IdentityRefused, which says why, and ProviderAway.
    """
    header, _ = _unverified(token)
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise IdentityRefused(f"The token is signed by the algorithm '{shown(algorithm)}', which isn't taken.")
    if str(header.get("typ", kinds[0])).lower() not in [kind.lower() for kind in kinds]:
        raise IdentityRefused(f"The token is of another kind, '{shown(header['typ'])}'.")
    try:
        found = jwt.decode(token, issuer.keys(kid if isinstance(kid, str) else None), algorithms=ALGORITHMS)
    except BadSignatureError:
        raise IdentityRefused(f"The token's signature is not that of {issuer.url}.") from None
    except (InvalidKeyIdError, ValueError):
        raise IdentityRefused(f"The token is signed by a key that {issuer.url} doesn't publish.") from None
    except (JoseError, TypeError) as error:
        raise IdentityRefused(f"The token can't be checked: {shown(error)}.") from None
    _check_claims(found.claims, issuer)
    return found


def unverified_issuer(token: str) -> str:
    """The issuer that a token names, to choose whose keys to check it by: it proves nothing. Raises IdentityRefused."""
    named = _unverified(token)[1].get("iss")
    if not isinstance(named, str):
        raise IdentityRefused("The token names no issuer.")
    return named


def audiences(claims: dict[str, Any]) -> list[str]:
    """For whom a token is made."""
    named = claims.get("aud")
    values = named if isinstance(named, list) else [named]
    return [value for value in values if isinstance(value, str)]


def shown(text: Any) -> str:
    """What a token says, as a sentence quotes it: printable, and not too long."""
    return "".join(character for character in str(text)[:80] if character.isprintable())


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the claims that a token has, whoever wrote them."""
    try:
        if len(token) > LONGEST:
            raise ValueError
        parts = jws.extract_compact(token.encode("ascii"))
        claims = json.loads(parts.payload)
        if not isinstance(claims, dict):
            raise ValueError
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise IdentityRefused("The token is not a JSON Web Token that can be read.") from None
    return parts.headers(), claims


def _check_claims(claims: dict[str, Any], issuer: Issuer) -> None:
    """Issuer, subject and times. A number of seconds is one: `true` or a text is none."""
    times = [claims[name] for name in TIMES if name in claims]
    if not all(type(one) in (int, float) and math.isfinite(one) for one in times):
        raise IdentityRefused("The token's times are not numbers of seconds.")
    needed = JWTClaimsRegistry(
        leeway=LEEWAY,
        iss={"essential": True, "value": issuer.url},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    )
    try:
        needed.validate(claims)
    except ExpiredTokenError:
        ended = datetime.fromtimestamp(claims["exp"], UTC)
        raise IdentityRefused(f"The token expired at {ended:%Y-%m-%d %H:%M:%S} UTC.") from None
    except ClaimError as error:
        raise IdentityRefused(_sentence(error.claim, claims, issuer)) from None
    if not isinstance(claims["sub"], str):
        raise IdentityRefused("The token names nobody: its 'sub' is not a text.")


def _sentence(claim: str, claims: dict[str, Any], issuer: Issuer) -> str:
    if claim not in claims:
        return f"The token has no '{claim}'."
    if claim == "iss":
        return f"The token is of the issuer '{shown(claims['iss'])}', not of {issuer.url}."
    if claim in ("nbf", "iat"):
        return "The token isn't valid yet. Is the clock of this machine right?"
    return f"The token's '{claim}' is not valid."

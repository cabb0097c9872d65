"""Tokens that prove nothing: what is changed in an honest one, and what is said of it.

The same hold for ID tokens, which sign people in, and identity tokens, which sign machines in.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from joserfc.jwk import RSAKey

from tests.engines.forging_issuer import Issuer, altered, hmac_signed, unsigned, with_header

Honest = Callable[..., str]  # a token that signs in, with what is named changed
NOW = int(time.time())


def hmac_with_the_public_key(issuer: Issuer, token: Honest) -> str:
    """HS256 by the text of the public key: who verifies it as the header says takes it for the issuer's."""
    return hmac_signed(token(), issuer.key.as_pem(private=False))


def with_its_own_key(_issuer: Issuer, token: Honest) -> str:
    """The header brings the key along."""
    key = RSAKey.generate_key(2048)
    return token(key=key, header={"kid": "mine", "jwk": key.as_dict(private=False)})


FORGED: dict[str, tuple[Callable[[Issuer, Honest], str], str]] = {
    "another issuer": (lambda _, token: token(iss="https://evil.example"), "of the issuer 'https://evil.example'"),
    "an issuer that begins alike": (lambda i, token: token(iss=f"{i.url}.evil.example"), "of the issuer"),
    "an issuer with a slash more": (lambda i, token: token(iss=f"{i.url}/"), "of the issuer"),
    "no issuer": (lambda _, token: token(iss=None), " no "),
    "another audience": (lambda _, token: token(aud="another"), "not for '"),
    "no audience": (lambda _, token: token(aud=None), "not for '"),
    "an audience of another kind": (lambda _, token: token(aud={"registry": True}), "The token"),
    "expired": (lambda _, token: token(exp=NOW - 3600), "expired at"),
    "never expires": (lambda _, token: token(exp=None), "has no 'exp'"),
    "expires at a text": (lambda _, token: token(exp="9999999999"), "not numbers of seconds"),
    "expires at true": (lambda _, token: token(exp=True), "not numbers of seconds"),
    "expires at no number": (lambda _, token: token(exp=float("nan")), "not numbers of seconds"),
    "of tomorrow": (lambda _, token: token(iat=NOW + 86400, exp=NOW + 90000), "isn't valid yet"),
    "not before tomorrow": (lambda _, token: token(nbf=NOW + 86400), "isn't valid yet"),
    "made at no time": (lambda _, token: token(iat=None), "has no 'iat'"),
    "nobody's": (lambda _, token: token(sub=None), "has no 'sub'"),
    "a number's": (lambda _, token: token(sub=7), "'sub' is not"),
    "algorithm none": (lambda _, token: unsigned(token()), "by the algorithm 'none'"),
    "algorithm None": (lambda _, token: with_header(token(), alg="None"), "by the algorithm 'None'"),
    "HS256 with the public key": (hmac_with_the_public_key, "by the algorithm 'HS256'"),
    "another algorithm of the same key": (lambda _, token: with_header(token(), alg="RS512"), "doesn't publish"),
    "altered": (lambda _, token: altered(token(), sub="somebody"), "signature is not that of"),
    "without a signature": (lambda _, token: token().rpartition(".")[0] + ".", "signature is not that of"),
    "another key of the same id": (
        lambda _, token: token(key=RSAKey.generate_key(2048, {"kid": "first"})),
        "signature is not that of",
    ),
    "an unknown key": (lambda _, token: token(header={"kid": "another"}), "doesn't publish"),
    "a key that it brings": (with_its_own_key, "not a JSON Web Token"),
    "a critical header": (lambda _, token: with_header(token(), crit=["exp"], exp=1), "can't be checked"),
    "a logout token": (lambda _, token: token(header={"typ": "logout+jwt"}), "of another kind, 'logout+jwt'"),
    "no token": (lambda _, __: "text", "not a JSON Web Token"),
    "an empty one": (lambda _, __: "", "not a JSON Web Token"),
    "a large one": (lambda _, token: token(more="x" * 40_000), "not a JSON Web Token"),
}

"""Sigstore's keyless way: a person or a job signs in, Sigstore vouches for a key of minutes and logs its use.

All of it is done by `sigstore`, Sigstore's own library, on its public servers or on those of a trust configuration.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dvc_wandb.errors import one_line
from dvc_wandb.provenance import bundle
from dvc_wandb.provenance.bundle import Bundle
from dvc_wandb.provenance.errors import AlteredStatementError, KeylessError, OtherKeyError

TOKEN = "SIGSTORE_IDENTITY_TOKEN"  # environment variable for the token of who signs in, where no browser can ask


def identity_digest(identity: str) -> str:
    """What the statements of an identity are found by: its SHA-256, in hex."""
    return hashlib.sha256(identity.encode()).hexdigest()


class Signer:
    """Who signed in, and signs what is sealed.

    By the token in SIGSTORE_IDENTITY_TOKEN, else by that of the CI job, else in a browser at `issuer`. Raises
    KeylessError.
    """

    def __init__(self, issuer: str | None, trust_config: Path | None) -> None:
        self._sigstore = _library()
        trusted = _trust(trust_config)
        with _refusing("Sigstore can't sign"):
            self._token = _token(self._sigstore, issuer or trusted.signing_config.get_oidc_url())
            self._context = self._sigstore.sign.SigningContext.from_trust_config(trusted)
        self.identity = str(self._token.identity)

    def seal(self, statement: dict[str, Any]) -> bytes:
        """The bundle of a statement. Raises KeylessError."""
        with _refusing("Sigstore can't sign"), self._context.signer(self._token) as signer:
            payload = bundle.payload_of(_as_sigstore_takes_it(statement))
            return signer.sign_dsse(self._sigstore.dsse.Statement(payload)).to_json().encode() + b"\n"


def _as_sigstore_takes_it(statement: dict[str, Any]) -> dict[str, Any]:
    """The statement with an md5 of its subject beside the digests: Sigstore's library signs for SHA-2 and SHA-3 alone.

    Raises KeylessError for a folder, which has no digest of these.
    """
    (about,) = statement["subject"]
    digest = dict(about["digest"])
    if "sha256" not in digest:
        raise KeylessError(f"Sigstore's library signs no statement about a folder like {about['name']}; --key does.")
    if (md5 := digest.pop("md5", None)) is None:
        return statement
    return {**statement, "subject": [{**about, "digest": digest, "annotations": {"dvc": md5}}]}


def verify(signed: Bundle, identity: str, issuer: str | None, trust_config: Path | None) -> dict[str, Any]:
    """The statement, once Sigstore's keys say that `identity`, vouched for by `issuer`, signed it.

    Raises OtherKeyError, KeylessError, AlteredStatementError, NotABundleError.
    """
    if not signed.is_logged:
        raise OtherKeyError(
            f"{signed.name} was signed by the key {signed.signer[:16]}, not the keyless way by {identity}: it isn't "
            "signed by whom you trust."
        )
    if not issuer:
        raise KeylessError(f"who vouches for {identity}? Name it, such as --issuer https://accounts.google.com.")
    with _refusing(f"{signed.name} can't be verified"):
        sigstore = _library()
        verifier = sigstore.verify.Verifier(trusted_root=_trust(trust_config, to_verify=True).trusted_root)
        policy = sigstore.verify.policy.Identity(identity=identity, issuer=issuer)
        parsed = sigstore.models.Bundle.from_json(signed.content)
    try:
        _, payload = verifier.verify_dsse(parsed, policy)
    except sigstore.errors.VerificationError as error:
        _raise_refusal(signed, sigstore, parsed, identity, issuer, _reason(error))
    if payload != signed.payload:
        raise AlteredStatementError(f"{signed.name}: what Sigstore's log has isn't what stands in it.")
    return bundle.statement_of(signed)


def _raise_refusal(signed: Bundle, sigstore: Any, parsed: Any, identity: str, issuer: str, reason: str) -> None:
    """Raise the error of a bundle that isn't by `identity`, or that nobody signed as it stands."""
    try:
        sigstore.verify.policy.Identity(identity=identity, issuer=issuer).verify(parsed.signing_certificate)
    except sigstore.errors.VerificationError as error:
        raise OtherKeyError(
            f"{signed.name} wasn't signed by {identity} by the word of {issuer} ({_reason(error)}): it isn't "
            "signed by whom you trust."
        ) from None
    raise AlteredStatementError(f"{signed.name}: Sigstore's keys don't vouch for it ({reason}).")


def _library() -> Any:
    """The modules of `sigstore` that are used here. Raises KeylessError."""
    try:
        import sigstore
        from sigstore import dsse, errors, models, oidc, sign, verify  # noqa: F401  (attributes of the package)
        from sigstore.verify import policy  # noqa: F401
    except ImportError:
        raise KeylessError(
            "the keyless way needs Sigstore's library: `pip install sigstore`, or dvc-wandb[keyless]."
        ) from None
    return sigstore


def _trust(file: Path | None, to_verify: bool = False) -> Any:
    """The servers and keys of Sigstore: of a file, else of the public ones, as their own servers have them today.

    Who verifies without a network has the keys that were fetched last, or came with the library.
    """
    from sigstore import errors
    from sigstore.models import ClientTrustConfig

    if file:
        try:
            return ClientTrustConfig.from_json(file.read_text())
        except OSError as error:
            raise KeylessError(f"the trust configuration {file} can't be read: {error.strerror}.") from None
        except ValueError:  # pydantic's, with a line and an address for each field
            raise KeylessError(f"{file} is no trust configuration of Sigstore, which is a file of JSON.") from None
    try:
        return ClientTrustConfig.production()
    except errors.TUFError:
        if not to_verify:
            raise KeylessError(
                "signing the keyless way needs a network: Sigstore's servers don't answer from here. --key signs "
                "without one."
            ) from None
    print("dvc-wandb: no network: Sigstore's keys are those that this machine has.", file=sys.stderr)
    logging.getLogger("sigstore").setLevel(logging.ERROR)  # it says the same
    return ClientTrustConfig.production(offline=True)


def _token(sigstore: Any, issuer: str) -> Any:
    """The identity of who signs: of the environment, of the CI job, or of the person at a browser."""
    if given := os.environ.get(TOKEN) or sigstore.oidc.detect_credential():
        return sigstore.oidc.IdentityToken(given)
    if not sys.stdin.isatty():
        raise KeylessError(f"nobody is signed in and there is no terminal to ask at: set {TOKEN}.")
    return sigstore.oidc.Issuer(issuer).identity_token()


@contextlib.contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Raise what Sigstore, its issuer or the way to them refuses as KeylessError."""
    import requests

    known: tuple[type[Exception], ...] = (requests.RequestException, ValueError)
    with contextlib.suppress(ImportError):
        from sigstore import errors, oidc

        known += (errors.Error, oidc.IssuerError, oidc.ExpiredIdentity)
    try:
        yield
    except known as error:
        raise KeylessError(f"{what}: {_reason(error)}.") from None


def _reason(error: Exception) -> str:
    return one_line(error).rstrip(".")

"""Who signs and who is trusted: a key, a certificate, or an identity that Sigstore vouches for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dvc_wandb.provenance import bundle, certificates, keyless, keys
from dvc_wandb.provenance.bundle import Bundle
from dvc_wandb.provenance.errors import KeyFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec


class Signer(Protocol):
    """Who signs statements. `name` is for people, `found_by` the digests, in hex, that its statements are found by."""

    name: str
    found_by: list[str]

    def seal(self, statement: dict[str, Any]) -> bytes:
        """The bundle of a statement, signed."""
        ...


class Trusted(Protocol):
    """Whose signature is believed."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def found_by(self) -> list[str]:
        """The digests, in hex, that its statements are found by."""
        ...

    def verify(self, signed: Bundle) -> dict[str, Any]:
        """The statement, once its signature is known to be of whom one trusts. Raises DvcWandbError."""
        ...

    def described(self, signed: Bundle) -> str:
        """Who signed a bundle that is verified, as half a sentence."""
        ...


# ---- who signs ----


class KeySigner:
    """A private key, with the certificates that vouch for it, the key's own first, where there are any."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, chain: Sequence[x509.Certificate] = ()) -> None:
        self._key, self._chain = key, chain
        fingerprint = keys.fingerprint(key.public_key())
        self.name = f"the key {fingerprint[:16]}" + (f" of {certificates.name(chain[0])}" if chain else "")
        self.found_by = [fingerprint, *(certificates.subject_digest(one.issuer) for one in chain)]

    def seal(self, statement: dict[str, Any]) -> bytes:
        """The bundle of a statement; equal bytes for equal statements."""
        return bundle.seal(statement, self._key, self._chain)


class KeylessSigner:
    """Who signed in to Sigstore."""

    def __init__(self, issuer: str | None, trust_config: Path | None) -> None:
        self._signer = keyless.Signer(issuer, trust_config)
        self.name = self._signer.identity
        self.found_by = [keyless.identity_digest(self.name)]

    def seal(self, statement: dict[str, Any]) -> bytes:
        """The bundle of a statement, whose signature Sigstore's log then has."""
        return self._signer.seal(statement)


def signer(key: Path | None, certificate: Path | None, issuer: str | None, trust_config: Path | None) -> Signer:
    """Who signs: a private key, that with the certificates in a file, or without a key who signs in to Sigstore.

    Raises KeyFileError, KeylessError.
    """
    if key is None:
        return KeylessSigner(issuer, trust_config)
    private = keys.read_private(key)
    if certificate is None:
        return KeySigner(private)
    chain = certificates.read(certificate)
    certificates.check_signs(chain, certificate, private)
    return KeySigner(private, chain)


# ---- who is trusted ----


class TrustedKey:
    """A public key."""

    def __init__(self, name: str) -> None:
        self.name: str = name
        self._key = keys.read_public(Path(name))
        self.found_by = [keys.fingerprint(self._key)]

    def verify(self, signed: Bundle) -> dict[str, Any]:
        """The statement. Raises OtherKeyError, AlteredStatementError, NotABundleError."""
        return bundle.verify(signed, self._key, self.name)

    def described(self, signed: Bundle) -> str:
        """The key."""
        return f"the key {signed.signer[:16]}, {self.name}"


class TrustedRoots:
    """Certificates of authorities, which vouch for those of signers."""

    def __init__(self, name: str) -> None:
        self.name: str = name
        self._roots = certificates.read(Path(name))
        self.found_by = [certificates.subject_digest(one.subject) for one in self._roots]

    def verify(self, signed: Bundle) -> dict[str, Any]:
        """The statement. Raises OtherKeyError, CertificateError, AlteredStatementError, NotABundleError."""
        return certificates.verify(signed, self._roots, self.name)

    def described(self, signed: Bundle) -> str:
        """Whom the certificate is of, and how long it is valid."""
        of = signed.certificates[0]
        until = f"{of.not_valid_after_utc:%Y-%m-%d}"
        return f"the certificate of {certificates.name(of)}, valid until {until}, by {self.name}"


@dataclass(frozen=True)
class TrustedIdentity:
    """Who signs in to Sigstore, such as a mail address, by the word of an issuer."""

    name: str
    issuer: str | None = None
    trust_config: Path | None = None

    @property
    def found_by(self) -> list[str]:
        """The digest of the identity."""
        return [keyless.identity_digest(self.name)]

    def verify(self, signed: Bundle) -> dict[str, Any]:
        """The statement. Raises OtherKeyError, KeylessError, AlteredStatementError, NotABundleError."""
        return keyless.verify(signed, self.name, self.issuer, self.trust_config)

    def described(self, signed: Bundle) -> str:
        """The identity, and who vouches for it."""
        return f"{self.name}, by the word of {self.issuer}"


def trusted(name: str, issuer: str | None = None, trust_config: Path | None = None) -> Trusted:
    """Whom `--signed-by` names: a file with a public key or with certificates, else an identity.

    Raises KeyFileError.
    """
    is_mail = "@" in name and "/" not in name  # a path may have an @ too
    is_identity = not Path(name).exists() and (is_mail or "://" in name)
    if is_identity:
        return TrustedIdentity(name, issuer, trust_config)
    if issuer or trust_config:
        raise KeyFileError(f"--issuer and --trust-config are for an identity such as mika@example.com, not for {name}.")
    return TrustedRoots(name) if certificates.are_in(keys.read_pem(Path(name))) else TrustedKey(name)

"""Certificates: a company's own authority vouches for the key that signed a statement, so its root is all one trusts.

Chains are verified by `cryptography`, by the rules of RFC 5280 and with the algorithms of today's web.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvc_wandb.provenance import bundle, keys
from dvc_wandb.provenance.bundle import Bundle
from dvc_wandb.provenance.errors import CertificateError, KeyFileError, OtherKeyError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec


def are_in(pem: bytes) -> bool:
    """Whether a PEM file holds certificates."""
    return b"BEGIN CERTIFICATE" in pem


def read(path: Path) -> list[x509.Certificate]:
    """The certificates in a PEM file. Raises KeyFileError."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(keys.read_pem(path))
    except ValueError as error:
        raise KeyFileError(f"{path} holds no certificates that can be read ({keys.reason(error)}).") from None


def check_signs(certificates: Sequence[x509.Certificate], path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Raise KeyFileError where the first certificate isn't that of `key`, or is none that may sign today."""
    if certificates[0].public_key() != key.public_key():
        raise KeyFileError(f"{path}: the first certificate, {name(certificates[0])}, is of another key than --key.")
    if reason := _not_valid_now(certificates[:1]) or _no_use(certificates[0]):
        raise KeyFileError(f"{path}: {reason}.")


def name(certificate: x509.Certificate) -> str:
    """Whom a certificate is of, as RFC 4514 writes it."""
    return certificate.subject.rfc4514_string() or "nobody"


def subject_digest(subject: x509.Name) -> str:
    """What the certificates that this subject issued are found by: the SHA-256 of its name, in hex."""
    import hashlib

    return hashlib.sha256(subject.public_bytes()).hexdigest()


def verify(signed: Bundle, roots: Sequence[x509.Certificate], roots_name: str) -> dict[str, Any]:
    """The statement, once a certificate that one of the `roots` vouches for is known to be the signer's.

    It has to be valid now: nothing but the signer's word says when a statement was signed. Raises OtherKeyError for one
    without a certificate, CertificateError, AlteredStatementError, NotABundleError.
    """
    if not signed.certificates:
        raise OtherKeyError(
            f"{signed.name} was signed by the bare key {signed.signer[:16]}, and {roots_name} vouches for "
            "certificates: it isn't signed by whom you trust."
        )
    leaf = signed.certificates[0]
    if why := _refused(signed.certificates, roots, datetime.now(UTC)):
        # Whether the time alone is to blame: then the chain holds at a moment in which all of it was valid
        latest = max(one.not_valid_before_utc for one in (*signed.certificates, *_issuers(signed.certificates, roots)))
        expired = _not_valid_now([*signed.certificates, *_issuers(signed.certificates, roots)])
        if expired and not _refused(signed.certificates, roots, latest + timedelta(seconds=1)):
            raise CertificateError(f"{signed.name}: {expired}; nothing proves that it was signed while it was valid.")
        raise CertificateError(
            f"{signed.name} was signed with the certificate of {name(leaf)} by {_issuer(leaf)}, which {roots_name} "
            f"doesn't vouch for ({why}): it isn't signed by whom you trust."
        )
    if reason := _no_use(leaf):
        raise CertificateError(f"{signed.name}: {reason}.")
    return bundle.signed_statement(signed, keys.of_certificate(leaf))


def _refused(chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], moment: datetime) -> str:
    """Why no valid certificates lead from the first of the `chain` to one of the `roots`; "" where they do."""
    from cryptography.x509 import verification

    as_authority, as_signer = _policies()
    rules = verification.PolicyBuilder().store(verification.Store(list(roots))).time(moment.replace(tzinfo=None))
    try:
        verifier = rules.extension_policies(ca_policy=as_authority, ee_policy=as_signer).build_client_verifier()
        verifier.verify(chain[0], list(chain[1:]))
    except verification.VerificationError as error:
        return str(error).splitlines()[0].rstrip(".")
    return ""


def _policies() -> tuple[Any, Any]:
    """What an authority's certificate has to say of itself, and what a signer's has: that is `_no_use`."""
    from cryptography import x509
    from cryptography.x509.verification import Criticality, ExtensionPolicy

    def is_authority(_policy: Any, _certificate: Any, constraints: x509.BasicConstraints) -> None:
        if not constraints.ca:
            raise ValueError("what issued it is no authority")

    def may_issue(_policy: Any, _certificate: Any, usage: x509.KeyUsage | None) -> None:
        if usage and not usage.key_cert_sign:
            raise ValueError("what issued it may not issue certificates")

    lenient = ExtensionPolicy.permit_all()
    authority = lenient.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, is_authority)
    return authority.may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, may_issue), lenient


def _no_use(certificate: x509.Certificate) -> str:
    """Why a certificate isn't one that signs; "" where it is. model_signing asks for either of the two usages."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    def extension(kind: Any) -> Any:
        try:
            return certificate.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None

    usage, purposes = extension(x509.KeyUsage), extension(x509.ExtendedKeyUsage)
    may_sign = usage is None or usage.digital_signature
    for_code = purposes is None or ExtendedKeyUsageOID.CODE_SIGNING in purposes
    if may_sign and for_code and (usage or purposes):
        return ""
    return (
        f"the certificate of {name(certificate)} is not one that signs: its keyUsage must have digitalSignature, and "
        "its extendedKeyUsage, if there is one, codeSigning"
    )


def _not_valid_now(certificates: Sequence[x509.Certificate]) -> str:
    """Which certificate isn't valid any more, or not yet; "" where all are."""
    now = datetime.now(UTC)
    for one in certificates:
        if one.not_valid_after_utc < now:
            return f"the certificate of {name(one)} expired on {one.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        if one.not_valid_before_utc > now:
            return f"the certificate of {name(one)} is not valid before {one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    return ""


def _issuers(chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Those of the `roots` that issued one of the `chain`, by their names."""
    return [root for root in roots if root.subject in [one.issuer for one in chain]]


def _issuer(certificate: x509.Certificate) -> str:
    return certificate.issuer.rfc4514_string() or "nobody"

"""A company's own certificates for the tests: a root, an authority beneath it, and those of signers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)
Issuer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def make(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: Issuer | None = None,
    *,
    is_authority: bool = False,
    days: tuple[int, int] = (-1, 30),
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
) -> x509.Certificate:
    """A certificate of `key`, valid for these `days` from now, by the `issuer` or by itself."""
    own, now = _name(name), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(own).public_key(key.public_key())
    builder = builder.issuer_name(issuer[0].subject if issuer else own).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now + days[0] * DAY).not_valid_after(now + days[1] * DAY)
    builder = builder.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
    usage = x509.KeyUsage(not is_authority, False, False, False, False, is_authority, False, False, False)
    builder = builder.add_extension(usage, critical=True)
    if not is_authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256())


def write(path: Path, *certificates: x509.Certificate) -> Path:
    """A PEM file of these certificates."""
    path.write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates))
    return path


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

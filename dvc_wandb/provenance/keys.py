"""Keys that sign and verify: elliptic curves in PEM files, which openssl makes, and model_signing and cosign read.

ECDSA with RFC 6979's nonces: the same key gives the same signature of the same bytes.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dvc_wandb.provenance.errors import KeyFileError

if TYPE_CHECKING:  # takes 50 ms to import, which only who signs or verifies shall wait
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

PASSWORD = "PROVENANCE_KEY_PASSWORD"  # environment variable for a private key's password, where nobody can type it
CURVES = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}  # and the hash that goes with each
LARGEST = 2**20  # bytes of a file with keys or certificates
MAKE = "`openssl ecparam -name prime256v1 -genkey -noout -out key.pem` makes one"
MAKE_PUBLIC = "`openssl ec -in key.pem -pubout -out key.pub` makes the public key of key.pem"


def read_private(path: Path) -> ec.EllipticCurvePrivateKey:
    """The private key in a PEM file. Raises KeyFileError."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem = read_pem(path)
    has_password = b"ENCRYPTED" in pem
    try:
        key = serialization.load_pem_private_key(pem, _password(path) if has_password else None)
    except (ValueError, TypeError) as error:
        if has_password:
            raise KeyFileError(f"{path} can't be read with that password ({reason(error)}).") from None
        raise KeyFileError(f"{path} is no private key that can be read ({reason(error)}); {MAKE}.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyFileError(f"{path} is no key of an elliptic curve; {MAKE}.")
    _hash(key.public_key(), path)
    return key


def read_public(path: Path) -> ec.EllipticCurvePublicKey:
    """The public key in a PEM file. Raises KeyFileError."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem = read_pem(path)
    if b"PRIVATE KEY" in pem:
        raise KeyFileError(f"{path} is a private key, which nobody needs to verify; {MAKE_PUBLIC}.")
    if (count := pem.count(b"BEGIN PUBLIC KEY")) > 1:
        raise KeyFileError(f"{path} holds {count} public keys: name the one that you trust, in a file of its own.")
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError) as error:
        raise KeyFileError(f"{path} is no public key that can be read ({reason(error)}); {MAKE_PUBLIC}.") from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise KeyFileError(f"{path} is no key of an elliptic curve; {MAKE}.")
    _hash(key, path)
    return key


def of_certificate(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    """The key of a certificate. Raises ValueError where it is of another kind than those that sign statements."""
    from cryptography.hazmat.primitives.asymmetric import ec

    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise ValueError(f"its certificate has no key of the curves {', '.join(CURVES)}")
    return key


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """The SHA-256 of the public key's PEM, in hex: what `sha256sum key.pub` says, and model_signing's hint."""
    from cryptography.hazmat.primitives import serialization

    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(serialization.Encoding.PEM, spki)).hexdigest()


def sign(key: ec.EllipticCurvePrivateKey, content: bytes) -> bytes:
    """The signature of `content`, DER-encoded."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return key.sign(content, ec.ECDSA(_hash(key.public_key()), deterministic_signing=True))


def is_signed(key: ec.EllipticCurvePublicKey, signature: bytes, content: bytes) -> bool:
    """Whether `signature` is that of `content` by `key`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key.verify(signature, content, ec.ECDSA(_hash(key)))
    except InvalidSignature:
        return False
    return True


def _hash(key: ec.EllipticCurvePublicKey, path: Path | None = None) -> hashes.HashAlgorithm:
    """The hash that Sigstore pairs with a curve. Raises KeyFileError for a curve that it doesn't know."""
    from cryptography.hazmat.primitives import hashes

    if key.curve.name not in CURVES:
        raise KeyFileError(f"{path} is a key of the curve {key.curve.name}, which Sigstore doesn't know; {MAKE}.")
    return getattr(hashes, CURVES[key.curve.name])()


def _password(path: Path) -> bytes:
    if (given := os.environ.get(PASSWORD)) is not None:
        return given.encode()
    if not sys.stdin.isatty():
        raise KeyFileError(f"{path} has a password and there is no terminal to ask for it: set {PASSWORD}.")
    return getpass.getpass(f"Password of {path}: ").encode()


def read_pem(path: Path) -> bytes:
    """The bytes of a file with a key or certificates. Raises KeyFileError."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise KeyFileError(f"{path} can't be read: {error.strerror}.") from None
    if len(content) > LARGEST:
        raise KeyFileError(f"{path} is larger than any key or chain of certificates: {LARGEST // 2**20} MiB at most.")
    return content


def reason(error: Exception) -> str:
    """What the library says of a file that it can't read, as part of a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].split(". ")[0].rstrip(".")

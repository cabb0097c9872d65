"""A signed statement as a file: a Sigstore bundle v0.3 around a DSSE envelope around an in-toto statement.

The formats are https://github.com/secure-systems-lab/dsse (protocol.md), https://docs.sigstore.dev/about/bundle and
https://github.com/in-toto/attestation (spec/v1). Equal statements and keys give equal bytes.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvc_wandb.errors import one_line
from dvc_wandb.provenance import keys
from dvc_wandb.provenance.errors import AlteredStatementError, NotABundleError, OtherKeyError
from dvc_wandb.provenance.json_fields import field

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
LARGEST = 64 * 2**20  # bytes of a bundle


@dataclass(frozen=True)
class Bundle:
    """What a bundle holds, with nothing of it verified yet.

    `signer` is the fingerprint of the key that it claims, "" for one without a key or certificate that can be read.
    `certificates` are the signer's and those above it, `is_logged` says that Sigstore's log is said to have it.
    """

    name: str
    content: bytes
    payload: bytes
    signature: bytes
    signer: str
    certificates: Sequence[x509.Certificate] = ()
    is_logged: bool = False


def seal(
    statement: dict[str, Any], key: ec.EllipticCurvePrivateKey, certificates: Sequence[x509.Certificate] = ()
) -> bytes:
    """The bundle of a `statement`, signed by `key`; with that key's certificate and those above it, if any."""
    payload = payload_of(statement)
    envelope = {
        "payload": _base64(payload),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"sig": _base64(keys.sign(key, _signed_bytes(payload))), "keyid": ""}],
    }
    if certificates:
        signer = {"x509CertificateChain": {"certificates": [{"rawBytes": _base64(_der(one))} for one in certificates]}}
    else:
        signer = {"publicKey": {"hint": keys.fingerprint(key.public_key())}}
    material = {**signer, "tlogEntries": []}
    bundle = {"mediaType": MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": envelope}
    return json.dumps(bundle, indent=1).encode() + b"\n"


def payload_of(statement: dict[str, Any]) -> bytes:
    """The bytes of a statement that are signed: equal ones for equal statements."""
    return json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read(path: Path) -> Bundle:
    """The bundle in a file. Raises NotABundleError."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise NotABundleError(f"the statement {path} can't be read: {error.strerror}.") from None
    if len(content) > LARGEST:
        raise NotABundleError(f"{path} is larger than any statement: {LARGEST // 2**20} MiB at most.")
    return parse(content, str(path))


def parse(content: bytes, name: str) -> Bundle:
    """The bundle in these bytes; `name` is what people call it. Raises NotABundleError."""
    try:
        facts = json.loads(content)
        signatures = field(facts, "dsseEnvelope.signatures", list)
        if len(signatures) != 1:
            raise ValueError(f"it has {len(signatures)} signatures")
        found = {"mediaType": facts.get("mediaType"), "payloadType": facts["dsseEnvelope"].get("payloadType")}
        payload, signed = _bytes(facts, "dsseEnvelope.payload"), _bytes(signatures[0], "sig")
        material = field(facts, "verificationMaterial", dict)
        certificates = _certificates(material)
        signer = _fingerprint(certificates[0]) if certificates else field(material, "publicKey.hint", str)
        is_logged = bool(material.get("tlogEntries"))
    except RecursionError:
        raise NotABundleError(f"{name} is no Sigstore bundle with one signed statement: it is too deep.") from None
    except ValueError as error:
        raise NotABundleError(f"{name} is no Sigstore bundle with one signed statement: {one_line(error)}.") from None
    for kind, wanted in {"mediaType": MEDIA_TYPE, "payloadType": PAYLOAD_TYPE}.items():
        if found[kind] != wanted:
            raise NotABundleError(f"{name}: the envelope's {kind} is {found[kind]!r}, and must be {wanted!r}.")
    return Bundle(name, content, payload, signed, signer, certificates, is_logged)


def _certificates(material: dict[str, Any]) -> list[x509.Certificate]:
    """The signer's certificate and those above it; [] for a bundle with a bare key. Raises ValueError."""
    chain = field(material, "x509CertificateChain.certificates", list) if "x509CertificateChain" in material else []
    found = [material["certificate"]] if "certificate" in material else chain
    return [_certificate(_bytes(one, "rawBytes")) for one in found]


def _certificate(der: bytes) -> x509.Certificate:
    """A certificate of which all that is asked later can be read. Raises ValueError."""
    from cryptography import x509

    try:
        found = x509.load_der_x509_certificate(der)
        for name in ("subject", "issuer", "extensions", "not_valid_before_utc", "not_valid_after_utc"):
            getattr(found, name)
        found.public_key()
    except Exception as error:  # the library has a class for each reason, and reads each part when it is asked for
        raise ValueError(f"a certificate in it can't be read ({one_line(error)})") from None
    return found


def _fingerprint(certificate: x509.Certificate) -> str:
    """The fingerprint of the certificate's key. Raises ValueError for a kind of key that signs no statements."""
    return keys.fingerprint(keys.of_certificate(certificate))


def verify(bundle: Bundle, key: ec.EllipticCurvePublicKey, key_name: str) -> dict[str, Any]:
    """The statement, once `key` is known to have signed it.

    Raises OtherKeyError, AlteredStatementError, or NotABundleError for what is signed and no statement.
    """
    trusted = keys.fingerprint(key)
    if bundle.signer != trusted:
        raise OtherKeyError(
            f"{bundle.name} was signed by the key {bundle.signer[:16]}, and {key_name} is {trusted[:16]}: it isn't "
            "signed by whom you trust."
        )
    return signed_statement(bundle, key)


def signed_statement(bundle: Bundle, key: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    """The statement, once the signature is known to be by `key`, which is trusted.

    Raises AlteredStatementError, or NotABundleError for what is signed and no statement.
    """
    if not keys.is_signed(key, bundle.signature, _signed_bytes(bundle.payload)):
        what = "the statement or its signature" if _is_signature(bundle.signature) else "the signature"
        raise AlteredStatementError(
            f"{bundle.name}: {what} was changed after the key {bundle.signer[:16]} signed it. Get it again from who "
            "made it."
        )
    return statement_of(bundle)


def statement_of(bundle: Bundle) -> dict[str, Any]:
    """The statement as it stands, verified or not. Raises NotABundleError."""
    try:
        statement = json.loads(bundle.payload)
    except (ValueError, RecursionError):
        statement = None
    if not isinstance(statement, dict) or statement.get("_type") != STATEMENT_TYPE:
        raise NotABundleError(f"{bundle.name} holds no in-toto statement of the type {STATEMENT_TYPE}.")
    return statement


def _signed_bytes(payload: bytes) -> bytes:
    """What is signed: DSSE's pre-authentication encoding of the payload and its type."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def _is_signature(signature: bytes) -> bool:
    """Whether the bytes have the form of a signature, whatever they sign."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    try:
        decode_dss_signature(signature)
    except ValueError:
        return False
    return True


def _der(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(of: Any, name: str) -> bytes:
    """What the field `name` has in base64. Raises ValueError."""
    try:
        return base64.b64decode(field(of, name, str), validate=True)
    except binascii.Error as error:
        raise ValueError(f"its {name} is no base64 ({error})") from None

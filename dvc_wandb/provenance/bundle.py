"""A signed statement as a file: a Sigstore bundle v0.3 around a DSSE envelope around an in-toto statement.

The formats are https://github.com/secure-systems-lab/dsse (protocol.md), https://docs.sigstore.dev/about/bundle and
https://github.com/in-toto/attestation (spec/v1). Equal statements and keys give equal bytes.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvc_wandb.provenance import keys
from dvc_wandb.provenance.errors import AlteredStatementError, NotABundleError, OtherKeyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
LARGEST = 64 * 2**20  # bytes of a bundle


@dataclass(frozen=True)
class Bundle:
    """What a bundle holds, with nothing of it verified yet. `signer` is the fingerprint that it claims."""

    name: str
    payload: bytes
    signature: bytes
    signer: str


def seal(statement: dict[str, Any], key: ec.EllipticCurvePrivateKey) -> bytes:
    """The bundle of a `statement`, signed by `key`."""
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    envelope = {
        "payload": _base64(payload),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"sig": _base64(keys.sign(key, _signed_bytes(payload))), "keyid": ""}],
    }
    material = {"publicKey": {"hint": keys.fingerprint(key.public_key())}, "tlogEntries": []}
    bundle = {"mediaType": MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": envelope}
    return json.dumps(bundle, indent=1).encode() + b"\n"


def read(path: Path) -> Bundle:
    """The bundle in a file. Raises NotABundleError."""
    try:
        if path.stat().st_size > LARGEST:
            raise NotABundleError(f"{path} is larger than any statement: {LARGEST // 2**20} MiB at most.")
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        raise NotABundleError(f"the statement {path} can't be read: {error.strerror}.") from None


def parse(content: bytes, name: str) -> Bundle:
    """The bundle in these bytes; `name` is what people call it. Raises NotABundleError."""
    try:
        facts = json.loads(content)
        envelope = facts["dsseEnvelope"]
        (signature,) = envelope["signatures"]
        found = {"mediaType": facts["mediaType"], "payloadType": envelope["payloadType"]}
        payload, signed = _bytes(envelope["payload"]), _bytes(signature["sig"])
        signer = str(facts["verificationMaterial"]["publicKey"]["hint"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise NotABundleError(f"{name} is no Sigstore bundle with one statement signed by a key: {reason}.") from None
    for field, wanted in {"mediaType": MEDIA_TYPE, "payloadType": PAYLOAD_TYPE}.items():
        if found[field] != wanted:
            raise NotABundleError(f"{name}: the envelope's {field} is {found[field]!r}, and must be {wanted!r}.")
    return Bundle(name, payload, signed, signer)


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
    if not keys.is_signed(key, bundle.signature, _signed_bytes(bundle.payload)):
        what = "the statement or its signature" if _is_signature(bundle.signature) else "the signature"
        raise AlteredStatementError(
            f"{bundle.name}: {what} was changed after the key {trusted[:16]} signed it. Get it again from who made it."
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


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"what should be base64 isn't ({error})") from None

"""A signed statement: any byte that is changed in it is found, and by its own sentence."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from dvc_wandb.provenance import bundle, digests, keys, model_signature, trust
from dvc_wandb.provenance.errors import AlteredStatementError, KeyFileError, NotABundleError, OtherKeyError

STATEMENT = {"_type": bundle.STATEMENT_TYPE, "subject": [{"name": "ä model"}], "predicate": {"rate": 0.5}}
KEY = ec.generate_private_key(ec.SECP256R1())
PEM, PKCS8, SPKI = (
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.PublicFormat.SubjectPublicKeyInfo,
)


def verified(content: bytes, key: ec.EllipticCurvePrivateKey = KEY) -> dict:
    return bundle.verify(bundle.parse(content, "it"), key.public_key(), "key.pub")


def changed(**fields: object) -> bytes:
    """The bundle with other fields in its envelope."""
    facts = json.loads(bundle.seal(STATEMENT, KEY))
    facts["dsseEnvelope"] |= fields
    return json.dumps(facts).encode()


def test_what_is_signed_is_what_comes_out():
    assert verified(bundle.seal(STATEMENT, KEY)) == STATEMENT


def test_equal_statements_and_keys_give_equal_bytes():
    assert bundle.seal(STATEMENT, KEY) == bundle.seal(dict(reversed(STATEMENT.items())), KEY)


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_the_larger_curves_sign_too(curve: ec.EllipticCurve):
    key = ec.generate_private_key(curve)
    assert verified(bundle.seal(STATEMENT, key), key) == STATEMENT


def says(content: bytes) -> str:
    """The statement that a bundle proves, or why it proves none."""
    try:
        return json.dumps(verified(content))
    except (AlteredStatementError, NotABundleError, OtherKeyError) as refused:
        return type(refused).__name__


def test_every_byte_of_a_bundle_counts():
    """A file in which any byte is another one is refused, or says the same: white space, and an unused field."""
    content = bundle.seal(STATEMENT, KEY)
    said = {says(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]) for at in range(len(content))}
    assert said <= {says(content), "AlteredStatementError", "NotABundleError", "OtherKeyError"}


def test_another_statement_under_the_signature_is_told():
    other = base64.b64encode(json.dumps(STATEMENT | {"predicate": {"rate": 9}}).encode()).decode()
    with pytest.raises(AlteredStatementError, match="the statement or its signature was changed"):
        verified(changed(payload=other))


def test_a_broken_signature_is_told():
    with pytest.raises(AlteredStatementError, match="it: the signature was changed"):
        verified(changed(signatures=[{"sig": base64.b64encode(b"no signature").decode()}]))


def test_a_statement_by_another_key_is_told():
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(OtherKeyError, match="it isn't signed by whom you trust"):
        verified(bundle.seal(STATEMENT, other))


def test_a_signature_by_another_key_under_a_trusted_name_is_told():
    other = ec.generate_private_key(ec.SECP256R1())
    facts = json.loads(bundle.seal(STATEMENT, other))
    facts["verificationMaterial"]["publicKey"]["hint"] = keys.fingerprint(KEY.public_key())
    with pytest.raises(AlteredStatementError):
        verified(json.dumps(facts).encode())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "Expecting property name"),
        (b"[]", "it is no object"),
        (changed(payloadType="text/plain"), "the envelope's payloadType is 'text/plain', and must be"),
        (changed(payload="???"), "its dsseEnvelope.payload is no base64"),
        (changed(signatures=[]), "it has 0 signatures"),
        (b'{"mediaType": "x"}', "it lacks dsseEnvelope"),
        (changed(signatures=[{"sig": 5}]), "its sig is no text"),
        (b"[" * 100_000, "it is too deep"),
    ],
)
def test_what_is_no_bundle_is_told(content: bytes, reason: str):
    with pytest.raises(NotABundleError, match=reason):
        verified(content)


def test_what_is_signed_and_no_statement_is_told():
    with pytest.raises(NotABundleError, match="holds no in-toto statement"):
        verified(bundle.seal({"_type": "something else"}, KEY))


def private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes | None = None) -> bytes:
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(PEM, PKCS8, how)


def test_a_key_with_a_password_takes_it_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "key.pem").write_bytes(private_pem(KEY, b"open"))
    monkeypatch.setenv(keys.PASSWORD, "open")
    assert keys.read_private(tmp_path / "key.pem").private_numbers() == KEY.private_numbers()
    monkeypatch.setenv(keys.PASSWORD, "shut")
    with pytest.raises(KeyFileError, match="can't be read with that password"):
        keys.read_private(tmp_path / "key.pem")
    monkeypatch.delenv(keys.PASSWORD)
    with pytest.raises(KeyFileError, match=f"there is no terminal to ask for it: set {keys.PASSWORD}"):
        keys.read_private(tmp_path / "key.pem")


def test_what_is_no_key_is_told_with_what_makes_one(tmp_path: Path):
    file = tmp_path / "key"
    file.write_bytes(KEY.public_key().public_bytes(PEM, SPKI).replace(b"M", b"N", 1))
    with pytest.raises(KeyFileError, match=r"no public key that can be read .*openssl ec -in key.pem -pubout"):
        keys.read_public(file)
    file.write_bytes(private_pem(KEY))
    with pytest.raises(KeyFileError, match="is a private key, which nobody needs to verify"):
        keys.read_public(file)
    file.write_bytes(private_pem(rsa.generate_private_key(65537, 2048)))
    with pytest.raises(KeyFileError, match="is no key of an elliptic curve; `openssl ecparam"):
        keys.read_private(file)
    file.write_bytes(private_pem(ec.generate_private_key(ec.SECP256K1())))
    with pytest.raises(KeyFileError, match="of the curve secp256k1, which Sigstore doesn't know"):
        keys.read_private(file)
    with pytest.raises(KeyFileError, match="can't be read: No such file"):
        keys.read_public(tmp_path / "nothing")
    file.write_bytes(KEY.public_key().public_bytes(PEM, SPKI) * 2)
    with pytest.raises(KeyFileError, match="holds 2 public keys: name the one that you trust"):
        keys.read_public(file)


def test_what_never_ends_is_no_key_and_no_statement():
    with pytest.raises(KeyFileError, match="/dev/zero is larger than any key"):
        keys.read_public(Path("/dev/zero"))
    with pytest.raises(NotABundleError, match="/dev/zero is larger than any statement: 64 MiB at most"):
        bundle.read(Path("/dev/zero"))


def test_the_digest_of_a_folder_is_what_sha256sum_says_of_its_files(tmp_path: Path):
    """As `(cd folder && sha256sum a deep/b) | sha256sum` printed it."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "a").write_text("one\n")
    (tmp_path / "deep/b").write_text("two\n")
    files = {name: digests.of_file(tmp_path / name) for name in ("deep/b", "a")}
    assert digests.of_folder(files) == {"dirHash": "e1b895dc7109f3004cf04df466abfd2f6d33e33b62b7bcf3a9356b94b8b1d786"}


def test_a_model_signatures_root_covers_its_files():
    one = model_signature.statement("model", {"b": "22" * 32, "a": "11" * 32})
    assert [file["name"] for file in one["predicate"]["resources"]] == ["a", "b"]
    assert one["subject"][0]["digest"]["sha256"] == "5189c77d29fe5d546a045ec46986852785fea5c13ac7da9c115ff5fb6edf817c"


@pytest.mark.parametrize("name", ["/home/mika@acme/key.pub", "keys@2/key.pub", "key.pub"])
def test_a_key_that_is_gone_is_no_identity(name: str):
    """A path with an @ in it was taken for a mail address."""
    with pytest.raises(KeyFileError, match=f"^{name} can't be read: No such file"):
        trust.trusted(name)


@pytest.mark.parametrize(
    "name", ["mika@example.com", "https://github.com/acme/x/.github/workflows/ci.yml@refs/heads/main"]
)
def test_a_mail_address_and_a_job_are_identities(name: str):
    assert trust.trusted(name).name == name

"""Statements that are signed with a certificate: whom the trusted roots vouch for, and a sentence for each that not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from dvc_wandb.provenance import bundle, certificates
from dvc_wandb.provenance.errors import (
    AlteredStatementError,
    CertificateError,
    KeyFileError,
    NotABundleError,
    OtherKeyError,
)
from tests import certificates as made

STATEMENT = {"_type": bundle.STATEMENT_TYPE, "subject": [{"name": "model"}], "predicate": {"rate": 0.5}}
ROOT_KEY, KEY, OTHER_KEY, AUTHORITY_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(4))
ROOT = made.make("Root", ROOT_KEY, is_authority=True)
AUTHORITY = made.make("Models", AUTHORITY_KEY, (ROOT, ROOT_KEY), is_authority=True)
MIKA = made.make("Mika", KEY, (AUTHORITY, AUTHORITY_KEY))


def verified(*chain: x509.Certificate, key: ec.EllipticCurvePrivateKey = KEY, root: x509.Certificate = ROOT) -> Any:
    sealed = bundle.seal(STATEMENT, key, chain)
    return certificates.verify(bundle.parse(sealed, "it"), [root], "root.pem")


@pytest.mark.parametrize("chain", [(MIKA, AUTHORITY), (MIKA, AUTHORITY, ROOT)], ids=["to the root", "with the root"])
def test_the_root_vouches_for_who_signed(chain: tuple[x509.Certificate, ...]):
    assert verified(*chain) == STATEMENT


def test_equal_statements_give_equal_bytes():
    assert bundle.seal(STATEMENT, KEY, [MIKA]) == bundle.seal(dict(STATEMENT), KEY, [MIKA])


def test_another_root_of_the_same_name_is_refused():
    other = made.make("Root", OTHER_KEY, is_authority=True)
    with pytest.raises(CertificateError, match=r"of CN=Mika by CN=Models, which root.pem doesn't vouch for"):
        verified(MIKA, AUTHORITY, root=other)


def test_a_certificate_without_the_authority_between_is_refused():
    with pytest.raises(CertificateError, match=r"root.pem doesn't vouch for"):
        verified(MIKA)


@pytest.mark.parametrize("who", ["Mika", "Models", "Root"])
def test_one_that_expired_is_refused_by_its_name(who: str):
    def days(name: str) -> tuple[int, int]:
        return (-10, -1) if name == who else (-10, 30)

    root = made.make("Root", ROOT_KEY, is_authority=True, days=days("Root"))
    models = made.make("Models", AUTHORITY_KEY, (root, ROOT_KEY), is_authority=True, days=days("Models"))
    mika = made.make("Mika", KEY, (models, AUTHORITY_KEY), days=days("Mika"))
    with pytest.raises(CertificateError, match=rf"the certificate of CN={who} expired on \d{{4}}-\d\d-\d\d"):
        verified(mika, models, root=root)


def test_one_that_expired_and_is_of_another_root_is_told_by_the_root():
    other = made.make("Other", OTHER_KEY, is_authority=True)
    old = made.make("Mika", KEY, (AUTHORITY, AUTHORITY_KEY), days=(-10, -1))
    with pytest.raises(CertificateError, match=r"root.pem doesn't vouch for"):
        verified(old, AUTHORITY, root=other)


def test_one_that_is_not_valid_yet_is_refused():
    with pytest.raises(CertificateError, match=r"the certificate of CN=Mika is not valid before"):
        verified(made.make("Mika", KEY, (AUTHORITY, AUTHORITY_KEY), days=(2, 9)), AUTHORITY)


def test_who_has_a_certificate_is_no_authority():
    forged = made.make("Director", OTHER_KEY, (MIKA, KEY))
    with pytest.raises(CertificateError, match=r"root.pem doesn't vouch for"):
        verified(forged, MIKA, AUTHORITY, key=OTHER_KEY)


def test_a_certificate_of_a_web_server_signs_nothing():
    site = made.make("site", KEY, (AUTHORITY, AUTHORITY_KEY), purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    with pytest.raises(CertificateError, match=r"the certificate of CN=site is not one that signs"):
        verified(site, AUTHORITY)


def test_another_key_than_that_of_the_certificate_is_refused():
    with pytest.raises(AlteredStatementError, match=r"was changed after the key"):
        verified(MIKA, AUTHORITY, key=OTHER_KEY)


def test_a_bare_key_is_not_what_a_root_vouches_for():
    with pytest.raises(OtherKeyError, match=r"signed by the bare key \w{16}, and root.pem vouches for certificates"):
        verified()


def test_every_byte_of_a_bundle_counts():
    """A file in which any byte is another one is refused, or says the same."""
    content = bundle.seal(STATEMENT, KEY, [MIKA, AUTHORITY])
    refusals = (AlteredStatementError, CertificateError, NotABundleError, OtherKeyError)
    for at in range(len(content)):
        other = bytearray(content)
        other[at] ^= 1
        try:
            assert certificates.verify(bundle.parse(bytes(other), "it"), [ROOT], "root.pem") == STATEMENT
        except refusals:
            continue


def test_what_cannot_sign_is_refused_before_it_signs(tmp_path: Path):
    file = made.write(tmp_path / "chain.pem", MIKA, AUTHORITY)
    certificates.check_signs(certificates.read(file), file, KEY)
    with pytest.raises(KeyFileError, match=r"the first certificate, CN=Mika, is of another key than --key"):
        certificates.check_signs([MIKA], file, OTHER_KEY)
    with pytest.raises(KeyFileError, match=r"the certificate of CN=Mika expired on"):
        certificates.check_signs([made.make("Mika", KEY, days=(-10, -1))], file, KEY)
    file.write_text("-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
    with pytest.raises(KeyFileError, match=r"chain.pem holds no certificates that can be read"):
        certificates.read(file)

"""Statements signed with a certificate, and without a key: who signs, who is trusted, and what is refused."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from dvc_wandb.provenance import bundle
from tests import certificates
from tests.dvc_wandb.production.signed import NO_NETWORK, check, commands, stated
from tests.dvc_wandb.promoting import Project
from tests.working_tree import BIN, ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chain(project: Project) -> Path:
    """The certificate of the project's key, and that of its authority; root.pem and other-root.pem lie beside it."""
    folder = project.path.parent
    key: Any = load_pem_private_key((folder / "key.pem").read_bytes(), None)
    own, between = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificates.make("Acme root", own, is_authority=True, days=(-9, 30))
    authority = certificates.make("Acme models", between, (root, own), is_authority=True, days=(-9, 30))
    certificates.write(folder / "root.pem", root)
    certificates.write(folder / "other-root.pem", certificates.make("Acme root", between, is_authority=True))
    expired = certificates.make("Mika", key, (authority, between), days=(-5, -1))
    certificates.write(folder / "expired.pem", expired, authority)
    return certificates.write(folder / "chain.pem", certificates.make("Mika", key, (authority, between)), authority)


def test_who_trusts_the_root_alone_gets_and_checks_what_is_signed_with_a_certificate(project: Project, chain: Path):
    folder, key = project.path.parent, project.path.parent / "key.pem"
    said = project.ask("attest", "--key", str(key), "--certificate", str(chain))
    assert re.search(r"signed by the key [0-9a-f]{16} of CN=Mika$", said, flags=re.MULTILINE)
    output = folder / "certified.txt"
    get = ("get", "Best", "-o", str(output), "--signed-by")
    said = project.ask(*get, str(folder / "root.pem"))
    assert "signed by" in said
    check_it = ("check", f"{output}.sigstore.json", "--signed-by")
    said = project.ask(*check_it, str(folder / "root.pem"))
    assert re.search(
        r"^signature  by the certificate of CN=Mika, valid until [-\d]+, by .*root.pem: valid$", said, re.M
    )
    assert "materials  5 at the commit" in said
    assert "other-root.pem doesn't vouch for" in project.ask(*check_it, str(folder / "other-root.pem"), ok=False)
    assert "dvc.lock and the registry agree" in project.ask("verify")  # who trusts the key goes on trusting it
    page = (ROOT / "docs/provenance.md").read_text()
    (line,) = (one for one in commands(page) if one.startswith("model_signing verify certificate"))
    words = line.replace("model.h5", "certified.txt").split()
    env = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert "Verification succeeded" in done.stdout, done.stderr


def test_a_certificate_that_expired_or_is_of_another_key_signs_nothing(project: Project, chain: Path):
    folder = project.path.parent
    attest = ("attest", "model.txt", "-o", str(folder / "no.sigstore.json"))
    said = project.ask(
        *attest, "--key", str(folder / "key.pem"), "--certificate", str(folder / "expired.pem"), ok=False
    )
    assert "the certificate of CN=Mika expired on" in said
    said = project.ask(*attest, "--key", str(folder / "other.pem"), "--certificate", str(chain), ok=False)
    assert "the first certificate, CN=Mika, is of another key than --key" in said
    assert not (folder / "no.sigstore.json").exists()


def test_what_expired_since_is_told(project: Project, given: Path, chain: Path):
    statement = stated(given / "model.txt.sigstore.json")
    key: Any = load_pem_private_key((project.path.parent / "key.pem").read_bytes(), None)
    old = x509.load_pem_x509_certificates((chain.parent / "expired.pem").read_bytes())
    (given / "model.txt.sigstore.json").write_bytes(bundle.seal(statement, key, old))
    shutil.copy(chain.parent / "root.pem", given)
    said = check(project, given, key="root.pem", ok=False)
    assert "the certificate of CN=Mika expired on" in said
    assert "nothing proves that it was signed while it was valid" in said


def test_signing_without_a_key_needs_a_network_and_says_so_in_one_sentence(project: Project, given: Path):
    alone = Project(project.path, {**project.env, "SIGSTORE_IDENTITY_TOKEN": "none", "HOME": str(given), **NO_NETWORK})
    said = alone.ask("attest", "model.txt", "--keyless", "-o", str(given / "no.sigstore.json"), ok=False)
    assert "signing the keyless way needs a network: Sigstore's servers don't answer from here" in said
    assert not (given / "no.sigstore.json").exists()


def test_an_identity_is_believed_only_by_sigstores_word(project: Project, given: Path):
    file, who = str(given / "model.txt.sigstore.json"), "mika@example.com"
    said = project.ask("check", file, "--signed-by", who, "--issuer", "https://accounts.google.com", ok=False)
    assert "was signed by the key" in said
    assert f"not the keyless way by {who}: it isn't signed by whom you trust" in said
    get = ("get", "Best", "-o", str(given / "no.txt"), "--signed-by", who, "--issuer", "https://accounts.google.com")
    assert f"not by {who}" in project.ask(*get, ok=False)
    assert not (given / "no.txt").exists()
    said = check(project, given, "--issuer", "https://accounts.google.com", ok=False)
    assert "--issuer and --trust-config are for an identity" in said

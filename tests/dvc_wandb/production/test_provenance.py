"""`dvc-wandb attest` and `check`: a statement that leaves the house with the model, and what others make of it."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import requests
import wandb
import yaml
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey  # pyright: ignore[reportPrivateImportUsage]

from tests.conftest import account
from tests.dvc_wandb.production.signed import HASH, check, commands, flip, resign, stated
from tests.dvc_wandb.promoting import Project
from tests.working_tree import BIN, ROOT
from wandb_registry import daemon

pytestmark = pytest.mark.slow

# ---- what it says ----


def test_the_statement_names_all_that_the_model_was_made_from(project: Project, given: Path):
    statement = stated(given / "model.txt.sigstore.json")
    assert [one["name"] for one in statement["subject"]] == ["model.txt"]
    definition = statement["predicate"]["buildDefinition"]
    commit, *dependencies = definition["resolvedDependencies"]
    (package,) = (one for one in dependencies if one["name"] == f"pkg:pypi/pyyaml@{yaml.__version__}")
    assert package["annotations"] == {"lockedIn": "pylock.toml", "hashes": [HASH]}
    materials = [one for one in dependencies if one != package]
    assert commit["digest"] == {"gitCommit": project.git("rev-parse", "HEAD").strip()}
    locks = ["pylock.toml", "requirements.txt"]
    assert [one["name"] for one in materials] == [*locks, "clean.csv", "raw.csv", "train.py"]
    assert materials[2]["annotations"] == {"madeBy": "clean", "readBy": ["train"]}
    assert all({"sha256", "md5"} == one["digest"].keys() for one in (*statement["subject"], *materials))
    stages = definition["externalParameters"]["stages"]
    assert stages["train"] == {"command": "python train.py", "parameters": {"params.yaml": {"rate": 0.5}}}
    decision, registry = statement["predicate"]["runDetails"]["byproducts"]
    assert decision["annotations"] | {"decidedBy": "gate", "reason": "it is good"} == decision["annotations"]
    assert decision["annotations"]["rule"] == {"params.yaml": {"promote.least": 0.9}}
    assert registry["uri"].endswith("/local/best/model.txt:v0")
    assert re.fullmatch("[0-9a-f]{64}", registry["annotations"]["log"])


def test_in_totos_own_schema_of_slsas_provenance_takes_it(given: Path):
    predicate = stated(given / "model.txt.sigstore.json")["predicate"]
    schema: Any = provenance_pb2
    json_format.ParseDict(predicate, schema.Provenance())  # raises for a field that the schema lacks


def test_signing_it_again_gives_the_same_bytes_and_adds_nothing(project: Project, given: Path):
    key = project.path.parent / "key.pem"
    said = project.ask("attest", "model.txt", "--key", str(key), "-o", str(given / "again.sigstore.json"))
    assert said.startswith("model.txt_provenance:v0: model.txt ")
    assert (given / "again.sigstore.json").read_bytes() == (given / "model.txt.sigstore.json").read_bytes()


def test_the_lines_of_the_documentation_check_it_without_our_software(given: Path):
    """model_signing's and openssl's own commands, where nothing but the files and the key is."""
    page = (ROOT / "docs/provenance.md").read_text().partition("## Check without our software")[2]
    others = ("cosign", "npm", "node", "model_signing verify certificate")
    lines = [one for one in commands(page) if not one.startswith(others)]
    script = "\n".join(["set -e", *lines[:6]]).replace("model.h5", "model.txt")
    env = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(given)}
    done = subprocess.run(["bash", "-c", script], cwd=given, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Verified OK" in done.stdout
    assert "model.txt: OK" in done.stdout
    assert "Verification succeeded" in done.stdout


def test_a_second_tool_reads_the_envelope_and_verifies_it(given: Path):
    """in-toto's own library of envelopes, which is neither ours nor model_signing's."""
    facts = json.loads((given / "model.txt.sigstore.json").read_text())["dsseEnvelope"]
    envelope = Envelope.from_dict({**facts, "signatures": [{**facts["signatures"][0], "keyid": "key"}]})
    key = SSlibKey.from_crypto(load_pem_public_key((given / "key.pub").read_bytes()), "key")
    assert envelope.verify([key], 1)
    envelope.payload += b" "
    with pytest.raises(VerificationError):
        envelope.verify([key], 1)


def test_the_models_page_shows_who_signed_it_and_how_to_check_it(project: Project):
    session = requests.Session()
    session.get(str(daemon.login_url(project.path / ".registry")))
    url = account(project)["WANDB_BASE_URL"]
    address = "registry/model?selectionPath=local/model-registry/Best&view=membership&version=v0"
    page = session.get(f"{url}/{address}").text
    assert "5 materials at the commit" in page
    assert "model_signing verify key model --signature model.sig --public_key key.pub" in page


def test_the_report_says_who_signed_what_is_in_production(project: Project):
    assert "Provenance: signed by keys/key.pub, materials 5 at the commit" in project.ask("report")


def test_a_card_tells_of_the_model_in_production_for_the_hub(project: Project, given: Path):
    said = project.ask("card", "Best", "-o", str(given / "README.md"))
    assert re.search(r"README.md: the card of Best, model.txt [0-9a-f]{8}$", said, flags=re.MULTILINE)
    page = (given / "README.md").read_text()
    data: Any = huggingface_hub.ModelCard(page).data
    assert data.tags == ["dvc"]
    assert "In production as **model-registry/Best**, by the gate: it is good.\n" in page
    assert "| promote.least | 0.9 |" in page
    assert "| train | rate | 0.5 |" in page
    assert "weigh" not in page  # it has nothing to do with the model
    assert "It is not in production." in project.ask("card", "weights.json")


def test_who_does_not_sign_loads_nothing_of_it(project: Project):
    words = "import sys, dvc_wandb.cli.main as main; sys.exit('cryptography' in sys.modules)"
    project.run("python", "-c", words)


# ---- what is true ----


def test_a_clone_proves_it(project: Project, given: Path):
    clone = Project(given / "clone", project.env)
    project.git("clone", "--quiet", str(project.path), str(clone.path))
    said = check(clone, given)
    assert re.search(r"^signature  by the key [0-9a-f]{16}, .*key.pub: valid$", said, flags=re.MULTILINE)
    assert "the bytes of model.txt" in said
    assert "materials  5 at the commit" in said
    assert "4 by their bytes; the bytes of clean.csv are not at hand" in said
    assert re.search(r"packages   1 of the lock file at the commit \w+: all with the hashes stated", said)


def test_a_folder_that_is_not_at_hand_is_no_statement_of_another_kind(project: Project, given: Path):
    key, file = project.path.parent / "key", given / "parts.sigstore.json"
    project.ask("attest", "parts", "--key", f"{key}.pem", "-o", str(file))
    check_it = ("check", str(file), "--signed-by", f"{key}.pub")
    assert "the bytes of parts" in project.ask("check", str(file), "parts", "--signed-by", f"{key}.pub")
    clone = Project(given / "clone", project.env)
    project.git("clone", "--quiet", str(project.path), str(clone.path))
    assert "materials  5 at the commit" in clone.ask(*check_it)


def test_without_a_clone_the_signature_and_the_model_are_checked(project: Project, given: Path):
    said = check(Project(given, project.env), given)
    assert "the bytes of model.txt" in said
    assert "materials  not checked: this is no clone of the project" in said


def test_running_it_again_proves_it_and_the_page_and_the_report_say_so(project: Project, given: Path):
    assert "model.txt is equal to the byte" in check(project, given, "--reproduce", "--log")
    assert re.search(r"reproduced on .+: model.txt is equal to the byte", project.ask("report").replace("\\", ""))
    assert not list(project.path.parent.glob("check-*"))


# ---- what is not ----


def test_a_byte_changed_in_the_model_is_told(project: Project, given: Path):
    flip(given / "model.txt")
    assert "model.txt has other bytes than the statement is about: its sha256 is" in check(project, given, ok=False)


def test_a_byte_changed_in_the_statement_is_told(project: Project, given: Path):
    file = given / "model.txt.sigstore.json"
    facts = json.loads(file.read_text())
    payload = base64.b64decode(facts["dsseEnvelope"]["payload"]).replace(b'"rate":0.5', b'"rate":0.6')
    facts["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    file.write_text(json.dumps(facts))
    assert "the statement or its signature was changed after the key" in check(project, given, ok=False)


def test_a_byte_changed_in_the_envelope_is_told(project: Project, given: Path):
    file = given / "model.txt.sigstore.json"
    file.write_text(file.read_text().replace("in-toto+json", "in-totp+json"))
    assert "the envelope's payloadType is 'application/vnd.in-totp+json'" in check(project, given, ok=False)


def test_a_byte_changed_in_the_key_is_told(project: Project, given: Path):
    lines = (given / "key.pub").read_bytes().index(b"\n")
    flip(given / "key.pub", lines + 3)
    assert "key.pub is no public key that can be read" in check(project, given, ok=False)


def test_another_key_is_told(project: Project, given: Path):
    shutil.copy(project.path.parent / "other.pub", given)
    assert "it isn't signed by whom you trust" in check(project, given, key="other.pub", ok=False)


def test_a_byte_changed_in_a_material_is_told(project: Project, given: Path):
    listed = stated(given / "model.txt.sigstore.json")["predicate"]["buildDefinition"]["resolvedDependencies"]
    md5 = next(one["digest"]["md5"] for one in listed if one["name"] == "clean.csv")
    cached = project.path / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}"
    before = cached.read_bytes()
    cached.chmod(0o644)
    try:
        flip(cached)
        assert re.search(
            r"not so +clean.csv: its sha256 is \w+ in the statement, and \w+ in", check(project, given, ok=False)
        )
    finally:
        cached.write_bytes(before)


def test_another_hash_of_a_package_is_told(project: Project, given: Path):
    statement = stated(given / "model.txt.sigstore.json")
    listed = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    next(one for one in listed if one["name"].startswith("pkg:"))["annotations"]["hashes"] = [HASH.replace("0", "1")]
    resign(project, given, statement, "key")
    assert re.search(r"not so +pkg:pypi/pyyaml@\S+: its files have other hashes", check(project, given, ok=False))


def test_a_parameter_that_somebody_else_forged_is_told_by_the_key_and_with_that_key_trusted_by_the_run(
    project: Project, given: Path
):
    statement = stated(given / "model.txt.sigstore.json")
    statement["predicate"]["buildDefinition"]["externalParameters"]["stages"]["train"]["parameters"] = {
        "params.yaml": {"rate": 0.9}
    }
    resign(project, given, statement, "other")
    shutil.copy(project.path.parent / "other.pub", given)
    assert "it isn't signed by whom you trust" in check(project, given, ok=False)
    said = check(project, given, "--reproduce", key="other.pub", ok=False)
    assert re.search(r"reproduced on .+: model.txt is equal to the byte, and what it was made from is not as", said)
    assert re.search(r"not so +train: params.yaml: rate: the statement says 0.9, the commit \w+ has 0.5", said)
    assert re.search(r"not so +run again, train: params.yaml: rate: the statement says 0.9", said)
    for kept in project.path.parent.glob("check-*"):
        shutil.rmtree(kept)


def test_what_somebody_else_wrote_is_told_on_one_line_each_and_not_endlessly(project: Project, given: Path):
    statement = stated(given / "model.txt.sigstore.json")
    listed = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    listed += [{"name": f"\x1b[31m{number}\n", "digest": {"sha256": "0" * 64}} for number in range(60)]
    resign(project, given, statement, "key")
    said = check(project, given, ok=False)
    assert "not so     \\x1b[31m0\\n: the statement names it, the commit" in said
    assert "\x1b" not in said
    assert said.count("not so  ") == 51
    assert "not so     10 more things" in said
    assert "60 things in it are not so" in said


def test_another_stage_than_made_it_is_told(project: Project, given: Path):
    statement = stated(given / "model.txt.sigstore.json")
    statement["predicate"]["buildDefinition"]["externalParameters"]["stage"] = "clean"
    resign(project, given, statement, "key")
    assert "the statement says that the stage clean made it, and in the commit" in check(project, given, ok=False)


def test_what_is_near_enough_is_told_in_words_and_only_with_a_tolerance(project: Project, given: Path):
    file, key = given / "weights.json.sigstore.json", project.path.parent / "key"
    project.ask("attest", "weights.json", "--key", f"{key}.pem", "-o", str(file))
    run_again = ("check", str(file), "--signed-by", f"{key}.pub", "--reproduce")
    there = {**project.env, "SHIFT": "0.25"}
    said = Project(project.path, there).ask(*run_again, "--tolerance", "metrics=0.3")
    assert re.search(r"reproduced on .+: weights.json is within metrics=0.3: max abs difference 0.25 in w", said)
    said = Project(project.path, there).ask(*run_again, "--tolerance", "metrics=0.2", ok=False)
    assert re.search(r"not so +run again, weights.json: its sha256 is", said)
    for kept in project.path.parent.glob("check-*"):
        shutil.rmtree(kept)


# ---- in the registry ----


def put(project: Project, md5: str, files: Path, signer: str) -> None:
    """Somebody who may write to the registry puts another statement where the one about `md5` is looked for."""
    server = account(project)
    settings = wandb.Settings(silent=True, base_url=server["WANDB_BASE_URL"], api_key=server["WANDB_API_KEY"])
    with wandb.init(project="best", entity="local", settings=settings, dir=files.parent) as run:
        artifact = wandb.Artifact("model.txt_provenance", "provenance")
        artifact.add_file(str(files / "model.txt.sigstore.json"), "provenance.sigstore.json")
        run.log_artifact(artifact, aliases=[f"attests-{md5}", f"attests-{md5}-{signer[:16]}"]).wait()


def test_get_writes_what_is_signed_with_its_statement(project: Project, given: Path):
    output = given / "served.txt"
    said = project.ask("get", "Best", "-o", str(output), "--signed-by", str(given / "key.pub"))
    assert "model.txt_provenance:v0, signed by" in said
    assert (given / "served.txt.sigstore.json").read_bytes() == (given / "model.txt.sigstore.json").read_bytes()
    said = project.ask(
        "get", "Best", "-o", str(given / "no.txt"), "--signed-by", str(project.path.parent / "other.pub"), ok=False
    )
    assert "was signed by another key (model.txt_provenance:v0 is by" in said
    assert not (given / "no.txt").exists()


def test_verify_asks_for_the_signature_that_dvc_yaml_names(project: Project):
    unsigned = project.said["unsigned"].text
    assert "keys/key.pub: not signed" in unsigned
    assert "mend       dvc-wandb attest --key KEY" in unsigned
    assert "dvc.lock and the registry agree" in project.ask("verify")


def test_a_statement_of_another_registry_or_model_is_refused_where_it_is_replayed(project: Project, given: Path):
    """Signed by the right key both times. `verify` says so too, and signing again mends it."""
    statement, key = stated(given / "model.txt.sigstore.json"), project.path.parent / "key.pub"
    signer = json.loads((given / "model.txt.sigstore.json").read_text())["verificationMaterial"]["publicKey"]["hint"]
    md5 = statement["subject"][0]["digest"]["md5"]
    get = ("get", "Best", "-o", str(given / "no.txt"), "--signed-by", str(key))
    elsewhere = json.loads(json.dumps(statement))
    elsewhere["predicate"]["runDetails"]["byproducts"][1]["annotations"]["log"] = "0" * 64
    resign(project, given, elsewhere, "key")
    put(project, md5, given, signer)
    assert "it was made for another one" in project.ask(*get, ok=False)
    of_another = json.loads(json.dumps(statement))
    of_another["subject"][0]["digest"]["md5"] = "f" * 32
    resign(project, given, of_another, "key")
    put(project, md5, given, signer)
    assert "the statement is about model.txt ffffffff, not about the model" in project.ask(*get, ok=False)
    assert not (given / "no.txt").exists()
    assert "keys/key.pub: signature refused" in project.ask("verify", ok=False)
    project.ask("attest", "--key", str(project.path.parent / "key.pem"))
    assert "dvc.lock and the registry agree" in project.ask("verify")

"""`dvc-wandb attest --reproduced`: what the signer's own run of the commit gave, as a part of the statement."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2

from tests.conftest import account
from tests.dvc_wandb.production.signed import stated
from tests.dvc_wandb.promoting import Project
from wandb_registry import daemon

pytestmark = pytest.mark.slow

MACHINE = r" on \S+ \(.+\), packages as the lock file of the commit has them: "
NEAR = "weights.json is within metrics=0.3: max abs difference 0.25 in w, 1 of 1 differ"
WORDS = f"{MACHINE}{NEAR}; of the other outs of its stages, 2 equal to the byte$"


def run_again(project: Project, result: Path, *words: str) -> Path:
    """What `dvc-wandb reproduce` prints for `attest`, on a machine that gives not quite the same numbers."""
    done = project.run("dvc-wandb", "reproduce", "--json", *words, env={"SHIFT": "0.25"}, ok=False, stderr=None)
    result.write_text(done.text)
    for kept in project.path.parent.glob("reproduce-*"):
        shutil.rmtree(kept)
    return result


@pytest.fixture
def attest(project: Project, given: Path) -> tuple[str, ...]:
    """The command that states the result in the file `result.json`."""
    key, output = project.path.parent / "key.pem", given / "w.sigstore.json"
    return ("attest", "weights.json", "--key", str(key), "--reproduced", str(given / "result.json"), "-o", str(output))


def checked(project: Project, given: Path) -> str:
    return project.ask("check", str(given / "w.sigstore.json"), "--signed-by", str(given / "key.pub"))


def test_the_statement_holds_in_words_and_numbers_what_the_run_gave(
    project: Project, given: Path, attest: tuple[str, ...]
):
    """As a byproduct, which in-toto's own schema takes. Equal facts give equal bytes."""
    result, file = run_again(project, given / "result.json", "--tolerance", "metrics=0.3"), given / "w.sigstore.json"
    assert re.search(f"^reproduced{WORDS}", project.ask(*attest), flags=re.MULTILINE)
    assert re.search(f"^stated     by the signer: reproduced{WORDS}", checked(project, given), flags=re.MULTILINE)
    details = stated(file)["predicate"]["runDetails"]
    schema: Any = provenance_pb2
    json_format.ParseDict({"runDetails": details}, schema.Provenance())
    (told,) = (one for one in details["byproducts"] if one["name"] == "reproduction")
    assert told["digest"] == {"sha256": hashlib.sha256(result.read_bytes()).hexdigest()}
    outs, of_run = told["annotations"]["outs"], json.loads(result.read_text())
    assert outs["clean.csv"] == outs["parts"] == {"verdict": "equal"}
    assert outs["weights.json"] == {
        "verdict": "within",
        "md5": hashlib.md5(b'{"w": 1.25}').hexdigest(),
        "largestDifference": 0.25,
        "files": {"weights.json": "max abs difference 0.25 in w, 1 of 1 differ"},
    }
    assert {name: told["annotations"][name] for name in ("host", "processor")} == of_run["machine"]
    before = file.read_bytes()
    project.ask(*attest)
    assert file.read_bytes() == before


def test_the_page_tells_it_by_the_signers_word(project: Project, given: Path, attest: tuple[str, ...]):
    run_again(project, given / "result.json", "--tolerance", "metrics=0.3")
    project.ask(*attest)
    session = requests.Session()
    session.get(str(daemon.login_url(project.path / ".registry")))
    page = session.get(f"{account(project)['WANDB_BASE_URL']}/local/best/artifacts/file/weights.json/v0").text
    assert re.search(f"by the signer’s word{MACHINE}{NEAR}", page)


def test_the_report_tells_it_of_what_is_in_production(project: Project, given: Path):
    sign = ("attest", "--key", str(project.path.parent / "key.pem"))
    project.ask(*sign, "--reproduced", str(run_again(project, given / "result.json")))
    try:
        said = project.ask("report").replace("\\", "")
    finally:
        project.ask(*sign)  # as it was, for the tests after this one
    assert re.search(f"signed by keys/key.pub, .*; reproduced by the signer's word{MACHINE}model.txt is equal", said)


def test_what_differs_is_stated_as_different(project: Project, given: Path, attest: tuple[str, ...]):
    run_again(project, given / "result.json", "--installed")
    project.ask(*attest)
    said = "packages as installed: weights.json differs: max abs difference 0.25 in w, 1 of 1 differ; of the other"
    assert said in checked(project, given)


def test_a_result_of_another_commit_is_refused_and_the_said_command_gives_the_right_one(
    project: Project, given: Path, attest: tuple[str, ...]
):
    clone = Project(given / "clone", {**project.env, "REGISTRY_DIR": str(project.path / ".registry")})
    project.git("clone", "--quiet", str(project.path), str(clone.path))
    clone.run("dvc", "cache", "dir", "--local", str(project.path / ".dvc/cache"))
    clone.git("commit", "--quiet", "--allow-empty", "--message", "Later")
    run_again(clone, given / "result.json")
    said = clone.ask(*attest, ok=False)
    remedy = re.search("is about ([0-9a-f]{10}): `dvc-wandb reproduce (--commit [0-9a-f]{10}) --json` runs that", said)
    assert remedy
    assert remedy[1] == project.git("rev-parse", "HEAD")[:10]
    run_again(clone, given / "result.json", *remedy[2].split())
    assert "weights.json differs: max abs difference 0.25 in w" in clone.ask(*attest)
    assert "there is no revision 'v9' here to run again" in clone.ask("reproduce", "--commit", "v9", ok=False)


def test_a_result_of_something_else_is_refused_in_a_sentence(project: Project, given: Path, attest: tuple[str, ...]):
    result = run_again(project, given / "result.json")
    whole = result.read_text()

    def refused(change: Callable[[dict[str, Any]], object]) -> str:
        told = json.loads(whole)
        change({stage["stage"]: stage for stage in told["stages"]} | {"all": told})
        result.write_text(json.dumps(told))
        return project.ask(*attest, ok=False)

    assert "is about another model: it was to make weights.json ffffffff, and the statement is about " in refused(
        lambda told: told["weigh"]["outs"][0].update(committed="f" * 32)
    )
    assert "is about another dvc.lock: it was to make clean.csv ffffffff" in refused(
        lambda told: told["clean"]["outs"][0].update(committed="f" * 32)
    )
    assert "is about another model or project: it has no stage clean, which weights.json was made by" in refused(
        lambda told: told["all"]["stages"].remove(told["clean"])
    )
    assert "has nothing to compare: of weigh it says 'it did not run to its end'" in refused(
        lambda told: told["weigh"].update(why="it did not run to its end")
    )
    no_result = "is no result of `dvc-wandb reproduce --json`: it"
    assert f"{no_result} lacks commit" in refused(lambda told: told["all"].pop("commit"))
    assert f"{no_result} lacks machine.host" in refused(lambda told: told["all"]["machine"].pop("host"))
    result.write_text("[" * 100_000)
    assert f"{no_result} is too deep" in project.ask(*attest, ok=False)
    result.unlink()
    assert "result.json can't be read: No such file" in project.ask(*attest, ok=False)
    assert not (given / "w.sigstore.json").exists()

"""With `promote.approvals: 1` a committed decision waits for somebody else's yes; git still says which model it is."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import account
from tests.dvc_wandb import promoting
from tests.dvc_wandb.promoting import TARGET, Project

META = "{promotes: champion.json, branches: promote.branches"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """`one` in production, and from then on it takes two."""
    project = promoting.make(tmp_path_factory.mktemp("approvals") / "made")
    for name, before, after in (
        ("dvc.yaml", META, f"{META}, approvals: promote.approvals"),
        ("params.yaml", "promote:\n", "promote:\n  approvals: 1\n"),
    ):
        text = project.read(name)
        assert before in text
        (project.path / name).write_text(text.replace(before, after))
    project.commit("It takes two")
    for words in (
        ("user", "add", "ana", "--api-key", "ana".ljust(40, "x")),
        ("team", "add-member", "local", "ana", "--role", "member"),
        ("stop",),
    ):
        project.run("wandb-registry", *words)
    return project


@pytest.fixture
def project(once: Project, tmp_path: Path) -> Iterator[Project]:
    made = promoting.copied(once, tmp_path / "mine")
    yield made
    made.run("wandb-registry", "stop", ok=False)


@pytest.fixture
def ana(project: Project) -> dict[str, str]:
    """The settings of a second person, with the same clone."""
    server = account(project, project.env.get("REGISTRY_DIR", ""))
    return {
        "WANDB_BASE_URL": server["WANDB_BASE_URL"],
        "WANDB_API_KEY": "ana".ljust(40, "x"),
        "WANDB_ENTITY": "local",
    }


@pytest.mark.slow
def test_a_committed_decision_waits_for_a_second_person(project: Project, ana: dict[str, str], tmp_path: Path):
    one, two = project.recorded, project.write("two")
    project.commit("Two")
    waits = project.ask("promote")
    assert f"{two[:8]} (v1) waits for a second person's yes" in waits
    assert f"{one[:8]} (v0) stays production until then" in waits
    assert "view=request&request=1" in waits
    assert project.held() == one
    drift = project.ask("verify", ok=False)
    assert 'mend       dvc-wandb approve --reason "…", by somebody else than' in drift

    assert "asked for this, so somebody else has to decide" in project.ask("approve", "--reason", "mine", ok=False)
    shown = project.ask("approve", "Best", ok=False, env=ana)  # what it rests on; and nothing happens without a reason
    for text in (f"{TARGET} v1 instead of v0", "verdict     passes", "by          the gate", "it is good"):
        assert text in shown
    assert 'dvc-wandb approve --request 1 --reason "…"' in shown
    assert project.held() == one
    assert "v1 is production now, approved by ana as" in project.ask("approve", "--reason", "I tried it", env=ana)
    assert project.held() == two
    project.ask("verify")
    told = " ".join(project.ask("history", "Best").split())
    assert "by ana, asked by" in told
    assert ": I tried it" in told

    key = tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key)],
        check=True,
        capture_output=True,
    )
    project.ask("attest", "--key", str(key), "-o", str(tmp_path / "a.sigstore.json"))
    assert approval_in(tmp_path / "a.sigstore.json")["approvedBy"] == "ana"
    assert approval_in(tmp_path / "a.sigstore.json")["reason"] == "I tried it"


def approval_in(file: Path) -> dict[str, Any]:
    """What a statement tells of who asked and who approved."""
    statement = json.loads(base64.b64decode(json.loads(file.read_text())["dsseEnvelope"]["payload"]))
    (found,) = [one for one in statement["predicate"]["runDetails"]["byproducts"] if one["name"] == "approval"]
    return found["annotations"]


@pytest.mark.slow
def test_a_no_stays_a_no_until_somebody_decides_anew(project: Project, ana: dict[str, str]):
    one, two = project.recorded, project.write("two")
    project.commit("Two")
    assert "waits for a second person's yes" in project.ask("mirror")  # whoever mirrors asks
    assert f"rejected: {TARGET} v1; v0 stays production" in project.ask("reject", "--reason", "too slow", env=ana)
    assert "ana rejected just that: too slow" in project.ask("promote", ok=False)
    assert "ana rejected just that: too slow" in project.ask("mirror")
    assert project.held() == one

    three = project.write("three")  # another candidate is another request; taken back, only a person asks again
    project.commit("Three")
    assert f"{three[:8]} (v2) waits" in project.ask("promote")
    assert f"taken back: {TARGET} v2" in project.ask("withdraw")
    assert "nothing waits for a second person" in project.ask("approve", "--reason", "late", ok=False, env=ana)
    assert "took back the request" in project.ask("mirror")
    assert f"{three[:8]} (v2) waits" in project.ask("promote")

    four = project.write("four")  # the candidate changes while ana looks at the one before
    project.commit("Four")
    assert f"{four[:8]} (v3) waits" in project.ask("mirror")
    assert "is not open any more" in project.ask("approve", "--request", "3", "--reason", "ok", ok=False, env=ana)
    project.ask("approve", "--reason", "ok", env=ana)
    assert project.held() == four

    # A yes in the page, of which this clone was not told: the next decision is no click to be settled first
    five = project.write("five")
    project.commit("Five")
    assert f"{five[:8]} (v4) waits" in project.ask("mirror")
    assert "git revert" not in project.ask("verify", ok=False)

    project.git("revert", "--no-edit", "HEAD")  # the decision is gone from git, and so nothing waits for it
    project.run("dvc", "checkout", "--quiet")
    assert f"{four[:8]} is production" in project.ask("promote")
    assert project.held() == four
    assert two != three


@pytest.mark.slow
def test_a_persons_decision_and_a_rollback_wait_too(project: Project, ana: dict[str, str]):
    one = project.recorded
    two = project.write("two")
    project.commit("Two")
    project.ask("promote")
    project.ask("approve", "--reason", "ok", env=ana)
    project.ask("rollback", "--reason", "customers complained")
    project.commit("Back")
    assert "would move, once a second person says yes," in project.ask("promote", "--dry")
    assert f"{one[:8]} (v0) waits" in project.ask("promote")
    assert project.held() == two
    assert "customers complained" in project.ask("approve", "--reason", "they did", env=ana)
    assert project.held() == one
    (project.path / "params.yaml").write_text(project.read("params.yaml").replace("approvals: 1", "approvals: 2"))
    project.write("three")
    project.commit("Three")
    assert "promote.approvals is 2; it must be 0, or 1" in project.ask("promote", ok=False)
    assert project.held() == one

"""CI without a stored secret: the SDK exchanges its job's identity token for an access token of a service account."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.dvc_wandb import small
from tests.engines.forging_issuer import Issuer, forging_issuer
from tests.engines.proxy import free_port
from tests.wandb_registry.conftest import command, records
from tests.wandb_registry.forged_tokens import FORGED, NOW, Honest
from tests.wandb_registry.openid_place import Place, served
from tests.working_tree import ROOT

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCE = "https://wandb.example.com"
MACHINES = f"""
[[machines]]
account = "ci"
issuer = "{{issuer}}"
audience = "{AUDIENCE}"
claims = {{{{repository = "acme/pipeline", ref = ["refs/heads/main", "refs/heads/next"], protected = "true"}}}}

[[machines]]
account = "nightly"
issuer = "{{issuer}}"
audience = "{AUDIENCE}"
claims = {{{{repository = "acme/nightly"}}}}
minutes = 6
"""
LOG = """
import wandb
with wandb.init(project="ci", settings=wandb.Settings(x_disable_stats=True)) as run:
    version = wandb.Artifact("model", "model")
    with version.new_file("weights.txt") as file:
        file.write("weights")
    run.log_artifact(version, aliases=["candidate"]).wait()
    print(run.entity, run.url)
api = wandb.Api()
version = api.artifact("vision/ci/model:candidate")
print(open(version.download() + "/weights.txt").read(), version.logged_by().user.username)
"""


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Issuer, Place]]:
    """A registry that takes the identity tokens of two of an issuer's repositories, for two service accounts."""
    folder = tmp_path_factory.mktemp("machines")
    accounts = ("ci", "nightly")
    with forging_issuer() as issuer, served(folder, free_port(), issuer.url, MACHINES, accounts) as place:
        yield issuer, place


def job(issuer: Issuer, **changed: Any) -> str:
    """The token of a job that may sign in, with what an attack changes."""
    claims: dict[str, Any] = {
        "sub": "repo:acme/pipeline:ref:refs/heads/main",
        "aud": AUDIENCE,
        "repository": "acme/pipeline",
        "ref": "refs/heads/main",
        "protected": True,
    }
    return issuer.token(**(claims | changed))


def exchange(place: Place, token: str, grant: str = GRANT) -> requests.Response:
    return requests.post(f"{place.url}/oidc/token", {"grant_type": grant, "assertion": token}, timeout=60)


def ask(place: Place, token: str, query: str = "{ viewer { username } }") -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.post(f"{place.url}/graphql", json={"query": query}, headers=headers, timeout=60).json()


def environment(place: Place, folder: Path, token: str) -> dict[str, str]:
    """That of a job, whose only proof of who it is lies in a file."""
    (folder / "token").write_text(token + "\n")
    places = ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR", "WANDB_CONFIG_DIR", "HOME")
    return {
        **dict.fromkeys(places, str(folder)),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "WANDB_BASE_URL": place.url,
        "WANDB_IDENTITY_TOKEN_FILE": str(folder / "token"),
        "WANDB_CREDENTIALS_FILE": str(folder / "credentials.json"),
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
    }


def test_the_sdk_signs_in_by_an_identity_token_and_logs_an_artifact(machines: tuple[Issuer, Place], tmp_path: Path):
    issuer, place = machines
    done = subprocess.run(
        [sys.executable, "-c", LOG],
        env=environment(place, tmp_path, job(issuer)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    entity, url, content, who = done.stdout.split()
    assert (entity, content, who) == ("vision", "weights", "ci")
    assert url.startswith(f"{place.url}/vision/ci/runs/")
    log = command(place.store, "log", "ci").stdout
    assert f"repo:acme/pipeline:ref:refs/heads/main of {issuer.url}" in log


def test_the_sdk_says_why_a_token_is_refused(machines: tuple[Issuer, Place], tmp_path: Path):
    issuer, place = machines
    done = subprocess.run(
        [sys.executable, "-c", "import wandb; wandb.init(project='ci')"],
        env=environment(place, tmp_path, job(issuer, repository="evil/fork", sub="repo:evil/fork")),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 1
    assert f"No service account is for the token of 'repo:evil/fork' at {issuer.url}." in done.stderr


def test_an_access_token_signs_in_the_account_that_the_claims_name(machines: tuple[Issuer, Place]):
    issuer, place = machines
    for changed, account, seconds in (
        ({}, "ci", 3600),
        ({"ref": "refs/heads/next", "aud": ["another", AUDIENCE]}, "ci", 3600),
        ({"repository": "acme/nightly", "ref": None}, "nightly", 360),
    ):
        answer = exchange(place, job(issuer, **changed))
        assert answer.headers["cache-control"] == "no-store"
        given = answer.json()
        assert (given["token_type"], given["expires_in"]) == ("Bearer", seconds)
        assert ask(place, given["access_token"])["data"]["viewer"]["username"] == account


ATTACKS: dict[str, tuple[Callable[[Issuer, Honest], str], str]] = FORGED | {
    "another repository": (lambda _, token: token(repository="evil/fork"), "No service account is for the token of"),
    "another branch": (lambda _, token: token(ref="refs/heads/evil"), "No service account is for the token of"),
    "no repository": (lambda _, token: token(repository=None), "No service account is for the token of"),
    "a list of repositories": (lambda _, token: token(repository=["acme/pipeline"]), "No service account is for"),
    "false for true": (lambda _, token: token(protected=False), "No service account is for the token of"),
    "for a year": (lambda _, token: token(exp=NOW + 365 * 86400), "lives for more than a day"),
    "a person's": (lambda _, token: token(aud="registry"), f"is for 'registry', not for '{AUDIENCE}'"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_token_that_proves_nothing_signs_no_machine_in(machines: tuple[Issuer, Place], attack: str):
    issuer, place = machines
    make, told = ATTACKS[attack]
    answer = exchange(place, make(issuer, partial(job, issuer)))
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_grant"
    assert told in answer.json()["error_description"]


def test_another_grant_is_refused(machines: tuple[Issuer, Place]):
    issuer, place = machines
    answer = exchange(place, job(issuer), "client_credentials")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_an_access_token_cannot_be_altered_or_prolonged(machines: tuple[Issuer, Place]):
    issuer, place = machines
    token = exchange(place, job(issuer)).json()["access_token"]
    subject, expires, signature = token.split(".")
    user, _, rest = subject.partition("-")
    for other in (
        f"{subject}.{int(expires) + 1}.{signature}",
        f"{int(user) - 1}-{rest}.{expires}.{signature}",
        f"{subject}.{'9' * 5000}.{signature}",
        f"{subject}.{NOW - 1}.{signature}",
        token[:-1],
        token + "0",
        job(issuer),
    ):
        assert "No account of this registry has this API key" in ask(place, other)["errors"][0]["message"]


def test_an_access_token_is_no_session_and_a_session_no_access_token(machines: tuple[Issuer, Place]):
    issuer, place = machines
    token = exchange(place, job(issuer)).json()["access_token"]
    session = requests.Session()
    key = (place.store / "api-key").read_text().strip()
    session.post(f"{place.url}/login", {"key": key}, timeout=60)
    [cookie] = session.cookies
    assert "errors" in ask(place, str(cookie.value))
    session.cookies.set(cookie.name, token, domain="127.0.0.1", path="/")
    assert "/login" in session.get(f"{place.url}/settings", timeout=60).url


def test_a_short_lived_token_makes_nothing_that_lasts(machines: tuple[Issuer, Place]):
    issuer, place = machines
    token = exchange(place, job(issuer)).json()["access_token"]
    told = "'ci' is signed in by a short-lived token, which makes nothing that outlives it."
    made = ask(place, token, "mutation { generateApiKey(input: {}) { apiKey { name } } }")
    assert made["errors"][0]["message"] == told
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.post(f"{place.url}/login/token", headers=headers, timeout=60)
    assert (answer.status_code, answer.json()["error"]) == (403, told)


def test_an_access_token_ends_with_its_account(machines: tuple[Issuer, Place]):
    issuer, place = machines
    claims = {"repository": "acme/nightly", "ref": None}
    token = exchange(place, job(issuer, **claims)).json()["access_token"]
    assert ask(place, token)["data"]["viewer"]["username"] == "nightly"
    command(place.store, "user", "rm", "nightly")
    assert "has ended" in ask(place, token)["errors"][0]["message"]
    answer = exchange(place, job(issuer, **claims))
    assert answer.status_code == 400
    assert "There is no user 'nightly'" in answer.json()["error_description"]
    with records(place.store) as db:
        db.execute("update user set deleted_at = null where deleted_at is not null", {})


@pytest.mark.slow
def test_an_issuer_that_is_away_is_to_be_asked_again(tmp_path: Path):
    away = f"http://127.0.0.1:{free_port()}"
    with forging_issuer() as issuer, served(tmp_path, free_port(), away, MACHINES, ("ci", "nightly")) as place:
        answer = exchange(place, job(issuer, iss=away))
        assert answer.status_code == 503, "the SDK repeats it"
        assert "can't be reached" in answer.json()["error_description"]


def test_a_registry_without_machines_takes_no_token(registry: Any):
    form = {"grant_type": GRANT, "assertion": "a.b.c"}
    answer = requests.post(f"{registry.url}/oidc/token", form, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error_description"] == "This registry takes no identity tokens: set WANDB_API_KEY instead."


@pytest.mark.slow
def test_a_project_is_mirrored_and_verified_by_an_identity_token(machines: tuple[Issuer, Place], tmp_path: Path):
    """`dvc-wandb` refused the variable and wanted a key."""
    issuer, place = machines
    project = small.make(tmp_path / "project")
    own = environment(place, tmp_path, job(issuer))
    signed_in = {name: own[name] for name in own if name.startswith("WANDB_")} | {"WANDB_MODE": "online"}
    project.run("dvc-wandb", "mirror", env=signed_in)
    assert "dvc.lock and the registry agree" in project.run("dvc-wandb", "verify", env=signed_in).text
    (tmp_path / "token").write_text(job(issuer, repository="evil/fork"))
    (tmp_path / "credentials.json").unlink()
    told = project.run("dvc-wandb", "verify", ok=False, env=signed_in).text
    assert "No service account is for the token of" in told
    assert "Traceback" not in told

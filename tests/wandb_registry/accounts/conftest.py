"""The team of the tests of approvals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.wandb_registry.accounts.approving import LINK, Team
from tests.wandb_registry.by_hand import data, log
from tests.wandb_registry.conftest import Account, Registry, own_store
from wandb_registry import daemon


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with own_store(tmp_path_factory.mktemp("approvals") / "store") as store:
        server = daemon.ensure(store)
        registry = Registry(server.url, server.entity, server.api_key, store)
        jon, ana, bo = (registry.user(name) for name in ("jon", "ana", "bo"))
        for name in ("jon", "ana", "bo"):
            registry.command("team", "add-member", "local", name, "--role", "member")
        key = "robot".ljust(40, "x")
        made = registry.command("user", "add", "robot", "--service", "local", "--api-key", key)
        assert made.returncode == 0, made.stderr
        yield Team(registry, jon, ana, bo, Account(server.url, "robot", key))


@pytest.fixture
def team(people: Team, request: pytest.FixtureRequest) -> Team:
    name = request.node.name.replace("_", "-")[:100]
    ids = tuple(log(people.registry, "made", name, {"a": f"{name} {n}".encode()}) for n in range(3))
    for number, artifact in enumerate(ids):
        aliases = [{"artifactCollectionName": name, "alias": "production"}] if number == 0 else []
        data(people.registry.ask(LINK, id=artifact, name=name, aliases=aliases))
    return Team(people.registry, people.jon, people.ana, people.bo, people.robot, name, ids)

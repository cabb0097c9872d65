"""What is said where a registry has no requests for approval, as W&B's own server, or refuses one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dvc_wandb.client.connection import RegistryConnection
from dvc_wandb.client.promotion_requests import NoApprovalsError, PromotionRequests, RefusedError
from dvc_wandb.errors import RegistryUnavailableError

UNKNOWN = {"errors": [{"message": 'Cannot query field "requestPromotion" on type "Mutation".'}]}


@pytest.fixture
def answers() -> Iterator[tuple[PromotionRequests, list]]:
    """The requests of a registry that gives the answer in the list: a status and a body."""
    given: list = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = given[-1]
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_API_KEY", "k" * 40)
        connection = RegistryConnection(f"http://127.0.0.1:{server.server_port}", "team", "project", False)
        yield PromotionRequests(connection, "team", "model-registry", "Best"), given
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("status", "body"), [(200, UNKNOWN), (400, UNKNOWN), (422, UNKNOWN), (400, {})])
def test_a_server_without_such_requests_is_told_from_one_that_is_away(answers, status: int, body: dict):
    requests, given = answers
    given.append((status, body))
    with pytest.raises(NoApprovalsError, match="W&B's own server has no such request"):
        requests.ask("v1", "production", "better", {})


def test_a_refusal_is_told_in_the_registrys_own_words(answers):
    requests, given = answers
    given.append((409, {"errors": [{"message": "ana rejected just that: too slow."}]}))
    with pytest.raises(RefusedError, match=r"^ana rejected just that: too slow\.$"):
        requests.ask("v1", "production", "better", {})
    given.append((503, {}))
    with pytest.raises(RegistryUnavailableError):
        requests.all()

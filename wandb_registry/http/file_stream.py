"""The endpoint file_stream, to which a run sends its lines while it runs. model/runs/file_stream.py stores them."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from wandb_registry.errors import BadInput
from wandb_registry.http.authentication import viewer_of_request
from wandb_registry.http.request_bodies import json_body
from wandb_registry.model import access
from wandb_registry.model.access import Role, Viewer
from wandb_registry.model.runs import file_stream, rewind_and_fork
from wandb_registry.store import Store

LARGEST = 64 * 2**20  # bytes of a request


def routes(store: Store) -> list[Route]:
    async def post(request: Request) -> Response:
        viewer = await run_in_threadpool(viewer_of_request, request, store)
        body = await json_body(request, LARGEST)
        if not isinstance(body, dict):
            raise BadInput("A file_stream request is a JSON object.")
        writer = request.headers.get("x-wandb-async-client-id")
        stop = await run_in_threadpool(store_lines, viewer, request.path_params, body, writer)
        return JSONResponse({"exitcode": None, "limits": {}} | ({"stopped": True} if stop else {}))

    def store_lines(viewer: Viewer, address: dict[str, str], body: dict, writer: str | None) -> bool:
        with store.db.write() as db:
            run = access.run(db, viewer, address["entity"], address["project"], address["run"], Role.MEMBER)
            stop = file_stream.store(db, run, body, writer)
            rewind_and_fork.update(db, run)
            return stop

    return [Route("/files/{entity}/{project}/{run}/file_stream", post, methods=["POST"])]

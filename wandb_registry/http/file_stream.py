"""The endpoint file_stream, to which a run sends its lines while it runs. model/runs/file_stream.py stores them."""

import asyncio
import time

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from wandb_registry.errors import BadInput
from wandb_registry.http.authentication import viewer_of_request
from wandb_registry.http.request_bodies import json_body
from wandb_registry.model import access
from wandb_registry.model.access import Role, Viewer
from wandb_registry.model.runs import file_stream, offline_parts, rewind_and_fork
from wandb_registry.store import Store

LARGEST = 64 * 2**20  # bytes of a request
PATIENCE = 5.0  # seconds that lines wait for what tells whose they are; the SDK sends both at the same time


def routes(store: Store) -> list[Route]:
    silent: set[int] = set()  # parts of offline runs whose SDK doesn't tell when they started, as far as we waited

    async def post(request: Request) -> Response:
        viewer = await run_in_threadpool(viewer_of_request, request, store)
        body = await json_body(request, LARGEST)
        if not isinstance(body, dict):
            raise BadInput("A file_stream request is a JSON object.")
        writer = request.headers.get("x-wandb-async-client-id")
        until = time.monotonic() + PATIENCE
        while (stop := await run_in_threadpool(store_lines, viewer, request.path_params, body, writer, until)) is None:
            await asyncio.sleep(0.05)
        return JSONResponse({"exitcode": None, "limits": {}} | ({"stopped": True} if stop else {}))

    def store_lines(
        viewer: Viewer, address: dict[str, str], body: dict, writer: str | None, until: float
    ) -> bool | None:
        """Whether the run shall stop; None if nothing is stored, since its part is yet to tell when it started."""
        with store.db.write() as db:
            run = access.run(db, viewer, address["entity"], address["project"], address["run"], Role.MEMBER)
            part = offline_parts.sending(db, run["id"])
            if part and part["started"] is None and part["id"] not in silent:
                if time.monotonic() < until:
                    return None
                silent.add(part["id"])
            stop = file_stream.store(db, run, body, writer)
            rewind_and_fork.update(db, run)
            return stop

    return [Route("/files/{entity}/{project}/{run}/file_stream", post, methods=["POST"])]

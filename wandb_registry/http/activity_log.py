"""The activity log of a collection as JSON, for tools that show a model's history. W&B's servers have no such endpoint.

Whoever may read the project may read it. For anyone else it doesn't exist.
"""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from wandb_registry.errors import BadInput, NotFound
from wandb_registry.http.authentication import viewer_of_request
from wandb_registry.model import access, activity_log
from wandb_registry.model.access import Role, Viewer
from wandb_registry.model.artifacts import collections
from wandb_registry.store import Store

MOST = 1000  # events in one answer


def routes(store: Store) -> list[Route]:
    async def endpoint(request: Request) -> Response:
        viewer = await run_in_threadpool(viewer_of_request, request, store)
        after = request.query_params.get("after", "0")
        if not after.isascii() or not after.isdecimal() or len(after) > 18:
            raise BadInput("'after' is the number of the last event that is known already, such as 120.")
        return JSONResponse(await run_in_threadpool(read, viewer, request.path_params, int(after)))

    def read(viewer: Viewer, address: dict[str, str], after: int) -> dict[str, Any]:
        with store.db.read() as db:
            project = access.project(db, viewer, address["entity"], address["project"], Role.VIEWER)
            collection = collections.find(db, project["id"], address["collection"])
            if collection is None:
                raise NotFound(f"There is no '{address['collection']}' in {address['entity']}/{address['project']}.")
            events = activity_log.in_collection(db, collection["id"], after, MOST)
            for event in events:  # its version and run may belong to projects that the viewer may not see
                for key, hidden_keys in (("source", ("source",)), ("run", ("run", "git_commit"))):
                    if not event[key] or access.find_project(db, viewer, *event[key].split("/")[:2]) is None:
                        event |= dict.fromkeys(hidden_keys)
        return {"events": events, "more": len(events) == MOST}

    return [Route("/activity/{entity}/{project}/{collection}", endpoint)]

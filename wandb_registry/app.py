"""The server's doors: which address leads to which function, and what every request passes on its way."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from wandb_registry.errors import BadInput
from wandb_registry.graphql.execute import Answer, Executor, error_body
from wandb_registry.http import activity_log, file_stream, file_transfers, middleware
from wandb_registry.http.authentication import viewer_of_request
from wandb_registry.http.request_bodies import json_body
from wandb_registry.store import Store
from wandb_registry.web import routes
from wandb_registry.web.endpoints import Endpoints
from wandb_registry.web.live_updates import LiveUpdates

LARGEST_QUERY = 32 * 2**20
MOST_AT_ONCE = 4  # questions of one account that are being answered: who asks much waits, and not the others


def create_app(
    store: Store,
    activity: middleware.Activity,
    loopback: bool,
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]],
    ending: Callable[[], bool],
) -> Starlette:
    """The registry of one store as an ASGI app. Bound to loopback, it answers to no other name.

    `ending` says that the server is about to leave: what would go on without end stops then.
    """
    executor = Executor(store)
    endpoints = Endpoints(store)
    turns: dict[int, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(MOST_AT_ONCE))

    async def graphql(request: Request) -> Response:
        viewer = await run_in_threadpool(viewer_of_request, request, store)
        body = await json_body(request, LARGEST_QUERY)
        from_pipeline = request.headers.get("user-agent", "").startswith("wandb-core")
        base_url = str(request.base_url).rstrip("/")
        try:
            async with turns[viewer.user_id]:
                answer = await run_in_threadpool(executor.run, viewer, body, base_url, from_pipeline)
        except BadInput as error:
            if not _shows_only_the_status(request):
                raise
            answer = Answer(error_body(error), error.status)
        told_as_data = answer.status == BadInput.status and _shows_only_the_status(request)
        return JSONResponse(answer.body, 200 if told_as_data else answer.status)

    async def nothing(_request: Request) -> Response:
        return JSONResponse({})

    return Starlette(
        routes=[
            Route("/graphql", graphql, methods=["POST"]),
            *file_stream.routes(store),
            *file_transfers.routes(store),
            *activity_log.routes(store),
            Route("/sdk/otel/v1/metrics", nothing, methods=["POST"]),  # telemetry, dropped
            Route("/healthz", nothing),
            *routes.routes(endpoints, LiveUpdates(store, ending)),
        ],
        middleware=[Middleware(middleware.Guard, activity=activity, loopback=loopback)],
        exception_handlers={**middleware.HANDLERS, 404: endpoints.not_found},
        lifespan=lifespan,
    )


def _shows_only_the_status(request: Request) -> bool:
    """Whether it comes from the public API of an older SDK, which asks in Python, not through the pipeline: of many a
    'bad request' it shows no more than that.
    """
    headers = request.headers
    in_python = "deflate" in headers.get("accept-encoding", "")
    return in_python and headers.get("user-agent", "").startswith("W&B Public Client")

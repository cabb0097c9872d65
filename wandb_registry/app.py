"""The server as an ASGI app: its routes, its middleware, and the GraphQL endpoint."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from wandb_registry.errors import BadInput
from wandb_registry.graphql.execute import ExecutionResult, Executor, error_body
from wandb_registry.http import activity_log, file_endpoints, file_stream, health, identity_tokens, middleware, paths
from wandb_registry.http.authentication import viewer_of_request
from wandb_registry.http.metrics import Metrics
from wandb_registry.http.own_address import OwnAddress
from wandb_registry.http.request_bodies import json_body
from wandb_registry.http.request_log import AnsweredRequest
from wandb_registry.openid.settings import Settings
from wandb_registry.store import Store
from wandb_registry.web import routes
from wandb_registry.web.endpoints import Endpoints
from wandb_registry.web.live_updates import LiveUpdates

LARGEST_QUERY = 32 * 2**20
MOST_AT_ONCE = 4  # GraphQL requests of one account; further ones wait, those of other accounts don't


class GraphQLResponse(JSONResponse):
    """JSON in UTF-8. Half a character, which a stored text may hold and UTF-8 can't, becomes a question mark."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


def create_app(
    store: Store,
    tracker: middleware.RequestTracker,
    own: OwnAddress,
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]],
    ending: Callable[[], bool],
    metrics: Metrics | None = None,
    watchers: Sequence[Callable[[AnsweredRequest], None]] = (),
    openid: Settings | None = None,
) -> Starlette:
    """The registry of one store as an ASGI app.

    `ending` tells whether the server is about to end: then streams without an end of their own stop.
    """
    paths.register()
    executor = Executor(store)
    endpoints = Endpoints(store)
    slots: dict[int, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(MOST_AT_ONCE))

    async def graphql(request: Request) -> Response:
        viewer = await run_in_threadpool(viewer_of_request, request, store)
        body = await json_body(request, LARGEST_QUERY)
        from_pipeline = request.headers.get("user-agent", "").startswith("wandb-core")
        shares_run = "x-wandb-use-async-filestream" in request.headers
        base_url = str(request.base_url).rstrip("/")
        try:
            async with slots[viewer.user_id]:
                result = await run_in_threadpool(executor.run, viewer, body, base_url, from_pipeline, shares_run)
        except BadInput as error:
            if not _shows_only_the_status(request):
                raise
            result = ExecutionResult(error_body(error), error.status)
        as_success = result.status == BadInput.status and _shows_only_the_status(request)
        return GraphQLResponse(result.body, 200 if as_success else result.status)

    async def drop_telemetry(request: Request) -> Response:
        """Takes the SDK's telemetry and keeps nothing. In protobuf's form of OpenTelemetry, an empty body is a yes."""
        async for _ in request.stream():
            pass
        kind = request.headers.get("content-type", "")
        return Response(b"" if "protobuf" in kind else b"{}", media_type=kind or "application/json")

    return Starlette(
        routes=[
            Route("/graphql", graphql, methods=["POST"]),
            *file_stream.routes(store),
            *file_endpoints.routes(store),
            *activity_log.routes(store),
            *identity_tokens.routes(store, openid),
            Route("/sdk/otel/v1/metrics", drop_telemetry, methods=["POST"]),
            Route("/sdk/otel/v1/logs", drop_telemetry, methods=["POST"]),
            *health.routes(store, metrics),
            *routes.routes(endpoints, LiveUpdates(store, ending), openid),
        ],
        middleware=[Middleware(middleware.SecurityMiddleware, tracker=tracker, own=own, watchers=watchers)],
        exception_handlers={**middleware.EXCEPTION_HANDLERS, 404: endpoints.not_found},
        lifespan=lifespan,
    )


def _shows_only_the_status(request: Request) -> bool:
    """Whether it comes from the public API of an older SDK, which sends requests from Python, not through wandb-core.
    Of a 'bad request' it often shows the status alone.
    """
    headers = request.headers
    in_python = "deflate" in headers.get("accept-encoding", "")
    return in_python and headers.get("user-agent", "").startswith("W&B Public Client")

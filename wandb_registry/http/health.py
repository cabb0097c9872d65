"""What those who run a server ask of it: whether it lives, whether its store answers, and how it fares."""

import asyncio
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from wandb_registry.errors import NotFound
from wandb_registry.http.authentication import viewer_of_request
from wandb_registry.http.metrics import Metrics
from wandb_registry.store import Store

READY_SECONDS = 5.0  # that records and contents may take to answer


def routes(store: Store, metrics: Metrics | None) -> list[Route]:
    async def alive(_request: Request) -> Response:
        return JSONResponse({})

    readiness = Readiness(lambda: _ask(store))

    async def ready(_request: Request) -> Response:
        problem = await readiness.problem()
        return JSONResponse({"error": problem} if problem else {}, 503 if problem else 200)

    async def show_metrics(request: Request) -> Response:
        """For any account: they name no project and nobody. A service account without a team is enough."""
        await run_in_threadpool(viewer_of_request, request, store)
        if metrics is None:
            raise NotFound("This server keeps no metrics. It does if it is started with 'serve --metrics'.")
        return Response(await run_in_threadpool(metrics.text), media_type="text/plain; version=0.0.4")

    return [Route("/healthz", alive), Route("/readyz", ready), Route("/metrics", show_metrics)]


def _ask(store: Store) -> None:
    with store.db.read() as db:
        db.value("select max(id) from project")
    store.blobs.check_reachable()


class Readiness:
    """Asks the store, one question at a time: a disk that hangs takes one thread, however often somebody asks."""

    def __init__(self, ask: Callable[[], None], seconds: float = READY_SECONDS):
        self._ask, self._seconds = ask, seconds
        self._question: asyncio.Task[None] | None = None

    async def problem(self) -> str | None:
        """Why the store can't be used, in a sentence; None if it can."""
        if self._question is None or self._question.done():
            self._question = asyncio.create_task(run_in_threadpool(self._ask))
        try:
            async with asyncio.timeout(self._seconds):
                await asyncio.shield(self._question)
        except TimeoutError:
            return f"The store doesn't answer within {self._seconds:g} seconds."
        except Exception as error:
            return f"The store can't be read: {error}."
        return None

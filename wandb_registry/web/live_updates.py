"""Tells open pages that the records changed, so that what goes on grows on them without being loaded anew.

One stream of server-sent events for each page that shows something under way. An event says only that there is
something to ask for: what it is, the page asks as its reader, so that nothing is told to whom it doesn't concern.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from wandb_registry.errors import NotSignedIn
from wandb_registry.http.authentication import viewer_of_session
from wandb_registry.store import Store

PAUSE = 1.0  # seconds between two events, however much is written
QUIET = 20  # pauses after which there is an event all the same: a run that has gone silent has crashed
HEADERS = {"cache-control": "no-store"}


class LiveUpdates:
    """The streams of one store, which end when its server does."""

    def __init__(self, store: Store, ending: Callable[[], bool]):
        self.store, self.ending = store, ending

    async def stream(self, request: Request) -> Response:
        if await run_in_threadpool(viewer_of_session, request, self.store) is None:
            raise NotSignedIn("Sign in to see what goes on.")
        return StreamingResponse(self._events(request), media_type="text/event-stream", headers=HEADERS)

    async def _events(self, request: Request) -> AsyncIterator[str]:
        """The first event comes at once: whoever comes back asks for what was missed."""
        yield "retry: 1000\n"
        seen, quiet = -1, 0
        while not self.ending():
            if quiet == QUIET and await run_in_threadpool(viewer_of_session, request, self.store) is None:
                return
            if self.store.db.changes != seen or quiet == QUIET:
                seen, quiet = self.store.db.changes, 0
                yield "data: changed\n\n"
            quiet += 1
            await asyncio.sleep(PAUSE)

"""Tells open pages that records have changed, so that pages of running runs update themselves.

Each such page keeps one stream of server-sent events open. An event carries no data. The page then asks for its own
content in its reader's session, so nobody learns what they may not see.
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
QUIET = 20  # pauses without a change after which an event is sent anyway: a silent run may count as crashed by now
HEADERS = {"cache-control": "no-store"}


class LiveUpdates:
    """The streams of one store. They end when `ending()` says that the server stops."""

    def __init__(self, store: Store, ending: Callable[[], bool]):
        self.store, self.ending = store, ending

    async def stream(self, request: Request) -> Response:
        if await run_in_threadpool(viewer_of_session, request, self.store) is None:
            raise NotSignedIn("Sign in to see what goes on.")
        return StreamingResponse(self._events(request), media_type="text/event-stream", headers=HEADERS)

    async def _events(self, request: Request) -> AsyncIterator[str]:
        """The first event is sent at once, so that a page which reconnects asks for what it has missed."""
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

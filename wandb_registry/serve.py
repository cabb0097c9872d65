"""Runs the server of a store on a socket that already listens, until it is stopped or idle for too long."""

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

import uvicorn

from wandb_registry.app import create_app
from wandb_registry.http import request_log
from wandb_registry.http.connections import connection_class
from wandb_registry.http.metrics import Metrics
from wandb_registry.http.middleware import RequestTracker
from wandb_registry.http.own_address import OwnAddress
from wandb_registry.listener import Listener, holds_lock, start_lock
from wandb_registry.model.accounts import identities, users
from wandb_registry.openid.settings import Settings
from wandb_registry.store import Store, open_store
from wandb_registry.store_folder import api_key, is_shared, log_path

STORE_CHECK = 2.0  # seconds, after which a server in the background looks whether its store is still there
LARGEST_LOG = 2**20  # bytes, after which the log goes on in a new file, beside the last one


@dataclass(frozen=True)
class Options:
    """How a store is served. With a `url`, it says where to look; `idle_exit`: after so many seconds it ends."""

    own: OwnAddress
    trusted_proxies: tuple[str, ...] = ()  # their addresses and networks: X-Forwarded-* of nobody else counts
    idle_exit: float | None = None
    url: str | None = None
    drain: int = 10  # seconds that open requests may take to end after SIGTERM
    keeps_metrics: bool = False
    logs_json: bool = False  # one line a request too
    openid: Settings | None = None  # who else signs in


def serve(folder: Path, listener: Listener, options: Options) -> None:
    """Serves until the process ends, which releases the listener's lock."""
    url, idle_exit = options.url, options.idle_exit
    store = open_store(folder)
    store.blobs.check_reachable()
    if options.openid:
        with store.db.read() as db:
            identities.check(db, options.openid)
    if not is_shared(folder):
        store.blobs.clear_incoming()
    _set_up_log(None if url else log_path(folder), options.logs_json)
    if url:
        token = first_login_token(store)
        print(f"Registry  {url}\nData      {folder}\nOpen      {url}/login?token={token}\n", flush=True)
    tracker = RequestTracker()
    metrics = Metrics(store, lambda: tracker.in_flight) if options.keeps_metrics else None
    watchers = [*([metrics.note] if metrics else []), *([request_log.note] if options.logs_json else [])]

    @asynccontextmanager
    async def lifespan(_app):
        watching = _leave_when_idle(server, folder, listener.lock, tracker, idle_exit) if idle_exit else None
        watcher = asyncio.create_task(watching) if watching else None
        yield
        if watcher:
            watcher.cancel()
        store.db.close()

    connection = connection_class()
    app = create_app(
        store, tracker, options.own, lifespan, lambda: server.should_exit, metrics, watchers, options.openid
    )
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=connection,
            backlog=connection.idle.most,  # the server accepts a whole backlog before it reads from any of them
            ws="none",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(options.trusted_proxies),  # by default uvicorn believes each process of this machine
            forwarded_allow_ips=list(options.trusted_proxies),
            timeout_graceful_shutdown=options.drain,
        )
    )
    server.run(sockets=[listener.socket])


def _set_up_log(path: Path | None, as_json: bool) -> None:
    """Logs refusals and failures: to the terminal of a server in the foreground, else to a file of limited size."""
    handler = RotatingFileHandler(path, maxBytes=LARGEST_LOG, backupCount=1) if path else logging.StreamHandler()
    handler.setFormatter(request_log.JSONLines() if as_json else logging.Formatter("%(asctime)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    request_log.log.setLevel(logging.INFO if as_json else logging.WARNING)


def first_login_token(store: Store) -> str:
    """A token for the person who runs the registry."""
    with store.db.write() as db:
        viewer = users.sign_in(db, api_key(store.folder))
        return users.new_login_token(db, viewer.user_id, viewer.until)


async def _leave_when_idle(
    server: uvicorn.Server, folder: Path, lock: int, tracker: RequestTracker, seconds: float
) -> None:
    """Ends an idle server under the start lock: a process that wants a server meanwhile waits, then starts its own.

    Ends it too when its store is gone, as with a temporary clone.
    """
    while True:
        await asyncio.sleep(min(STORE_CHECK, max(0.05, seconds - tracker.idle_seconds)))
        if not holds_lock(folder, lock):
            server.should_exit = True
            return
        if tracker.idle_seconds >= seconds and start_lock(folder, wait=False) is not None:
            server.should_exit = True
            return

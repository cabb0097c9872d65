"""Runs the server of a store on a socket that already listens, until it is stopped or idle for too long."""

import asyncio
import gc
import logging
import os
import socket
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

import uvicorn

from wandb_registry.app import create_app
from wandb_registry.http import metrics, request_log
from wandb_registry.http.connections import connection_class
from wandb_registry.http.metrics import Metrics
from wandb_registry.http.middleware import RequestTracker
from wandb_registry.http.own_address import OwnAddress
from wandb_registry.listener import BACKLOG, Listener, holds_lock, start_lock
from wandb_registry.model.accounts import identities, users
from wandb_registry.openid.settings import Settings
from wandb_registry.store import Store, claim_bucket, open_store
from wandb_registry.store_folder import api_key, is_shared, log_path
from wandb_registry.workers import Worker, Workers, when_orphaned

STORE_CHECK = 2.0  # seconds, after which a server in the background looks whether its store is still there
LARGEST_LOG = 2**20  # bytes, after which the log goes on in a new file, beside the last one
SHARED_AT_ONCE = 2  # connections that one of several workers accepts before the others may


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
    workers: int = 1  # processes that accept requests


def serve(folder: Path, listener: Listener, options: Options, opened: Callable[[], None]) -> None:
    """Serves until the process ends, which releases the listener's lock. Calls `opened` once the store is found fit."""
    if options.workers == 1:
        store = _opened(folder, options)
        opened()
        _serve_here(store, listener, options)
        return
    if os.fork() == 0:  # the process that forks workers opens no store; what is wrong with it is told as by any server
        _opened(folder, options)
        os._exit(0)
    if status := os.waitstatus_to_exitcode(os.wait()[1]):
        sys.exit(status)
    opened()
    _set_up_log(folder, options, None)
    forget = metrics.begin_shared(folder) if options.keeps_metrics else _nothing
    _load()

    def work(worker: Worker) -> None:
        _set_up_log(folder, options, worker)
        _serve_here(open_store(folder), listener, options, worker)

    Workers(options.workers, listener, options.drain, work, forget).run()


def _opened(folder: Path, options: Options) -> Store:
    """The store of a server that begins, found fit to be served; prints where to look."""
    url = options.url
    store = open_store(folder)
    store.blobs.check_reachable()
    if store.bucket:
        claim_bucket(store.bucket, store.db, store.signer)
    if options.openid:
        with store.db.read() as db:
            identities.check(db, options.openid)
    if not is_shared(folder):
        store.blobs.clear_incoming()
    _set_up_log(folder, options, None)
    if url:
        token = first_login_token(store)
        print(f"Registry  {url}\nData      {folder}\nOpen      {url}/login?token={token}\n", flush=True)
    return store


def _load() -> None:
    """Loads what all workers need once, before they part."""
    from wandb_registry.db import postgresql
    from wandb_registry.storage import bucket

    assert postgresql
    assert bucket


def _nothing(_process: int) -> None:
    pass


def _serve_here(store: Store, listener: Listener, options: Options, worker: Worker | None = None) -> None:
    """Serves in this process."""
    folder, idle_exit = store.folder, options.idle_exit
    tracker = RequestTracker()
    counts = Metrics(store, lambda: tracker.in_flight) if options.keeps_metrics else None
    watchers = [*([counts.note] if counts else []), *([request_log.note] if options.logs_json else [])]

    @asynccontextmanager
    async def lifespan(_app):
        watching = _leave_when_idle(server, folder, listener.lock, tracker, idle_exit) if idle_exit else None
        watcher = asyncio.create_task(watching) if watching else None
        asker = asyncio.create_task(_rechecks(store, options.openid)) if options.openid else None
        if worker:
            when_orphaned(worker.lifeline, end)
        yield
        for task in (watcher, asker):
            if task:
                task.cancel()
        store.db.close()

    def end() -> None:
        server.should_exit = True

    connection = connection_class()
    app = create_app(
        store, tracker, options.own, lifespan, lambda: server.should_exit, counts, watchers, options.openid
    )
    server = Server(
        uvicorn.Config(
            app,
            http=connection,
            # the server accepts so many connections before it reads from any of them
            backlog=SHARED_AT_ONCE if worker else connection.idle.most,
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
    gc.freeze()  # code and templates stay: looking through them for garbage takes longer than most pages
    server.run(sockets=[listener.socket])


async def _rechecks(store: Store, settings: Settings) -> None:
    """Asks the provider again about those who signed in, if people sign in at one."""
    if settings.provider:
        from wandb_registry.web.signing_in.rechecks import Rechecks  # here, for those who lack the extra `team`

        await Rechecks(store, settings).run()


class Server(uvicorn.Server):
    """uvicorn's, with as many connections that wait as before: it would set that to the number it accepts at once."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(max(BACKLOG, self.config.backlog))


def _set_up_log(folder: Path, options: Options, worker: Worker | None) -> None:
    """Logs refusals and failures: to the terminal of a server in the foreground, else to a file of limited size."""
    path = None if options.url else log_path(folder)
    handler = RotatingFileHandler(path, maxBytes=LARGEST_LOG, backupCount=1) if path else logging.StreamHandler()
    number = worker.number if worker else None
    text = logging.Formatter(f"%(asctime)s {f'worker {number}: ' if number else ''}%(message)s")
    handler.setFormatter(request_log.JSONLines(number) if options.logs_json else text)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    request_log.log.setLevel(logging.INFO if options.logs_json else logging.WARNING)


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

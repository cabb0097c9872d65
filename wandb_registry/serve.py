"""Runs the server of a store on a socket that already listens, until it is told to stop or nobody asks any more."""

import asyncio
import logging
from contextlib import asynccontextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

import uvicorn

from wandb_registry.app import create_app
from wandb_registry.http.connections import protocol
from wandb_registry.http.middleware import LOOPBACK_NAMES, Activity
from wandb_registry.listener import Listener, start_lock
from wandb_registry.model.accounts import users
from wandb_registry.store import Store, open_store
from wandb_registry.store_folder import api_key, log_path

LARGEST_LOG = 2**20  # then it goes on in a new file, beside the one before


def serve(folder: Path, listener: Listener, host: str, idle_exit: float | None, url: str | None = None) -> None:
    """Serves until the process ends, which alone lets go of the listener's lock. With a `url`, says where to look."""
    store = open_store(folder)
    store.blobs.clear_incoming()
    _keep_log(None if url else log_path(folder))
    if url:
        token = first_login_token(store)
        print(f"Registry  {url}\nData      {folder}\nOpen      {url}/login?token={token}\n", flush=True)
    activity = Activity()

    @asynccontextmanager
    async def lifespan(_app):
        watcher = asyncio.create_task(_leave_when_idle(server, folder, activity, idle_exit)) if idle_exit else None
        yield
        if watcher:
            watcher.cancel()
        store.db.close()

    connection, loopback = protocol(), host in LOOPBACK_NAMES
    app = create_app(store, activity, loopback, lifespan, ending=lambda: server.should_exit)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=connection,
            backlog=connection.waiting.most,  # so many are accepted before the first of them is looked at
            ws="none",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
    )
    server.run(sockets=[listener.socket])


def _keep_log(path: Path | None) -> None:
    """Writes down refusals and mistakes: for a server in the foreground on its terminal, else in a file that no client
    can make grow without end.
    """
    handler = RotatingFileHandler(path, maxBytes=LARGEST_LOG, backupCount=1) if path else logging.StreamHandler()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", handlers=[handler])


def first_login_token(store: Store) -> str:
    """A token for the person who runs the registry."""
    with store.db.write() as db:
        return users.new_login_token(db, users.sign_in(db, api_key(store.folder)).user_id)


async def _leave_when_idle(server: uvicorn.Server, folder: Path, activity: Activity, seconds: float) -> None:
    """Ends an idle server while nobody is starting one: who looks for it meanwhile waits, then starts the next."""
    while True:
        await asyncio.sleep(max(0.05, seconds - activity.idle_seconds))
        if activity.idle_seconds >= seconds and start_lock(folder, wait=False) is not None:
            server.should_exit = True
            return

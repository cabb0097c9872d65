"""Finds, starts and stops the server of a store. It uses the standard library alone, so a stage imports it quickly.

The process that starts a server takes the store's lock and listens on the port, then passes both to the server as open
descriptors. So the port accepts connections before anybody learns its address: they wait in the queue while the server
imports its modules. The kernel frees the lock and the port when the server ends, however it ends.
"""

import errno
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

from wandb_registry.defaults import TEAM
from wandb_registry.listener import is_served, listen, read_server_info, starting, write_server_info
from wandb_registry.machine import Machine
from wandb_registry.store_folder import API_KEY, DaemonError, api_key, log_path, prepare

START_SECONDS = 60
ANSWER_SECONDS = 10


@dataclass(frozen=True)
class Server:
    """A running server, and the account of the person who runs it."""

    url: str
    api_key: str
    entity: str
    pid: int
    machine: Machine


def ensure(store: Path, wait: bool = True) -> Server:
    """Returns the running server of this store, and starts it if there is none. Many processes may call it at once.

    `wait=False` returns as soon as the address is known: the first request then waits for the server, not the caller.
    Raises DaemonError where no server can be started.
    """
    store = Path(store).absolute()
    prepare(store)
    try:
        with starting(store):
            server = find(store)
            if server and not _answers(server):
                _refuse_other_machine(store, server)
                stop(store)
                server = None
            if server is None:
                server = _start(store)
                if wait:
                    _wait_for_answer(store, server)
    except OSError as error:
        todo = {
            errno.ENOSPC: " Free some space on its disk.",
            errno.EACCES: " Make it writable, or choose another with REGISTRY_DIR.",
            errno.EROFS: " Choose another with REGISTRY_DIR.",
        }.get(error.errno or 0, "")
        raise DaemonError(f"The registry of {store} can't be started: {error.strerror or error}.{todo}") from None
    return server


def find(store: Path) -> Server | None:
    """The running server of this store; None if there is none."""
    store = Path(store).absolute()
    info = read_server_info(store) if is_served(store) else None
    if info is None:
        return None
    try:
        return Server(info.url, api_key(store), TEAM, info.pid, info.machine)
    except OSError:
        return None


def stop(store: Path) -> bool:
    """Ends the server of this store and waits for its end. False if none was running. Raises DaemonError."""
    store = Path(store).absolute()
    server = find(store)
    if server is None:
        return False
    if server.machine.processes != Machine.here().processes:  # its id may be anybody's here
        raise DaemonError(
            f"The server of {store} (process {server.pid}) runs on the machine {server.machine.host}. Stop it there."
        )
    for number, seconds in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        try:
            os.kill(server.pid, number)
        except ProcessLookupError:
            pass
        except PermissionError:
            raise DaemonError(
                f"The server of {store} (process {server.pid}) belongs to another user of this machine. Stop it there."
            ) from None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not is_served(store):
                return True
            time.sleep(0.02)
    raise DaemonError(f"The server of {store} (process {server.pid}) didn't end. Stop it by hand.")


def login_url(store: Path) -> str | None:
    """An address that opens the registry in a browser and signs in, once; None if no server is running.

    Raises DaemonError if the server gives no address.
    """
    server = find(store)
    if server is None:
        return None
    request = urllib.request.Request(
        f"{server.url}/login/token", method="POST", headers={"Authorization": f"Bearer {server.api_key}"}
    )
    try:
        with _open(request, ANSWER_SECONDS) as answer:
            return json.load(answer)["address"]  # the public one, where the server was told one
    except OSError as error:
        raise DaemonError(f"The registry at {server.url} gave no address to sign in with: {error}.") from None


def _refuse_other_machine(store: Path, server: Server) -> None:
    """Raises DaemonError if the server, which doesn't answer, runs on another machine that shares the folder."""
    host, here = server.machine.host, Machine.here()
    if (server.machine.processes, server.machine.network) != (here.processes, here.network):
        port = server.url.rpartition(":")[2]
        raise DaemonError(
            f"The registry of {store} runs on the machine {host} and can't be reached from {here.host}. "
            "Run `wandb-registry stop` and `wandb-registry serve --host 0.0.0.0` there, and set "
            f"WANDB_BASE_URL=http://{host}:{port} and WANDB_API_KEY here, which {store / API_KEY} holds."
        )


def _start(store: Path) -> Server:
    listener = listen(store)
    package_root = str(Path(__file__).parent.parent)
    search = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-P", "-m", "wandb_registry", "serve"]
    handed = ["--lock-fd", str(listener.lock), "--socket-fd", str(listener.socket.fileno())]
    try:
        log_path(store).unlink(missing_ok=True)
        with log_path(store).open("a") as log:  # the server opens it too, for its own log
            process = subprocess.Popen(
                command + handed,
                pass_fds=(listener.lock, listener.socket.fileno()),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=store,
                env=os.environ | {"PYTHONPATH": search, "REGISTRY_DIR": str(store)},
            )
        try:
            url = write_server_info(store, "127.0.0.1", listener.port, process.pid)
        except OSError:  # such as a full disk: without server.json nobody can find or stop the server
            process.kill()
            process.wait()
            raise
        process.returncode = 0  # the server outlives this process on purpose: Popen shall not warn about that
    finally:
        listener.socket.close()
        os.close(listener.lock)
    return Server(url, api_key(store), TEAM, process.pid, Machine.here())


def _wait_for_answer(store: Path, server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while is_served(store):  # asked first: once the server has died, another program may answer at its port
        if _answers(server):
            return
        if time.monotonic() > deadline:
            raise DaemonError(
                f"The registry of {store} started, but doesn't answer at {server.url}. Look at {log_path(store)}."
            )
    lines = log_path(store).read_text(errors="replace").strip().splitlines()
    raise DaemonError(
        lines[-1].removeprefix("wandb-registry: ")
        if lines
        else f"The registry of {store} ended at its start, without a word."
    )


def _answers(server: Server) -> bool:
    if server.machine.network != Machine.here().network:  # somebody else may answer at this address
        return False
    try:
        with _open(urllib.request.Request(f"{server.url}/healthz"), ANSWER_SECONDS) as answer:
            return answer.status == 200
    except OSError:
        return False


def _open(request: urllib.request.Request, seconds: float) -> HTTPResponse:
    """Opens a request, past any proxy that the environment names: the server is on this machine."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=seconds)

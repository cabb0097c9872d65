"""Finds, starts and stops the server of a store. Only the standard library, so that a stage can import it at no cost.

Whoever starts a server binds its port and takes the store's lock first, then hands both over: an address is never
given out before connections to it are accepted (they wait in the queue while the server imports itself), and the
kernel lets go of both when the server ends, however it ends.
"""

import errno
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

from wandb_registry.defaults import TEAM

KEY = "api-key"  # the file with the API key of the person who runs the registry
FIRST_PORTS = range(8090, 8100)
START_SECONDS = 60
ANSWER_SECONDS = 10
UNREAD_MS = 180_000  # that an answer may wait for a client to read on


class DaemonError(Exception):
    """The server of a store can't be found, started or stopped; the text says why and what to do."""


@dataclass(frozen=True)
class Server:
    """A running server, and the account of the person who runs it."""

    url: str
    api_key: str
    entity: str
    pid: int


@dataclass(frozen=True)
class Claim:
    """The right to serve a store: its lock, and a socket that already listens."""

    lock: int
    socket: socket.socket

    @property
    def port(self) -> int:
        return self.socket.getsockname()[1]


def default_store() -> Path:
    """`REGISTRY_DIR`, else `.registry` in the current folder."""
    return Path(os.environ.get("REGISTRY_DIR") or ".registry").absolute()


def ensure(store: Path, wait: bool = True) -> Server:
    """The running server of this store, started if need be. Safe from many processes at once.

    `wait=False` returns as soon as the address is known: the first request then waits for the server, not the caller.
    """
    store = Path(store).absolute()
    prepare(store)
    try:
        with alone(store):
            server = find(store)
            if server and not _answers(server):
                stop(store)
                server = None
            if server is None:
                server = _start(store)
                if wait:
                    _wait_for_answer(store, server)
    except OSError as error:
        todo = " Free some space on its disk." if error.errno == errno.ENOSPC else ""
        raise DaemonError(f"The registry of {store} can't be started: {error.strerror or error}.{todo}") from None
    return server


def find(store: Path) -> Server | None:
    """The running server of this store, if it has one."""
    store = Path(store).absolute()
    if not _is_served(store):
        return None
    try:
        card = json.loads((store / "server.json").read_text())
        return Server(card["url"], key(store), TEAM, card["pid"])
    except (OSError, ValueError, KeyError):
        return None


def stop(store: Path) -> bool:
    """Ends the server of this store and waits for its end. False if none was running."""
    store = Path(store).absolute()
    server = find(store)
    if server is None:
        return False
    for how, seconds in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        try:
            os.kill(server.pid, how)
        except ProcessLookupError:
            pass
        except PermissionError:
            raise DaemonError(
                f"The server of {store} (process {server.pid}) belongs to another user of this machine. Stop it there."
            ) from None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not _is_served(store):
                return True
            time.sleep(0.02)
    raise DaemonError(f"The server of {store} (process {server.pid}) didn't end. Stop it by hand.")


def login_url(store: Path) -> str | None:
    """An address that opens the registry in a browser and signs in, once; None if no server is running."""
    server = find(store)
    if server is None:
        return None
    request = urllib.request.Request(
        f"{server.url}/login/token", method="POST", headers={"Authorization": f"Bearer {server.api_key}"}
    )
    try:
        with _open(request, ANSWER_SECONDS) as answer:
            return f"{server.url}/login?token={json.load(answer)['token']}"
    except OSError as error:
        raise DaemonError(f"The registry at {server.url} gave no address to sign in with: {error}.") from None


def key(store: Path) -> str:
    """The API key of the person who runs the registry, made with the store."""
    return private_text(Path(store) / KEY, _new_key)


def replace_key(store: Path) -> str:
    """Another API key in place of that person's, which opens nothing any more."""
    made = _new_key()
    _private_file(store / KEY, made).replace(store / KEY)
    return made


# ---- for the server itself ----


def prepare(store: Path) -> None:
    """Makes the store's folder, for this user only and unknown to git."""
    try:
        if not store.is_dir():
            store.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync(store.parent)  # else a power cut could take the whole store
        ignore = store / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        key(store)
    except OSError as error:
        raise DaemonError(
            f"The registry can't write to its folder {store}: {error.strerror}. "
            "Make it writable, or choose another with REGISTRY_DIR."
        ) from None


def log_of(store: Path) -> Path:
    """Where a server that isn't in the foreground writes down what went wrong."""
    return store / "server.log"


def sync(path: Path) -> None:
    """Returns when a file's bytes, or a folder's names, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_text(path: Path, make: Callable[[], str]) -> str:
    """The text of a file that only this user may read; made once, whoever comes first."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    aside = _private_file(path, make())
    with suppress(FileExistsError):  # unlike a rename, a link fails when another process was first
        os.link(aside, path)
    aside.unlink()
    return path.read_text().strip()


def claim(store: Path, host: str = "127.0.0.1", port: int | None = None) -> Claim:
    """Takes the store's lock and a port: the given one, else the one it had last, else a free one."""
    lock = os.open(store / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    for attempt in range(10):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if attempt == 9:  # not somebody who just looked whether it is served
                os.close(lock)
                server = find(store)
                where = f" at {server.url} (process {server.pid})" if server else ""
                raise DaemonError(
                    f"{store} is already served{where}. "
                    "Stop it with 'wandb-registry stop', or choose another folder with REGISTRY_DIR."
                ) from None
            time.sleep(0.02)
    try:
        return Claim(lock, _listen(store, host, port))
    except BaseException:
        os.close(lock)
        raise


def write_card(store: Path, host: str, port: int, pid: int) -> str:
    """Says where the store is served, and answers the address. The port is kept for the next server."""
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}"
    aside = store / f"server.json.{os.getpid()}"
    try:
        aside.write_text(json.dumps({"url": url, "port": port, "pid": pid}) + "\n")
        aside.replace(store / "server.json")
    finally:
        aside.unlink(missing_ok=True)  # on a full disk
    return url


def start_lock(store: Path, wait: bool) -> int | None:
    """The lock of whoever starts or ends the server of this store; None if it is taken and we don't wait."""
    descriptor = os.open(store / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def alone(store: Path) -> Iterator[None]:
    """Nobody else starts or ends the server of this store meanwhile."""
    descriptor = start_lock(store, wait=True)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


# ---- inside ----


def _new_key() -> str:
    return secrets.token_hex(20)


def _private_file(path: Path, text: str) -> Path:
    """A file beside this one, on disk, that only this user may read."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    return aside


def _start(store: Path) -> Server:
    taken = claim(store)
    package_root = str(Path(__file__).parent.parent)
    search = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-P", "-m", "wandb_registry", "serve"]
    handed = ["--lock-fd", str(taken.lock), "--socket-fd", str(taken.socket.fileno())]
    try:
        log_of(store).unlink(missing_ok=True)
        with log_of(store).open("a") as log:  # the server writes there too, by its own hand
            process = subprocess.Popen(
                command + handed,
                pass_fds=(taken.lock, taken.socket.fileno()),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=store,
                env=os.environ | {"PYTHONPATH": search, "REGISTRY_DIR": str(store)},
            )
        try:
            url = write_card(store, "127.0.0.1", taken.port, process.pid)
        except OSError:  # a full disk: nobody could find it, or stop it
            process.kill()
            process.wait()
            raise
        process.returncode = 0  # it outlives us on purpose: nobody shall wait for it or warn about it
    finally:
        taken.socket.close()
        os.close(taken.lock)
    return Server(url, key(store), TEAM, process.pid)


def _listen(store: Path, host: str, port: int | None) -> socket.socket:
    said = None
    for candidate in [_last_port(store), *FIRST_PORTS, 0] if port is None else [port]:
        listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # inherited by what it accepts; asyncio sets it only on sockets that it made itself, and an answer that goes
        # out in two pieces would wait 40 ms for the client's acknowledgement
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # else what waits for a client that never reads keeps its socket
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)
        try:
            listening.bind((host, candidate))
            listening.listen(256)
            return listening
        except OSError as error:
            listening.close()
            said = error.strerror
            if port is not None:
                raise DaemonError(
                    f"Port {port} of {host} can't be used: {error.strerror}. "
                    "Choose another with --port, or leave --port away to get a free one."
                ) from None
    raise DaemonError(f"No port of '{host}' can be used: {said}. Is it an address of this machine?")


def _last_port(store: Path) -> int:
    try:
        return int(json.loads((store / "server.json").read_text())["port"])
    except (OSError, ValueError, KeyError):
        return FIRST_PORTS[0]


def _is_served(store: Path) -> bool:
    try:
        lock = os.open(store / "server.lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(lock)


def _wait_for_answer(store: Path, server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while _is_served(store):  # asked first: the port of a server that died may be another's, which answers
        if _answers(server):
            return
        if time.monotonic() > deadline:
            raise DaemonError(
                f"The registry of {store} started, but doesn't answer at {server.url}. Look at {log_of(store)}."
            )
    said = log_of(store).read_text(errors="replace").strip().splitlines()
    raise DaemonError(
        said[-1].removeprefix("registry: ") if said else f"The registry of {store} ended at its start, without a word."
    )


def _answers(server: Server) -> bool:
    try:
        with _open(urllib.request.Request(f"{server.url}/healthz"), ANSWER_SECONDS) as answer:
            return answer.status == 200
    except OSError:
        return False


def _open(request: urllib.request.Request, seconds: float) -> HTTPResponse:
    """Without any proxy of the environment: the server is on this machine."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=seconds)

"""What a server holds while it serves a store: the store's lock and a listening socket.

The locks are plain flock and not those of the library filelock, for two reasons. The process that starts a server
passes its lock on as an open descriptor, so that the lock is never free in between. And `is_served` tries a shared
lock, so that processes which ask at the same time don't take each other for the server.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from wandb_registry.machine import Machine
from wandb_registry.store_folder import DaemonError, is_shared

FIRST_PORTS = range(8090, 8100)
UNREAD_MS = 180_000  # how long a response may wait for a client that reads no further
LOCK_ATTEMPTS = 10  # another process's `is_served` may hold the lock for a moment
BACKLOG = 256  # connections that may wait while the server imports its modules


@dataclass(frozen=True)
class Listener:
    """The lock of a store, as an open descriptor, and a socket that already listens."""

    lock: int
    socket: socket.socket

    @property
    def port(self) -> int:
        return self.socket.getsockname()[1]


@dataclass(frozen=True)
class ServerInfo:
    """The content of the store's file server.json. An earlier version wrote no machine: it means this one."""

    url: str
    port: int
    pid: int
    machine: Machine = field(default_factory=Machine.here)


def listen(store: Path, host: str = "127.0.0.1", port: int | None = None) -> Listener:
    """Takes the store's lock and a port: the given one, else the one it had last, else a free one.

    Servers of a store whose records are in a database share the lock. Raises DaemonError where the store is served
    already or the port can't be used.
    """
    lock = _server_lock(store, fcntl.LOCK_SH if is_shared(store) else fcntl.LOCK_EX)
    try:
        return Listener(lock, _bind(store, host, port))
    except BaseException:
        os.close(lock)
        raise


@contextmanager
def unserved(store: Path) -> Iterator[None]:
    """Keeps the store from being served. Raises DaemonError where it is already."""
    with starting(store):  # a stage that wants a server meanwhile waits for that lock
        lock = _server_lock(store, fcntl.LOCK_EX)
        try:
            yield
        finally:
            os.close(lock)


def _server_lock(store: Path, operation: int) -> int:
    """Takes the lock of those who serve the store, as an open descriptor. Raises DaemonError where others have it."""
    lock = os.open(store / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    if not _lock_soon(lock, operation):
        os.close(lock)
        info = read_server_info(store)
        where = f" at {info.url} (process {info.pid})" if info else ""
        raise DaemonError(
            f"{store} is already served{where}. "
            "Stop it with 'wandb-registry stop', or choose another folder with REGISTRY_DIR."
        )
    return lock


def is_served(store: Path) -> bool:
    """Whether a server holds the store's lock."""
    try:
        lock = os.open(store / "server.lock", os.O_RDWR)
    except OSError:
        return False
    try:
        return not (_lock_soon(lock, fcntl.LOCK_EX) if is_shared(store) else _lock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB))
    finally:
        os.close(lock)


def refuse_other_machine(store: Path) -> None:
    """Raises DaemonError if a server of another machine has the store: two kernels would write one file of records."""
    if is_shared(store):
        return
    info = read_server_info(store)
    if info and info.machine.boot != Machine.here().boot and is_served(store):
        raise DaemonError(
            f"{store} is served at {info.url} by the machine {info.machine.host}, which shares this folder. "
            "Run this command there: two machines that open one database damage it."
        )


def holds_lock(store: Path, lock: int) -> bool:
    """Whether the open lock is still that of the store: its folder may have been removed, or made anew."""
    try:
        return os.path.samestat(os.fstat(lock), os.stat(store / "server.lock"))
    except OSError:
        return False


def write_server_info(store: Path, host: str, port: int, pid: int) -> str:
    """Writes server.json and returns the server's URL. The next server tries the same port first."""
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    info = ServerInfo(f"http://{shown}:{port}", port, pid)
    temporary = store / f"server.json.{os.getpid()}"
    try:
        temporary.write_text(json.dumps(asdict(info)) + "\n")
        temporary.replace(store / "server.json")
    finally:
        temporary.unlink(missing_ok=True)  # on a full disk
    return info.url


def read_server_info(store: Path) -> ServerInfo | None:
    """Where the store is served, or was last; None if it never was."""
    try:
        info = json.loads((store / "server.json").read_text())
        if "machine" in info:
            info["machine"] = Machine(**info["machine"])
        return ServerInfo(**info)
    except (OSError, ValueError, TypeError):
        return None


def start_lock(store: Path, wait: bool) -> int | None:
    """Takes the lock that only one process has which starts or ends the server. Returns it as an open descriptor.

    With `wait=False` returns None if another process has it.
    """
    descriptor = os.open(store / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
    if _lock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)):
        return descriptor
    os.close(descriptor)
    return None


@contextmanager
def starting(store: Path) -> Iterator[None]:
    """Keeps other processes from starting or ending the server of this store."""
    descriptor = start_lock(store, wait=True)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock(descriptor: int, operation: int) -> bool:
    """Asks flock for a lock; False if another process has it and the operation doesn't wait."""
    try:
        fcntl.flock(descriptor, operation)
        return True
    except BlockingIOError:
        return False


def _lock_soon(descriptor: int, operation: int) -> bool:
    for _ in range(LOCK_ATTEMPTS):
        if _lock(descriptor, operation | fcntl.LOCK_NB):
            return True
        time.sleep(0.02)
    return False


def _bind(store: Path, host: str, port: int | None) -> socket.socket:
    reason = None
    for candidate in [_last_port(store), *FIRST_PORTS, 0] if port is None else [port]:
        listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted connections inherit it; asyncio sets it only on sockets that it makes itself. Without it a response
        # that goes out in two pieces waits 40 ms for the client's acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # else a client that never reads keeps its connection
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)
        try:
            listening.bind((host, candidate))
            listening.listen(BACKLOG)
            return listening
        except OSError as error:
            listening.close()
            reason = error.strerror
            if port is not None:
                raise DaemonError(
                    f"Port {port} of {host} can't be used: {error.strerror}. "
                    "Choose another with --port, or leave --port away to get a free one."
                ) from None
    raise DaemonError(f"No port of '{host}' can be used: {reason}. Is it an address of this machine?")


def _last_port(store: Path) -> int:
    info = read_server_info(store)
    return info.port if info else FIRST_PORTS[0]

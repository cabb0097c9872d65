"""The command line's parser, errors and exit status, and the commands `serve`, `stop` and `open-url`."""

import argparse
import ipaddress
import os
import socket
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from wandb_registry import daemon, listener
from wandb_registry.cli import accounts, command, maintenance, move
from wandb_registry.errors import RegistryError, from_system
from wandb_registry.http import own_address
from wandb_registry.store_folder import (
    BUCKET_VARIABLE,
    DATABASE_VARIABLE,
    ENDPOINT_VARIABLE,
    DaemonError,
    bucket_address,
    database_url,
    default_store,
    keep_bucket,
    keep_database_url,
    prepare,
    taking_back_notes,
)

if TYPE_CHECKING:
    from wandb_registry.openid.settings import Settings

IDLE_VARIABLE = "REGISTRY_IDLE_SECONDS"
MOST_WORKERS = 64
IDLE_SECONDS = 900  # after which a server that a stage started exits; one in the foreground stays


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    store = default_store()
    try:
        return options.run(store, options) or 0
    except (DaemonError, RegistryError) as error:
        return _say(str(error))
    except OSError as error:
        return _say(str(from_system(error) or f"{error.filename or store}: {error.strerror}."))
    except KeyboardInterrupt:
        return 130
    except sqlite3.Error as error:
        return _say(str(from_system(error) or f"The database in {store} can't be used: {error}."))


def _say(sentence: str) -> int:
    print(f"wandb-registry: {sentence}", file=sys.stderr)
    return 1


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; each option's help says what it does."""
    top = argparse.ArgumentParser(
        prog="wandb-registry",
        description="A W&B-compatible registry for one machine. Its data lies in the folder that REGISTRY_DIR names, "
        "or in .registry under the current folder; all commands work beside a running server.",
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    serve = commands.add_parser("serve", help="serve the store in the foreground")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1)")
    serve.add_argument("--port", type=_port, help="port (default: the one it had last, or a free one)")
    serve.add_argument(
        "--database",
        metavar="URL",
        help="keep records in this PostgreSQL: postgresql://USER@HOST/DATABASE "
        "(default: REGISTRY_DATABASE, or what the store was served with last, else a file)",
    )
    serve.add_argument(
        "--bucket",
        metavar="s3://BUCKET/PREFIX",
        help="keep contents in this bucket, laid out as a DVC remote "
        "(default: REGISTRY_BUCKET, or what the store was served with last, else a folder)",
    )
    serve.add_argument(
        "--bucket-endpoint",
        metavar="URL",
        help="where that bucket is served, by a name that clients reach too "
        "(default: REGISTRY_BUCKET_ENDPOINT, else Amazon's S3)",
    )
    serve.add_argument(
        "--public-url",
        type=_public_url,
        metavar="URL",
        help="the address that a proxy passes on to this server, such as https://wandb.example.com/wandb: "
        "every address that is given out is below it",
    )
    serve.add_argument(
        "--trusted-proxy",
        type=_network,
        action="append",
        default=[],
        metavar="ADDRESS",
        help="an address or a network of proxies, whose X-Forwarded-For and -Proto are believed; may be repeated",
    )
    serve.add_argument(
        "--openid",
        type=Path,
        metavar="FILE",
        help="let people sign in by OpenID Connect, and CI by identity tokens, as this file says; see docs/team.md",
    )
    serve.add_argument("--metrics", action="store_true", help="count requests, for Prometheus to read at /metrics")
    serve.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="json: one line for each request and refusal"
    )
    serve.add_argument(
        "--drain", type=_seconds, default=10, metavar="SECONDS", help="what open requests may take to end after SIGTERM"
    )
    serve.add_argument(
        "--workers",
        type=_workers,
        default=1,
        metavar="N",
        help="processes that accept requests, for records in PostgreSQL and contents in a bucket; "
        "whichever ends is replaced (default: 1)",
    )
    serve.add_argument("--idle-exit", type=float, metavar="SECONDS", help="leave after so long without a request")
    serve.add_argument("--lock-fd", type=int, help=argparse.SUPPRESS)
    serve.add_argument("--socket-fd", type=int, help=argparse.SUPPRESS)
    serve.set_defaults(run=_serve)

    command(commands, "stop", "end the server of the store", _stop)
    command(commands, "open-url", "print an address that opens the registry in a browser, signed in, once", _open_url)

    accounts.add_to(commands)
    maintenance.add_to(commands)
    move.add_to(commands)
    return top


def _port(text: str) -> int:
    if text.isascii() and text.isdecimal() and int(text) < 2**16:
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is not a port: they go from 0 to 65535.")


def _seconds(text: str) -> int:
    if text.isascii() and text.isdecimal() and int(text) <= 24 * 3600:
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds, from 0 to a day.")


def _workers(text: str) -> int:
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST_WORKERS:
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is no number of workers, from 1 to {MOST_WORKERS}.")


def _public_url(text: str) -> SplitResult:
    try:
        return own_address.public_url(text)
    except RegistryError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is neither an address nor a network, as 10.0.0.0/8 is.") from None


def _serve(store: Path, options: argparse.Namespace) -> None:
    openid = _openid(options.openid) if options.openid else None
    if options.database:
        os.environ[DATABASE_VARIABLE] = options.database
    if options.bucket_endpoint and not (options.bucket or os.environ.get(BUCKET_VARIABLE)):
        raise DaemonError("--bucket-endpoint says where a bucket is: name it with --bucket s3://BUCKET/PREFIX.")
    if options.bucket:
        os.environ[BUCKET_VARIABLE] = options.bucket
    if options.bucket_endpoint:
        os.environ[ENDPOINT_VARIABLE] = options.bucket_endpoint
    prepare(store)
    with taking_back_notes(store) as keep_notes:
        if url := database_url(store):
            keep_database_url(store, url)
        if bucket := bucket_address(store):
            keep_bucket(store, bucket)
        _listen_and_serve(store, options, openid, keep_notes)


def _listen_and_serve(
    store: Path, options: argparse.Namespace, openid: "Settings | None", opened: Callable[[], None]
) -> None:
    if options.workers > 1:
        _check_workers(store, options)
    started_by_a_stage = options.socket_fd is not None
    if started_by_a_stage:
        listening = listener.Listener(options.lock_fd, socket.socket(fileno=options.socket_fd))
        url = None
    else:
        with listener.starting(store):
            listening = listener.listen(store, options.host, options.port)
            url = listener.write_server_info(store, options.host, listening.port, os.getpid())
    idle = options.idle_exit
    if idle is None and (started_by_a_stage or IDLE_VARIABLE in os.environ):
        idle = _idle_seconds()

    from wandb_registry.serve import Options, serve

    public = options.public_url
    own = own_address.OwnAddress(options.host in own_address.LOOPBACK_NAMES, public)
    shown = public.geturl() if public and url else url
    logs_json = options.log_format == "json"
    proxies = tuple(options.trusted_proxy)
    how = (options.drain, options.metrics, logs_json, openid, options.workers)
    serve(store, listening, Options(own, proxies, idle, shown, *how), opened)


def _check_workers(store: Path, options: argparse.Namespace) -> None:
    """Raises DaemonError where several processes can't serve the store as one."""
    lacking = None
    if database_url(store) is None:
        lacking = (
            "records in PostgreSQL (--database): those who write into one file wait for each other by trying again, "
            "and open pages hear of no other process's writes"
        )
    elif bucket_address(store) is None:
        lacking = "contents in a bucket (--bucket): an upload in parts to a folder is put together by one process"
    elif options.idle_exit is not None or IDLE_VARIABLE in os.environ:
        lacking = f"no --idle-exit and no {IDLE_VARIABLE}: none of them knows how long all were idle"
    if lacking:
        raise DaemonError(f"--workers {options.workers} needs {lacking}.")


def _openid(file: Path) -> "Settings":
    try:
        from wandb_registry.openid import provider, settings  # here alone: the packages take half a second to load
    except ImportError:
        raise RegistryError(
            "Signing in by OpenID Connect needs one more package: pip install 'dvc-wandb[team]'."
        ) from None
    assert provider
    return settings.read(file)


def _idle_seconds() -> float:
    text = os.environ.get(IDLE_VARIABLE) or str(IDLE_SECONDS)
    try:
        return float(text)
    except ValueError:
        raise DaemonError(f"{IDLE_VARIABLE} is '{text}': a number of seconds is expected.") from None


def _stop(store: Path, _options: argparse.Namespace) -> int:
    if daemon.stop(store):
        print(f"Stopped the registry of {store}.")
    else:
        print(f"No registry is running for {store}.")
    return 0


def _open_url(store: Path, _options: argparse.Namespace) -> int:
    url = daemon.login_url(store)
    if url is None:
        return _say(f"No registry is running for {store}. Start one with 'wandb-registry serve'.")
    print(url)
    return 0


if __name__ == "__main__":
    sys.exit(main())

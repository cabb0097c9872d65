"""A real S3 server in a temporary folder, MinIO's code over files, and prefixes in it: one is all that a store needs.

python -m tests.engines.team_bucket COMMAND …      # runs a command, such as pytest, with REGISTRY_TEST_BUCKET set
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wandb_registry.store_folder import BucketAddress

TEST_BUCKET = "REGISTRY_TEST_BUCKET"  # the endpoint of an S3 server in which the tests' stores keep their contents
BUCKET = "team-bucket"
KEYS = {"AWS_ACCESS_KEY_ID": "team", "AWS_SECRET_ACCESS_KEY": "secret-of-the-team", "AWS_DEFAULT_REGION": "us-east-1"}


def is_installed() -> bool:
    return shutil.which("juicefs") is not None


class S3:
    """A server of its own, with one bucket."""

    def __init__(self, folder: Path):
        folder.mkdir()
        self.folder, self.port = folder, _free_port()
        self._records = f"sqlite3://{folder}/meta.db"
        quiet: dict[str, Any] = {"env": self._environment(), "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        given = ["--storage", "file", "--bucket", f"{folder}/", self._records, "vol"]
        subprocess.run(["juicefs", "format", *given], check=True, **quiet)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Any:
        """boto3's client of it, as its owner."""
        import boto3  # here, for those who have none

        keys = {name.lower(): value for name, value in KEYS.items() if name != "AWS_DEFAULT_REGION"}
        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", **keys)

    def start(self) -> None:
        given = ["--multi-buckets", "--keep-etag", "--no-usage-report", "--cache-size", "0", "--backup-meta", "0"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["juicefs", "gateway", *given, self._records, f"127.0.0.1:{self.port}"],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        if BUCKET not in [one["Name"] for one in self.client().list_buckets()["Buckets"]]:
            self.client().create_bucket(Bucket=BUCKET)

    def stop(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()

    def limit_files(self, count: int) -> None:
        """Lets it be full once it has so many files and folders."""
        given = ["juicefs", "config", self._records, "--inodes", str(count), "--yes"]
        subprocess.run(given, check=True, env=self._environment(), capture_output=True)
        self.stop()
        self.start()

    def _environment(self) -> dict[str, str]:
        root = {"MINIO_ROOT_USER": KEYS["AWS_ACCESS_KEY_ID"], "MINIO_ROOT_PASSWORD": KEYS["AWS_SECRET_ACCESS_KEY"]}
        return os.environ | root | {"HOME": str(self.folder)}


@contextmanager
def running(folder: Path) -> Iterator[S3]:
    server = S3(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def new_address(endpoint: str) -> BucketAddress:
    """A new prefix in the bucket: to a store it is as good as a bucket of its own."""
    return BucketAddress(BUCKET, f"store-{secrets.token_hex(6)}", endpoint)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary, running(Path(temporary) / "s3") as started:
        sys.exit(subprocess.call(sys.argv[1:], env=os.environ | KEYS | {TEST_BUCKET: started.url}))

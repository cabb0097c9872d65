"""What `dvc-wandb attest` costs beyond reading the files that it names, on this repository's pipeline.

    python -m benchmarks.attest [--rounds N]

It needs DVC's cache of a run (`make repro`), and works in a clone. Three processes run in turn, N times: one that
hashes the files and loads neither DVC nor us, `dvc-wandb show`, which reads the project and no file, and `dvc-wandb
attest` without a registry. CPU seconds are compared, since a busy machine stretches the clock's; the table has medians.
"""

from __future__ import annotations

import argparse
import base64
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import working_tree
from tests.working_tree import ROOT

HASH = """
import hashlib, pathlib, sys
for path in sys.stdin.read().splitlines():
    content = pathlib.Path(path).read_bytes()
    hashlib.sha256(content), hashlib.md5(content)
"""
ATTEST = ("dvc-wandb", "attest", "models/model.h5", "--key", "../key.pem", "-o", "../a.sigstore.json")


class Copy:
    """A clone of the repository with the files of its pipeline, which may be signed."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "clone"
        self.env = {**working_tree.environment(folder), "WANDB_MODE": "disabled"}
        subprocess.run(["git", "clone", "--quiet", ROOT, self.path], check=True)
        self.cpu("dvc", "config", "--local", "cache.dir", str(ROOT / ".dvc/cache"))
        self.cpu("dvc", "checkout", "--quiet")
        self.cpu("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "../key.pem")
        self.cpu(*ATTEST)

    def cpu(self, *command: str, stdin: str = "") -> float:
        """The CPU seconds of a command."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            command, cwd=self.path, env=self.env, input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{' '.join(command)}: {done.stderr}")
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime

    def files(self) -> list[Path]:
        """The files that the statement names, as they lie in the clone."""
        envelope = json.loads((self.path / "../a.sigstore.json").read_text())["dsseEnvelope"]
        statement = json.loads(base64.b64decode(envelope["payload"]))
        named = [*statement["subject"], *statement["predicate"]["buildDefinition"]["resolvedDependencies"]]
        paths = [self.path / one["name"] for one in named]
        return [file for path in paths for file in (path, *path.rglob("*")) if file.is_file()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender runs (default 5)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder))
        files = copy.files()
        listed = "\n".join(map(str, files))
        measured = [
            (copy.cpu(sys.executable, "-c", HASH, stdin=listed), copy.cpu("dvc-wandb", "show"), copy.cpu(*ATTEST))
            for _ in range(rounds)
        ]
        size = sum(file.stat().st_size for file in files) / 2**20
    read, show, attest = (statistics.median(column) for column in zip(*measured, strict=True))
    print(f"{'':28}{'CPU seconds':>12}{'ratio':>8}")
    print(f"{f'{len(files)} files read, {size:.1f} MB':28}{read:12.2f}{read / show:8.2f}")
    print(f"{'dvc-wandb show':28}{show:12.2f}{1:8.2f}")
    print(f"{'dvc-wandb attest':28}{attest:12.2f}{attest / show:8.2f}")
    print(
        f"attest takes {attest - read:.2f} s beyond reading the files, {attest - show - read:.2f} s beyond `show` too"
    )


if __name__ == "__main__":
    main()

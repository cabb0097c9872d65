"""What the mirror costs: the pipeline beside (a) one plain Keras script and (b) the same five stages under DVC alone.

    python -m benchmarks.pipeline [--rounds N]

All run in turn on the same digits, N times, in clones of this working tree; the table shows medians. (c) is what no
mirror can go below: DVC is loaded beside the first stage, and the SDK where `train` logs to it, and nothing is sent.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.peak import Peak
from tests import working_tree
from tests.working_tree import ROOT

STAGES = ("prepare", "train", "register", "evaluate", "promote")


def clone(into: Path) -> Path:
    working_tree.copy(into)
    for name in ("dvc.lock", "production.json", "reports", "models/registered.json"):  # nothing has run here
        path = into / name
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        ["commit", "-qm", "b"],
    ):
        subprocess.run(["git", *command], cwd=into, env=working_tree.environment(into.parent), check=True)
    return into


def timed(folder: Path, *command: str, **more: str) -> tuple[float, float, dict[str, float]]:
    """Seconds, peak MB, and the seconds of each stage that DVC ran; `more` is added to the environment."""
    env = {**working_tree.environment(folder.parent), "PYTHONPATH": str(folder), **more}
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    marks: list[tuple[str, float]] = []
    output = []
    with Peak(process.pid, folder / ".registry") as peak:
        assert process.stdout is not None
        for line in process.stdout:
            output.append(line)
            if match := re.match(r"Running stage '(\w+)'", line):
                marks.append((match[1], time.perf_counter()))
        code = process.wait()
    ended = time.perf_counter()
    if code != 0:
        sys.exit(f"{' '.join(command)} failed:\n{''.join(output)}")
    ends = [*(at for _, at in marks[1:]), ended]
    return ended - started, peak.mb, {name: end - at for (name, at), end in zip(marks, ends, strict=False)}


def size(*paths: Path) -> int:
    files = (file for path in paths for file in ([path] if path.is_file() else path.rglob("*")))
    seen = {(stat.st_dev, stat.st_ino): stat.st_size for file in files if file.is_file() for stat in [file.stat()]}
    return sum(seen.values())


def outs(folder: Path) -> list[Path]:
    lock = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    return [folder / out["path"] for stage in lock.values() for out in stage["outs"]]


def one_round(base: Path) -> dict[str, object]:
    plain, alone, ours, idle = (clone(base / name) for name in ("plain", "alone", "ours", "idle"))
    shutil.copy(ROOT / "benchmarks/untracked.py", alone / "dvc_wandb/recorder/tracked_run.py")
    result: dict[str, object] = {
        "plain": timed(plain, "python", "-m", "benchmarks.plain_keras", str(plain)),
        "alone": timed(alone, "dvc", "repro"),
        "ours": timed(ours, "dvc", "repro"),
        "idle": timed(idle, "dvc", "repro", WANDB_MODE="disabled"),
        "alone again": timed(alone, "dvc", "repro"),
        "ours again": timed(ours, "dvc", "repro"),
        "mirror again": timed(ours, "dvc-wandb", "mirror"),
    }
    same = [
        path.name
        for path in outs(ours)
        if path.is_file() and path.read_bytes() != (alone / path.relative_to(ours)).read_bytes()
    ]
    result["differ"] = same
    result["bytes"] = (size(*outs(ours)), size(ours / ".dvc/cache"), size(ours / ".registry"))
    timed(ours, "wandb-registry", "stop")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender runs (default 3)")
    rounds = []
    for number in range(parser.parse_args().rounds):
        print(f"round {number + 1} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            rounds.append(one_round(Path(folder)))

    def median(name: str, of: int = 0) -> float:
        return statistics.median(one[name][of] for one in rounds)

    def stage(contender: str, name: str) -> float:
        return statistics.median(one[contender][2][name] for one in rounds)

    print(f"{'':36}{'seconds':>9}{'× (b)':>8}{'peak MB':>9}")
    for name, words in (
        ("plain", "(a) one plain Keras script"),
        ("alone", "(b) five DVC stages, no mirror"),
        ("idle", "(c) this pipeline, mirror disabled"),
        ("ours", "this pipeline"),
        ("alone again", "(b) no-op"),
        ("ours again", "this pipeline, no-op"),
        ("mirror again", "mirror, nothing to do"),
    ):
        against = median("alone again" if "again" in name else "alone")
        print(f"{words:36}{median(name):9.2f}{median(name) / against:8.2f}{median(name, 1):9.0f}")
    print(f"\n{'stage':12}{'(b)':>8}{'ours':>8}{'mirror':>8}  seconds")
    for name in STAGES:
        without, with_it = stage("alone", name), stage("ours", name)
        print(f"{name:12}{without:8.2f}{with_it:8.2f}{with_it - without:8.2f}")
    made, cache, registry = rounds[-1]["bytes"]  # pyright: ignore[reportGeneralTypeIssues]
    print(f"\noutputs {made / 1e6:.1f} MB; DVC's cache {cache / 1e6:.1f} MB ({cache / made:.2f} ×), ", end="")
    print(f"registry {registry / 1e6:.1f} MB ({registry / made:.2f} ×), pictures and tables included")
    print(f"outputs that differ between (b) and ours: {', '.join(rounds[-1]['differ']) or 'none'}")  # pyright: ignore


if __name__ == "__main__":
    main()

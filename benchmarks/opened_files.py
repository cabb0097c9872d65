"""What watching a stage's files costs: TensorFlow imported and trained, beside the same under the audit hook.

    python -m benchmarks.opened_files [--rounds N]

Both run in turn, N times, each in a process of its own. CPU seconds are compared, since a busy machine stretches the
clock's; the table shows medians.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import statistics
import subprocess
import sys
import time

from dvc_wandb.recorder.opened_files import OpenedFiles
from tests.working_tree import ROOT


def work() -> None:
    """The network of `train`, on digits of noise."""
    import numpy as np

    from stages.determinism import keras_for

    keras = keras_for(seed=0)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input(shape=(28, 28, 1)),
            layers.Conv2D(32, kernel_size=3, activation="relu"),
            layers.MaxPooling2D(pool_size=2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(loss="categorical_crossentropy", optimizer="adam")
    x, y = np.random.rand(4200, 28, 28, 1).astype("float32"), np.eye(10)[np.arange(4200) % 10]
    model.fit(x, y, batch_size=128, epochs=3, verbose=0)
    model.predict(x, verbose=0)


def measured(how: str) -> None:
    """Do the work and print what it cost: CPU seconds, or the number of audit events and of those that open a file."""
    seen = [0, 0]

    def count(event: str, arguments: object) -> None:
        seen[0] += 1
        seen[1] += event == "open"

    if how == "counted":
        sys.addaudithook(count)
    watched = OpenedFiles(ROOT, [], time.time()) if how == "watched" else contextlib.nullcontext()
    before = resource.getrusage(resource.RUSAGE_SELF)
    with watched:
        work()
    if isinstance(watched, OpenedFiles):
        watched.inputs()
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    print(*(seen if how == "counted" else [cpu]))


def run(how: str) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.opened_files", "--measure", how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [float(number) for number in done.stdout.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender runs (default 5)")
    parser.add_argument("--measure", choices=("alone", "watched", "counted"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measured(arguments.measure)
        return
    events, opened = run("counted")
    rounds = [(run("alone")[0], run("watched")[0]) for _ in range(arguments.rounds)]
    alone, watched = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"{'':24}{'CPU seconds':>12}{'ratio':>8}")
    print(f"{'TensorFlow alone':24}{alone:12.2f}")
    print(f"{'under the audit hook':24}{watched:12.2f}{watched / alone:8.3f}")
    print(f"{events:,.0f} audit events, of which {opened:,.0f} open a file")


if __name__ == "__main__":
    main()

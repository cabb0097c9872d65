"""Sets Keras up so that equal inputs give equal bytes on every x86-64 Linux machine.

Seeds and deterministic kernels make two runs on one machine equal. Two machines must also add up in the same order.
That order depends on the number of threads and on the vector instructions, so both are fixed. Only one thread is the
same everywhere: oneDNN gives a matrix product as many of them as its operands are larger than the processor's L2 cache.
Settings that a user's environment or ~/.keras/keras.json could change are fixed too.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

THREADS = 1  # per operation

SETTINGS = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_XLA_FLAGS": "",
    "CUDA_VISIBLE_DEVICES": "-1",  # a GPU adds up in another order
    "KERAS_BACKEND": "tensorflow",
    "TF_USE_LEGACY_KERAS": "0",
}
UNSET = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")  # they would end the training early
# Keras imports them where they are installed, for what no stage uses: nearly half of the time that its import takes
NOT_FOR_KERAS = ("matplotlib", "pandas", "scipy", "sklearn")


def keras_for(seed: int) -> Any:
    """Import Keras and seed it. Call this before anything else imports TensorFlow."""
    os.environ.update(SETTINGS)
    for name in UNSET:
        os.environ.pop(name, None)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    with _stderr_held_back(), _hidden(NOT_FOR_KERAS):
        import tensorflow as tf
        from absl import logging

        logging.set_verbosity(logging.ERROR)  # we save .h5 on purpose; Keras warns that it is legacy
        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        tf.config.experimental.enable_op_determinism()

        keras: Any = tf.keras
        keras.config.set_floatx("float32")
        keras.config.set_epsilon(1e-7)
        keras.config.set_image_data_format("channels_last")
        keras.utils.set_random_seed(seed)
    return keras


@contextlib.contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Within the block, hold stderr back; print it only if the block fails.

    TensorFlow prints a few lines about the machine when it starts, at any log level. They come from C++, so we redirect
    the file descriptor.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(terminal, 2)
            held.seek(0)
            with open(terminal, "wb", closefd=False) as shown:
                shutil.copyfileobj(held, shown)
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


@contextlib.contextmanager
def _hidden(packages: tuple[str, ...]) -> Iterator[None]:
    """Within the block, importing these packages fails as if they were not installed, save those that are loaded."""
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: Python's own sign for it
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def warn_if_not_reproducible() -> None:
    """Print one line on a machine that may give other bytes."""
    machine, has_avx2 = platform.machine(), True
    if sys.platform == "linux" and machine == "x86_64":
        with open("/proc/cpuinfo") as file:
            has_avx2 = " avx2 " in file.read().replace("\n", " ")
    if sys.platform != "linux" or machine != "x86_64" or not has_avx2:
        platform_name = f"{sys.platform} on {machine}" + ("" if has_avx2 else " without AVX2")
        print(
            f"Bytes equal to the committed dvc.lock are promised on x86-64 Linux with AVX2; this is {platform_name}: "
            "the model may differ in its last digits.",
            file=sys.stderr,
        )

"""Keras set up so that equal inputs give equal bytes on every x86-64 machine.

Seeds and deterministic kernels make runs on one machine equal. Between machines the order of additions has to be
the same too: it follows the number of threads and the vector instructions, so both are fixed. What a user's
environment or ~/.keras/keras.json could change is set as well.
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

THREADS = 4  # of one operation; a fixed number, also where there are fewer cores

SETTINGS = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_XLA_FLAGS": "",
    "CUDA_VISIBLE_DEVICES": "-1",  # a GPU adds up in another order
    "KERAS_BACKEND": "tensorflow",
    "TF_USE_LEGACY_KERAS": "0",
}
UNSET = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")  # would end a training before params.yaml says


def keras_for(seed: int) -> Any:
    """Import Keras, seeded by `seed`; call it before anything else imports TensorFlow."""
    os.environ.update(SETTINGS)
    for name in UNSET:
        os.environ.pop(name, None)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    with _stderr_held_back():
        import tensorflow as tf
        from absl import logging

        logging.set_verbosity(logging.ERROR)  # .h5 is meant, though Keras calls it legacy
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
    """Show what is written to stderr within the block only where the block fails.

    TensorFlow writes a few lines about the machine while it starts, whatever its log level. They come from C++, so it
    is the file descriptor that is turned away.
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


def say_where_bytes_may_differ() -> None:
    """One line on a machine for which equal bytes can't be promised."""
    machine, has_avx2 = platform.machine(), True
    if sys.platform == "linux" and machine == "x86_64":
        with open("/proc/cpuinfo") as file:
            has_avx2 = " avx2 " in file.read().replace("\n", " ")
    if sys.platform != "linux" or machine != "x86_64" or not has_avx2:
        here = f"{sys.platform} on {machine}" + ("" if has_avx2 else " without AVX2")
        print(
            f"Bytes equal to the committed dvc.lock are promised on x86-64 Linux with AVX2; this is {here}: "
            "the model may differ in its last digits.",
            file=sys.stderr,
        )

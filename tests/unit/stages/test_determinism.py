"""What a user sees of TensorFlow's start: nothing, unless it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.working_tree import ROOT

WRITES = "import os; os.write(2, b'I0000 port.cc: what C++ says of the machine'); "


def start(folder: Path, tensorflow: str, then: str = "") -> subprocess.CompletedProcess[str]:
    """Set Keras up with a stand-in for `tensorflow`; `then` is what the stage goes on with."""
    (folder / "tensorflow.py").write_text(tensorflow)
    code = "import sys; from stages.determinism import keras_for; keras_for(1); "
    code += f"{then}print('ready', file=sys.stderr)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def test_tensorflow_starts_in_silence(tmp_path: Path):
    done = start(tmp_path, WRITES + "from unittest.mock import MagicMock; config = keras = MagicMock()")
    assert (done.returncode, done.stderr) == (0, "ready\n")


def test_a_tensorflow_that_cannot_start_shows_what_it_wrote(tmp_path: Path):
    done = start(tmp_path, WRITES + "raise ImportError('no libtensorflow')")
    assert done.returncode == 1
    assert done.stderr.startswith("I0000 port.cc: what C++ says of the machine")
    assert "ImportError: no libtensorflow" in done.stderr


IMPORTS_PANDAS = """
try:
    import pandas
except ImportError:
    from unittest.mock import MagicMock
    config = keras = MagicMock()
"""


def test_keras_loads_no_package_that_no_stage_needs_of_it_and_the_stage_still_may(tmp_path: Path):
    done = start(tmp_path, IMPORTS_PANDAS, then="import pandas; ")
    assert (done.returncode, done.stderr) == (0, "ready\n")

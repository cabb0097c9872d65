"""The five stages of the pipeline, one script each: prepare → train → register → evaluate → promote.

The packages that can change their bytes are in packages.yaml by version, and in pylock.toml by sha256.
"""

import importlib.util
import sys

if importlib.util.find_spec("dvc") is None:
    sys.exit(
        f"{sys.executable} is first on the path, and has none of the packages that the stages need. "
        "`source .venv/bin/activate` puts the Python that has them there; `make repro` installs it."
    )

"""A wheel of a small package, made here, so that what a lock says can be installed without a network."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

# Installed wherever the tests run, by pytest; neither DVC nor a stage needs it
NAME = "iniconfig"


def make(folder: Path, version: str = "0.0.1") -> str:
    """Write the wheel of NAME at a version into `folder`; its hash, as lock files write it."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel, info = folder / f"{NAME}-{version}-py3-none-any.whl", f"{NAME}-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(f"{NAME}.py", f"__version__ = '{version}'\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return f"sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


def lock(version: str, sha256: str) -> str:
    """A requirements.txt that has it at a version, from the folder `wheels` beside it."""
    return f"--no-index\n--find-links wheels\n{NAME}=={version} \\\n    --hash={sha256}\n"

"""This machine, as results that were made on it are told apart."""

from __future__ import annotations

import platform
import re
from pathlib import Path


def host() -> str:
    return platform.node()


def processor() -> str:
    """The processor's model, such as "AMD EPYC 7763"; its kind, such as x86_64, where the system tells no model."""
    try:
        found = re.search(r"^model name\s*: *(.+)$", Path("/proc/cpuinfo").read_text(), flags=re.MULTILINE)
    except OSError:  # no Linux
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()

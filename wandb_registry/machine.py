"""Where a process runs. Its id and loopback addresses mean something there alone, and folders are shared."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """A machine, or a container on one: `host` is its name for people.

    Equal `processes` have the same process ids, equal `network`s the same loopback addresses.
    """

    host: str
    processes: str
    network: str

    @classmethod
    def here(cls) -> "Machine":
        """The machine of this process."""
        return cls(platform.node(), _namespace("pid"), _namespace("net"))

    @property
    def boot(self) -> str:
        """The same for all containers of a machine, until it is started anew."""
        return self.processes.partition("/")[0]

    def is_earlier_boot_of(self, other: "Machine") -> bool:
        """Whether this is the other one before it was started anew: nothing of it works any more."""
        return self.host == other.host and self.boot != other.boot


def _namespace(kind: str) -> str:
    """A name of the kernel's namespace that no other one has, on any machine; elsewhere than on Linux the host's name.

    The first namespaces have the same number on every machine, so the boot's id stands before it.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink(f'/proc/self/ns/{kind}')}"
    except OSError:
        return platform.node()

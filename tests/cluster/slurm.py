"""A SLURM of two nodes on this machine, with its own munge, in a folder of its own."""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path

from tests.conftest import eventually

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
SEARCH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
CONF = """
ClusterName=test
SlurmctldHost={host}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog={folder}/home.sh
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/d.%n.pid
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/ctld
SlurmctldPort={port}
SlurmdTimeout=10
SlurmctldParameters=node_reg_mem_percent=1
KillWait=5
MpiDefault=none
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={n1} CPUs=2 RealMemory=4000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={n2} CPUs=2 RealMemory=4000
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=n1,n2 MaxTime=INFINITE State=UP PriorityTier=10
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def hiding(folder: Path) -> list[str]:
    """What a command is run under that isn't to see what is in a folder; nothing where the kernel forbids that."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    hide = 'mount -t tmpfs none "$1" && shift && exec "$@"'  # another file system lies there
    under = ["unshare", *user, "--mount", "sh", "-c", hide, "sh", str(folder)]
    return under if subprocess.run([*under, "true"], capture_output=True, check=False).returncode == 0 else []


def missing() -> list[str]:
    return [name for name in NEEDED if not shutil.which(name, path=SEARCH)]


class Slurm:
    """The processes of the cluster."""

    name = "SLURM"
    controller = "ctld"
    machines = ("n1", "n2")
    options = ("--on", "slurm", "--away")

    def __init__(self, folder: Path, hidden: Path | None = None) -> None:
        """The nodes don't see what is in the folder `hidden`. Each gives jobs a home of its own."""
        self.folder = folder
        self._hiding = hiding(hidden) if hidden and os.geteuid() == 0 else []  # slurmd has to be the user that it was
        for name in ("ctld", "spool/n1", "spool/n2", "munge"):
            (folder / name).mkdir(parents=True)
        for name in (folder, *folder.parents):
            with contextlib.suppress(PermissionError):  # munge wants its socket's folders to be reachable by all
                name.chmod(name.stat().st_mode | 0o111)
        self.conf = folder / "slurm.conf"
        host = platform.node().partition(".")[0]
        ports = {name: free_port() for name in ("port", "n1", "n2")}
        self.conf.write_text(CONF.format(host=host, user=getpass.getuser(), folder=folder, **ports))
        home = folder / "home.sh"
        home.write_text(f"#!/bin/sh\nmkdir -p {folder}/$SLURMD_NODENAME\necho export HOME={folder}/$SLURMD_NODENAME\n")
        home.chmod(0o755)
        key = folder / "munge/key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        self.env = {"SLURM_CONF": str(self.conf), "PATH": SEARCH}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        files = {name: f"--{name}-file={folder}/munge/{name}" for name in ("key", "log", "pid", "seed")}
        self._start(
            "munge",
            "munged",
            "--foreground",
            "--force",
            "--num-threads=10",
            f"--socket={folder}/munge.socket",
            *files.values(),
        )
        assert eventually((folder / "munge.socket").exists, 20), self.log("munge")
        self.mend()
        assert eventually(lambda: self.node_states() == ["idle", "idle"], 90), self.log("ctld") + self.log("n1")

    def mend(self) -> None:
        """Start what doesn't run."""
        node = [*self._hiding, "slurmd", "-D", "-f", str(self.conf)]
        commands = {self.controller: ["slurmctld", "-D", "-f", str(self.conf)]}
        commands |= {name: [*node, "-N", name] for name in self.machines}
        for name, command in commands.items():
            if name not in self.processes or self.processes[name].poll() is not None:
                self._start(name, *command)

    def kill(self, name: str) -> None:
        """kill -9 of a daemon: ctld, n1, n2."""
        self.processes[name].kill()
        self.processes[name].wait()

    def resume_drained(self) -> None:
        """As an administrator does: slurmctld, killed and started again, drains nodes with jobs that it forgot."""
        if any(state.startswith("drain") for state in self.node_states()):
            self.run("scontrol", "update", f"nodename={','.join(self.machines)}", "state=resume")

    def homes(self, pattern: str) -> list[Path]:
        """What matches in the homes of jobs."""
        return [path for name in self.machines for path in (self.folder / name).glob(pattern)]

    def run(self, *command: str) -> str:
        return subprocess.run(
            command, env={**os.environ, **self.env}, capture_output=True, text=True, check=True
        ).stdout.strip()

    def jobs(self, state: str = "RUNNING") -> dict[str, str]:
        """The ids of the jobs in a state, by their names."""
        lines = self.run("squeue", "--noheader", f"--states={state}", "--format=%j|%i").splitlines()
        return dict(line.split("|") for line in lines)

    def node_of(self, job: str) -> str:
        return self.run("squeue", "--noheader", f"--jobs={job}", "--format=%N")

    def node_states(self) -> list[str]:
        with contextlib.suppress(subprocess.CalledProcessError):
            return [line.strip("*") for line in self.run("sinfo", "--noheader", "--Node", "--format=%T").splitlines()][
                :2
            ]
        return []

    def wait_until_idle(self) -> None:
        assert eventually(lambda: not self.jobs("PENDING,RUNNING,COMPLETING"))

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def close(self) -> None:
        with contextlib.suppress(subprocess.SubprocessError):
            self.run("scancel", f"--user={getpass.getuser()}")
            time.sleep(1)
        for process in reversed(self.processes.values()):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()

    def _start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, env={**os.environ, **self.env}, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

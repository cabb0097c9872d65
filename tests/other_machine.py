"""Another machine that shares our folders: on the same kernel, with process ids and a loopback of its own."""

from __future__ import annotations

# As whoever may make a user's namespace; `sh` has the id 1 there
OTHER_MACHINE = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc")


def beside(pid: int, *command: str) -> list[str]:
    """`command` on the other machine, where `pid` is that of somebody's process; says at the end whether it lives."""
    script = f"""
    echo {pid - 1} > /proc/sys/kernel/ns_last_pid
    sleep 1000 & somebody=$!
    test $somebody = {pid} || echo "the process got the id $somebody"
    "$@"; status=$?
    kill -0 $somebody && echo "somebody's process lives"; exit $status
    """
    return [*OTHER_MACHINE, "sh", "-c", script, "sh", *command]

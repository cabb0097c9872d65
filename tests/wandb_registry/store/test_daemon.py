"""The server's life: started once, found again, replaced when it died, gone when nobody asks."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.conftest import lives
from tests.engines.proxy import serving
from tests.other_machine import beside
from tests.wandb_registry.conftest import command, embedded, in_folder
from tests.working_tree import ROOT
from wandb_registry import daemon
from wandb_registry.store_folder import prepare

ENSURE = (
    "import sys; from pathlib import Path; from wandb_registry import daemon; print(daemon.ensure(Path(sys.argv[1])))"
)


def answers(server: daemon.Server) -> bool:
    with urllib.request.urlopen(f"{server.url}/healthz", timeout=60) as answer:
        return answer.status == 200


def wait_until(condition, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_eight_processes_that_ask_at_once_get_one_server(store: Path):
    asking = [
        subprocess.Popen([sys.executable, "-c", ENSURE, str(store)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    said = {process.communicate(timeout=120)[0] for process in asking}
    assert len(said) == 1
    assert said == {f"{daemon.find(store)}\n"}


def test_the_first_request_waits_for_the_server_where_the_caller_did_not(store: Path):
    server = daemon.ensure(store, wait=False)
    assert answers(server)


def test_a_killed_server_is_replaced_at_the_same_port(store: Path):
    first = daemon.ensure(store)
    os.kill(first.pid, signal.SIGKILL)
    second = daemon.ensure(store)
    assert (second.url, second.api_key) == (first.url, first.api_key)
    assert second.pid != first.pid
    assert answers(second)


def test_a_stopped_server_keeps_its_port_and_key(store: Path):
    first = daemon.ensure(store)
    assert daemon.stop(store) is True
    assert daemon.find(store) is None
    assert daemon.stop(store) is False
    second = daemon.ensure(store)
    assert (second.url, second.api_key) == (first.url, first.api_key)


def test_another_port_is_taken_when_the_old_one_is_busy(store: Path):
    first = daemon.ensure(store)
    daemon.stop(store)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(first.url.rpartition(":")[2])))
        other.listen()
        second = daemon.ensure(store)
    assert second.url != first.url
    assert answers(second)


def test_a_server_leaves_when_nobody_asks_any_more(store: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REGISTRY_IDLE_SECONDS", "0.3")
    server = daemon.ensure(store)
    assert wait_until(lambda: daemon.find(store) is None)
    assert answers(daemon.ensure(store)), f"no successor of {server}"


def test_a_server_leaves_when_its_store_is_gone(store: Path):
    """Each stage in a temporary clone started one, which stayed when the clone was removed."""
    server = psutil.Process(daemon.ensure(store).pid)
    shutil.rmtree(store)
    assert wait_until(lambda: not lives(server))
    prepare(store)


def test_a_process_on_another_machine_with_the_same_id_is_left_alone(store: Path):
    """A stage there sent SIGTERM, then SIGKILL, to whatever process had the server's id."""
    server = daemon.ensure(store)
    ensure = beside(server.pid, sys.executable, "-c", ENSURE, str(store))
    refused = subprocess.run(ensure, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "somebody's process lives" in refused.stdout
    assert f"The registry of {store} runs on the machine {platform.node()} and can't be reached" in refused.stderr

    stop = beside(server.pid, sys.executable, "-m", "wandb_registry", "stop")
    env = {**os.environ, "REGISTRY_DIR": str(store)}
    refused = subprocess.run(stop, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert "somebody's process lives" in refused.stdout
    assert f"runs on the machine {platform.node()}. Stop it there." in refused.stderr
    assert answers(server)


def test_the_remedy_for_a_server_on_another_machine(store: Path):
    """What `ensure` says there: serve it at an address of the machine, and name that and the key."""
    here, there = "10.213.0.1", "10.213.0.2"
    if subprocess.run(["ip", "link", "add", "dvcw0", "type", "veth", "peer", "dvcw1"], check=False).returncode:
        pytest.skip("only root can lay a cable between two machines")
    serving = None
    try:
        env = {**os.environ, "REGISTRY_DIR": str(store)}
        serve = [sys.executable, "-m", "wandb_registry", "serve", "--host", "0.0.0.0"]
        serving = subprocess.Popen(serve, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
        assert serving.stdout
        port = serving.stdout.readline().rpartition(":")[2].strip()
        asking = f"""
        echo ready; read cable; ip address add {there}/24 dev dvcw1; ip link set dvcw1 up
        curl --silent --fail --user api:$(cat {store}/api-key) http://{here}:{port}/graphql \
          --header 'Content-Type: application/json' --data '{{"query": "{{viewer {{username}}}}"}}'
        """
        other = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", asking], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert other.stdout
        assert other.stdout.readline() == "ready\n"
        move = ["ip", "link", "set", "dvcw1", "netns", str(other.pid)]
        subprocess.run(move, check=True)
        subprocess.run(["ip", "address", "add", f"{here}/24", "dev", "dvcw0"], check=True)
        subprocess.run(["ip", "link", "set", "dvcw0", "up"], check=True)
        said, _ = other.communicate("laid\n", timeout=60)
        assert "username" in said
    finally:
        subprocess.run(["ip", "link", "delete", "dvcw0"], check=False)
        if serving:
            serving.terminate()
            serving.wait(timeout=60)


def test_no_caller_waits_for_the_server_to_end(store: Path):
    started = subprocess.Popen([sys.executable, "-c", ENSURE, str(store)], cwd=ROOT, stdout=subprocess.PIPE)
    started.communicate(timeout=120)  # returns only when nobody holds the pipe any more
    assert daemon.find(store) is not None


def test_the_server_outlives_the_folder_that_started_it(store: Path, tmp_path: Path):
    copy = tmp_path / "checkout"
    copy.mkdir()
    subprocess.run(["cp", "-r", str(ROOT / "wandb_registry"), str(copy)], check=True)
    subprocess.run([sys.executable, "-c", ENSURE, str(store)], cwd=copy, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["rm", "-r", str(copy)], check=True)
    url = daemon.login_url(store)
    assert url
    with urllib.request.build_opener(urllib.request.HTTPCookieProcessor()).open(url, timeout=60) as page:
        assert "Registered models" in page.read().decode()


def test_the_store_is_for_its_owner_and_unknown_to_git(store: Path):
    daemon.ensure(store)
    modes = {name: stat.S_IMODE((store / name).stat().st_mode) for name in (".", "api-key", "secret")}
    assert modes == {".": 0o700, "api-key": 0o600, "secret": 0o600}
    assert (store / ".gitignore").read_text() == "*\n"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(daemon.DaemonError, match=r"can't write to its folder .*/file/store: Not a directory"):
        daemon.ensure(tmp_path / "file" / "store")


@embedded
def test_a_server_that_dies_at_its_start_says_why(store: Path):
    prepare(store)
    (store / "registry.db").write_text("this is no database, and long enough to be sure of it" * 100)
    with pytest.raises(daemon.DaemonError, match="file is not a database"):
        daemon.ensure(store)


@embedded
def test_a_store_of_a_newer_registry_is_refused(store: Path):
    import sqlite3

    daemon.ensure(store)
    daemon.stop(store)
    with sqlite3.connect(store / "registry.db") as db:
        db.execute("pragma user_version = 99")
    with pytest.raises(daemon.DaemonError, match="written by a newer registry"):
        daemon.ensure(store)


def test_serve_refuses_a_busy_port_in_one_sentence(store: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = command(store, "serve", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.startswith(f"wandb-registry: Port {port} of 127.0.0.1 can't be used: Address already in use.")
    assert done.stderr.count("\n") == 1


@embedded
def test_a_second_server_on_one_store_is_refused_in_one_sentence(store: Path):
    server = daemon.ensure(store)
    done = command(store, "serve")
    assert done.returncode == 1
    assert f"is already served at {server.url} (process {server.pid})" in done.stderr
    assert done.stderr.count("\n") == 1


def test_serve_in_the_foreground_says_where_to_look(store: Path):
    with serving(store) as (_, lines):
        server = daemon.find(store)
        assert server
        (registry, data, opened) = (line.split() for line in lines)
        assert (registry, data) == (["Registry", server.url], ["Data", str(store)])
        assert opened[1].startswith(f"{server.url}/login?token=")


@embedded
@in_folder
def test_the_server_starts_fast_and_small(store: Path):
    """Median of three, in seconds of a processor, which a shared machine gives when it can."""
    taken = []
    for _ in range(3):
        daemon.stop(store)
        process = psutil.Process(daemon.ensure(store).pid)
        times = process.cpu_times()
        taken.append(times.user + times.system)
    megabytes = process.memory_info().rss / 2**20
    print(f"start to first answer {sorted(taken)[1]:.2f} s, {megabytes:.0f} MB")
    assert sorted(taken)[1] < 2
    assert megabytes < 100


def test_what_starts_a_server_needs_the_standard_library_alone():
    """Each stage imports it. Without `site` no other library is found."""
    subprocess.run([sys.executable, "-S", "-c", "import wandb_registry.daemon"], cwd=ROOT, check=True)


def test_the_server_imports_nothing_heavy():
    loaded = subprocess.run(
        [sys.executable, "-c", "import wandb_registry.serve, sys, json; print(json.dumps(sorted(sys.modules)))"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    assert not {"wandb", "pydantic", "networkx", "jinja2", "numpy"} & set(json.loads(loaded.stdout))

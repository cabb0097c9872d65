"""The life of a run: how it ends, goes on, starts over from a step, and is shared by several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import wandb
from wandb.errors import CommError, UsageError

from tests.wandb_registry.conftest import Account, Registry, records


def stream(account: Account, path: str, **body) -> dict:
    """One file_stream request, as the SDK's pipeline makes it."""
    sent = account.send("POST", f"/files/{path}/file_stream", json.dumps(body).encode())
    assert sent.status == 200, sent.text
    return sent.json()


def silence(registry: Registry, run: str, seconds: int) -> None:
    """Makes the run's last sign of life so old."""
    with records(registry.store) as db:
        db.execute(
            "update run set heartbeat_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now', :age) where name = :run",
            {"age": f"-{seconds} seconds", "run": run},
        )


def started(registry: Registry, project: str) -> str:
    """A run that was started and not ended; its path."""
    found = registry.api().create_run(project=project, entity=registry.entity)
    return f"{registry.entity}/{project}/{found.id}"


def steps(registry: Registry, path: str) -> list[int]:
    return [row["_step"] for row in registry.api().run(path).scan_history()]


def test_the_state_follows_what_the_process_says(registry: Registry):
    path = started(registry, "states")
    assert registry.api().run(path).state == "running"
    stream(registry, path, preempting=True)
    stream(registry, path, files={"wandb-history.jsonl": {"offset": 0, "content": ['{"_step":0}']}})
    assert registry.api().run(path).state == "preempting"
    stream(registry, path, complete=True, exitcode=1)
    assert registry.api().run(path).state == "preempted"
    stream(registry, path, files={"wandb-history.jsonl": {"offset": 1, "content": ['{"_step":1}']}})
    assert registry.api().run(path).state == "running"
    stream(registry, path, complete=True, exitcode=0)
    stream(registry, path)
    assert registry.api().run(path).state == "finished", "a late heartbeat wakes nothing"


def test_a_run_that_falls_silent_has_crashed_until_it_is_heard_again(registry: Registry):
    path = started(registry, "silent")
    name = path.rpartition("/")[2]
    silence(registry, name, 400)
    assert registry.api().run(path).state == "crashed"
    assert len(registry.api().runs("silent", filters={"state": "crashed"})) == 1
    assert len(registry.api().runs("silent", filters={"state": "running"})) == 0
    stream(registry, path)
    assert registry.api().run(path).state == "running"


def test_a_run_can_be_queued_again_or_given_up(registry: Registry):
    found = registry.api().run(started(registry, "queued"))
    assert found.update_state("failed") is True
    assert registry.api().run("/".join(found.path)).state == "failed"
    assert found.update_state("pending") is True
    with pytest.raises(wandb.Error, match="'pending' to 'pending' is an invalid state transition"):
        found.update_state("pending")


def test_a_run_that_is_asked_to_stop_hears_of_it_and_was_killed(registry: Registry):
    path = started(registry, "stopped")
    assert "stopped" not in stream(registry, path)
    number = registry.api().run(path).storage_id
    assert registry.ask("mutation S($id: ID!) { stopRun(input: {id: $id}) { success } }", id=number).status == 200
    assert stream(registry, path)["stopped"] is True
    stream(registry, path, complete=True, exitcode=255)
    assert registry.api().run(path).state == "killed"
    assert "stopped" not in stream(registry, path), "who takes it up again isn't stopped at once"


def test_a_deleted_run_can_be_deleted_again_by_those_who_may(registry: Registry):
    found = registry.api().run(started(registry, "twice"))
    found.delete()
    found.delete(delete_artifacts=True)
    delete = "mutation D($id: ID!) { deleteRun(input: {id: $id}) { clientMutationId } }"
    assert registry.user("deleter").ask(delete, id=found.storage_id).status == 404


# ---- going on ----


def test_resume_allow_starts_a_run_or_goes_on_with_it(registry: Registry):
    for step in range(2):
        with registry.run("allowed", id="same", resume="allow", config={f"c{step}": step}) as run:
            run.log({"loss": step})
            assert run.resumed is bool(step)
    found = registry.api().run("allowed/same")
    assert steps(registry, "allowed/same") == [0, 1]
    assert found.config == {"c0": 0, "c1": 1}


def test_resume_must_and_never_say_what_stands_against_them(registry: Registry):
    with pytest.raises(UsageError, match="does not exist or has not been initialized"):
        wandb.init(project="resume", entity=registry.entity, id="missing", resume="must")
    with registry.run("resume", id="there") as run:
        run.log({"loss": 1})
    with pytest.raises(UsageError, match=r"already exist|already been initialized|is in use"):
        wandb.init(project="resume", entity=registry.entity, id="there", resume="never")


def test_the_console_goes_on_in_a_resumed_run(registry: Registry):
    for word in ("first", "second"):
        with registry.run("spoken", id="speaks", resume="allow", settings={"console": "wrap"}) as run:
            run.log({"loss": 1})
            print(f"{word} part")
    lines = [line.content for line in registry.api().run("spoken/speaks").console_logs()]
    assert lines == ["first part", "second part"]


def test_a_rewound_run_forgets_what_came_after_the_step(registry: Registry):
    with registry.run("rewound") as run:
        for step in range(5):
            run.log({"loss": step, "early" if step < 2 else "late": step})
    with registry.run("rewound", resume_from=f"{run.id}?_step=1") as again:
        again.log({"loss": 100})
    found = registry.api().run(f"rewound/{run.id}")
    assert [(row["_step"], row["loss"]) for row in found.scan_history()] == [(0, 0), (1, 1), (2, 100)]
    assert found.summary["loss"] == 100
    assert "late" not in found.summary
    assert found.state == "finished"


def test_a_fork_begins_with_the_history_of_its_source(registry: Registry):
    with registry.run("forked", id="source") as run:
        for step in range(4):
            run.log({"loss": step})
    with registry.run("forked", fork_from="source?_step=2") as fork:
        fork.log({"loss": 50})
    assert [row["loss"] for row in registry.api().run(f"forked/{fork.id}").scan_history()] == [0, 1, 2, 50]
    assert [row["loss"] for row in registry.api().run("forked/source").scan_history()] == [0, 1, 2, 3]


def test_a_fork_of_a_run_that_is_not_there_is_refused_with_a_sentence(registry: Registry):
    with pytest.raises(CommError, match="Run 'nobody', to fork from, was not found in this project"):
        wandb.init(project="forked", entity=registry.entity, fork_from="nobody?_step=2")


# ---- several writers ----


def test_processes_that_share_a_run_lose_nothing_of_each_other(registry: Registry, tmp_path: Path):
    worker = textwrap.dedent(
        """
        import pathlib, sys, time, wandb
        label, said = sys.argv[1], pathlib.Path(sys.argv[3])
        settings = wandb.Settings(mode="shared", x_label=label, x_primary=label == "a",
                                  x_update_finish_state=label == "a", console="wrap")
        with wandb.init(project="shared", id="together", entity=sys.argv[2], settings=settings) as run:
            for number in range(20):
                run.log({f"of_{label}": number})
            while label == "a" and not said.exists():
                time.sleep(0.05)
            print("said by", label)
            said.touch()
        """
    )
    elsewhere = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_SERVICE")}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", worker, label, registry.entity, str(tmp_path / "said")],
            stdout=subprocess.DEVNULL,
            env=elsewhere,
        )
        for label in "ab"
    ]
    assert [process.wait(timeout=60) for process in workers] == [0, 0]
    found = registry.api().run("shared/together")
    rows = list(found.scan_history())
    assert [row["_step"] for row in rows] == list(range(40))
    for label in "ab":
        assert [row[f"of_{label}"] for row in rows if row.get(f"of_{label}") is not None] == list(range(20))
        assert found.summary[f"of_{label}"] == 19
    assert [line.content for line in found.console_logs()] == ["said by b", "said by a"]
    assert found.state == "finished"


def test_a_shared_writer_that_repeats_a_request_adds_nothing(registry: Registry):
    path = started(registry, "repeated")

    def send(writer: str, offset: int, *values: int) -> None:
        lines = [json.dumps({"v": value}) for value in values]
        body = json.dumps({"files": {"wandb-history.jsonl": {"offset": offset, "content": lines}}}).encode()
        headers = {"X-WANDB-USE-ASYNC-FILESTREAM": "true", "X-WANDB-ASYNC-CLIENT-ID": writer}
        assert registry.send("POST", f"/files/{path}/file_stream", body, headers=headers).status == 200

    send("one", 0, 1, 2)
    send("two", 2, 3)
    send("one", 0, 1, 2)
    send("one", 1, 2, 4)
    send("two", 3, 5)
    assert [row["v"] for row in registry.api().run(path).scan_history()] == [1, 2, 3, 4, 5]


def test_a_project_with_a_run_under_way_keeps_its_name(registry: Registry):
    """Whatever the run logged after that was lost, and nobody was told."""
    path = started(registry, "renamed-early")
    rename = """mutation M($entity: String!) { renameProject(input: {entityName: $entity,
      oldProjectName: "renamed-early", newProjectName: "renamed"}) { project { name } } }"""
    refused = registry.ask(rename, entity=registry.entity).json()
    assert "is still under way: its process would not find the project again" in refused["errors"][0]["message"]
    stream(registry, path, files={"wandb-history.jsonl": {"offset": 0, "content": ['{"_step":0}']}})
    stream(registry, path, complete=True, exitcode=0)
    assert registry.ask(rename, entity=registry.entity).json()["data"]["renameProject"]["project"]["name"] == "renamed"
    assert steps(registry, path.replace("renamed-early", "renamed")) == [0]

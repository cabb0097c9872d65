"""A run id that is used again: without resume, after a deletion, and by parts that logged offline."""

from __future__ import annotations

import html
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import wandb

from tests.wandb_registry.conftest import Registry

OFFLINE = """
import pathlib, sys, wandb
run_id, first, values = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(",")
options = dict(option.split("=", 1) for option in sys.argv[4:])
config = {"part": values[0], f"only{values[0]}": 1}
words = {"name": f"part {values[0]}", "notes": f"notes {values[0]}", "tags": [f"t{values[0]}"]}
run_id = None if "resume_from" in options else run_id
with wandb.init(project="parts", id=run_id, mode="offline", config=config, **words, **options) as run:
    print(f"printed by {values[0]}")
    note = pathlib.Path(run.dir, "note.txt")
    note.write_text(values[0])
    run.save(str(note), base_path=run.dir)
    run.summary[f"own{values[0]}"] = 1
    for step, value in enumerate(values if values[0] != "none" else [], first):
        run.log({"a": int(value)}, step=step)
"""


@dataclass(frozen=True)
class Machine:
    """A computer that logs offline, with the folder in which it does."""

    folder: Path

    def log_offline(self, project: str, *executions: tuple[str, ...]) -> list[Path]:
        """Runs OFFLINE with each of the arguments, one after the other; returns the folders to sync."""
        parts: list[Path] = []
        for arguments in executions:
            self._run("-c", OFFLINE.replace('"parts"', repr(project)), *arguments)
            parts += set((self.folder / "wandb").glob("offline-run-*")) - set(parts)
        return parts

    def sync(self, part: Path) -> str:
        """Syncs a part, once more if it was before. Returns what `wandb sync` says."""
        return self._run("-m", "wandb", "sync", "--include-synced", str(part))

    def _run(self, *arguments: str) -> str:
        elsewhere = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_SERVICE")}
        elsewhere |= {"WANDB_DIR": str(self.folder), "WANDB_SILENT": "false"}
        command = [sys.executable, *arguments]
        done = subprocess.run(command, env=elsewhere, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr


def rows(registry: Registry, path: str) -> list[tuple[int, int]]:
    return [(row["_step"], row["a"]) for row in registry.api().run(path).scan_history()]


def console(registry: Registry, path: str) -> list[str]:
    project, run = path.split("/")
    ask = """query C($project: String!, $run: String!) { project(name: $project, entityName: "local") {
        run(name: $run) { logLines(first: 1000) { edges { node { line } } } } } }"""
    found = registry.ask(ask, project=project, run=run).json()["data"]["project"]["run"]
    return [edge["node"]["line"].strip() for edge in found["logLines"]["edges"]]


def test_a_run_that_starts_again_without_resume_replaces_what_was_there(registry: Registry):
    """Both executions were mixed, and a resumed run lost its rows: it was told to start after all of them."""
    for start in (0, 100):
        with registry.run("over", id="twice", config={f"c{start}": 1}, tags=[f"t{start}"]) as run:
            for step in range(5 if start == 0 else 3):
                run.log({"a": start + step, f"only{start}": step}, step=step)
            run.config["late"] = start
            run.tags = (*(run.tags or ()), "later")
    found = registry.api().run("over/twice")
    assert rows(registry, "over/twice") == [(0, 100), (1, 101), (2, 102)]
    assert (dict(found.config), sorted(found.tags)) == ({"c100": 1, "late": 100}, ["later", "t100"])
    assert ("only0" in found.summary, found.summary["a"], "only0" in found.history_keys["keys"]) == (False, 102, False)
    with registry.run("over", id="twice", resume="must") as run:
        assert run.starting_step == 3
        for step in range(3, 6):
            run.log({"a": 1000 + step}, step=step)
    assert rows(registry, "over/twice")[3:] == [(3, 1003), (4, 1004), (5, 1005)]
    assert registry.api().run("over/twice").config["c100"] == 1


@pytest.mark.parametrize("whole", ["run", "project"])
def test_what_is_deleted_while_it_goes_on_stays_deleted(registry: Registry, whole: str):
    """A change of its config made the run anew, without its past and under another name."""
    with registry.run(f"gone-{whole}", id="live") as run:
        run.log({"a": 1})
        api = registry.api()
        if whole == "run":
            api.run(f"gone-{whole}/live").delete()
        else:
            number = api.project(f"gone-{whole}", registry.entity).id
            delete = "mutation D($id: String!) { deleteModel(input: {id: $id}) { success } }"
            assert registry.ask(delete, id=number).status == 200
        run.config["late"] = 1
        run.log({"a": 2})
    assert [found.name for found in registry.api().projects(registry.entity)].count("gone-project") == 0
    if whole == "run":
        assert len(registry.api().runs("gone-run")) == 0
        with registry.run("gone-run", id="live") as run:  # a new process may use the id
            run.log({"a": 3})
        assert rows(registry, "gone-run/live") == [(0, 3)]


@pytest.mark.slow
@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (1, 3, 0, 2, 4, 0, 1, 2, 3)])
def test_parts_that_logged_offline_give_the_same_run_in_any_order(registry: Registry, tmp_path: Path, order: tuple):
    """Of a run: two parts, one resumed, and a fork. Of another one: two executions without resume. A fork that was
    synced before its source was refused, and one that was synced between its parts lacked rows; the config was that of
    whichever part came last.
    """
    project = f"parts-{''.join(map(str, order))}"
    machine = Machine(tmp_path)
    parts = machine.log_offline(
        project,
        ("seg", "0", "1,2,3"),
        ("seg", "3", "10,20,30", "resume=allow"),
        ("twice", "0", "1,2,3,4,5"),
        ("twice", "0", "7,8"),
        ("fork", "2", "50", "fork_from=seg?_step=1"),
    )
    for number in order:
        machine.sync(parts[number])
        if number == 4 == order[0]:
            said = "This run was forked from step 1 of run 'seg'; the registry has none of its rows."
            assert said in html.unescape(registry.page(f"/local/{project}/runs/fork"))
    assert rows(registry, f"{project}/seg") == [(0, 1), (1, 2), (2, 3), (3, 10), (4, 20), (5, 30)]
    assert rows(registry, f"{project}/twice") == [(0, 7), (1, 8)]
    sampled = registry.api().run(f"{project}/seg").history(pandas=False)
    assert [row["a"] for row in sampled] == [1, 2, 3, 10, 20, 30]
    assert [registry.api().run(f"{project}/{name}").summary["a"] for name in ("seg", "twice")] == [30, 8]
    assert rows(registry, f"{project}/fork") == [(0, 1), (1, 2), (2, 50)]
    configs = [dict(registry.api().run(f"{project}/{name}").config) for name in ("seg", "twice", "fork")]
    assert configs[0] == {"part": "10", "only1": 1, "only10": 1}
    assert configs[1] == {"part": "7", "only7": 1}
    assert configs[2]["part"] == "50"
    assert "Forked from" not in registry.page(f"/local/{project}/runs/fork")
    for name, parts_in_order in (("seg", ["1", "10"]), ("twice", ["7"]), ("fork", ["50"])):
        found, last = registry.api().run(f"{project}/{name}"), parts_in_order[-1]
        assert (found.name, found.notes, found.tags) == (f"part {last}", f"notes {last}", [f"t{last}"])
        assert [line for line in console(registry, f"{project}/{name}") if line.startswith("printed")] == [
            f"printed by {part}" for part in parts_in_order
        ]
        files = [found.file(file).download(str(tmp_path / name), replace=True) for file in ("note.txt", "config.yaml")]
        assert files[0].read() == last
        assert f'value: "{last}"' in files[1].read() or f"value: '{last}'" in files[1].read()


@pytest.mark.slow
def test_a_replaced_part_takes_its_config_along(registry: Registry, tmp_path: Path):
    """Where the part that resumed its successor was synced first, its keys stayed."""
    machine = Machine(tmp_path)
    parts = machine.log_offline("thrice", ("one", "0", "1,2"), ("one", "0", "7"), ("one", "1", "8", "resume=allow"))
    for number in (2, 0, 1, 0):
        machine.sync(parts[number])
    assert dict(registry.api().run("thrice/one").config) == {"part": "8", "only7": 1, "only8": 1}


@pytest.mark.slow
@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (0, 2, 3, 5, 1, 4), (0, 1, 2, 3, 4, 5, 5, 2, 0, 3, 1, 4)])
def test_rewinds_and_forks_between_offline_parts_give_the_same_runs_in_any_order(
    registry: Registry, tmp_path: Path, order: tuple
):
    """A part that had been rewound removed what later parts had logged when it was synced once more, and a fork from
    before the rewind got the rows from after it.
    """
    project = f"back-{''.join(map(str, order))}"
    machine = Machine(tmp_path)
    parts = machine.log_offline(
        project,
        ("seg", "0", "1,2,3,4,5"),
        ("early", "5", "100", "fork_from=seg?_step=4"),
        ("seg", "3", "30,40", "resume_from=seg?_step=2"),
        ("seg", "5", "60,70", "resume=allow"),
        ("late", "6", "200", "fork_from=seg?_step=5"),
        ("seg", "5", "500", "resume_from=seg?_step=4"),
    )
    for number in order:
        machine.sync(parts[number])
    logged = {name: [a for _, a in rows(registry, f"{project}/{name}")] for name in ("seg", "early", "late")}
    assert logged == {
        "seg": [1, 2, 3, 30, 40, 500],
        "early": [1, 2, 3, 4, 5, 100],
        "late": [1, 2, 3, 30, 40, 60, 200],
    }
    for name, part in (("seg", "500"), ("early", "100"), ("late", "200")):
        found = registry.api().run(f"{project}/{name}")
        assert (found.config["part"], found.summary["a"]) == (part, int(part))
        assert [key for key in dict(found.summary) if key.startswith("own")] == [f"own{part}"]
        assert "missing" not in registry.page(f"/local/{project}/runs/{name}")


@pytest.mark.slow
def test_what_a_rewound_part_lacks_is_said(registry: Registry, tmp_path: Path):
    """The part before it, or all of them; and the rows that a rewind took back though nothing was logged after it."""
    machine = Machine(tmp_path)
    first, resumed, rewound, fork = machine.log_offline(
        "lacking",
        ("seg", "0", "1,2"),
        ("seg", "2", "3,4", "resume=allow"),
        ("seg", "0", "none", "resume_from=seg?_step=2"),
        ("fork", "3", "9", "fork_from=seg?_step=2"),
    )
    said = machine.sync(rewound)
    assert "Where a run logged offline, sync what it logged before it was rewound first." in said
    machine.sync(fork)
    machine.sync(resumed)
    page = html.unescape(registry.page("/local/lacking/runs/fork"))
    assert "This run was forked from step 2 of run 'seg'; the registry has its steps 2 to 2. Where that was" in page
    machine.sync(first)
    assert [a for _, a in rows(registry, "lacking/fork")] == [1, 2, 3, 9]
    machine.sync(rewound)
    assert [a for _, a in rows(registry, "lacking/seg")] == [1, 2, 3]
    machine.sync(resumed)
    assert [a for _, a in rows(registry, "lacking/seg")] == [1, 2, 3]
    assert "missing" not in registry.page("/local/lacking/runs/fork")
    registry.api().run("lacking/seg").delete()
    machine.sync(first)
    machine.sync(rewound)
    page = html.unescape(registry.page("/local/lacking/runs/seg"))
    assert "This run was rewound to step 2; of what was logged before, the registry has its steps up to 1." in page
    machine.sync(resumed)
    assert [a for _, a in rows(registry, "lacking/seg")] == [1, 2, 3]
    assert "rewound to step" not in registry.page("/local/lacking/runs/seg")


def test_a_queued_run_keeps_its_words_when_it_starts(registry: Registry):
    """A run that was made ahead of its process isn't one that starts over."""
    queued = registry.api().create_run(project="queued-up", entity=registry.entity)
    change = 'mutation C($id: String!) { upsertBucket(input: {id: $id, notes: "kept"}) { bucket { id } } }'
    assert registry.ask(change, id=queued.storage_id).status == 200
    with registry.run("queued-up", id=queued.id) as run:
        run.log({"a": 1})
    assert registry.api().run(f"queued-up/{queued.id}").notes == "kept"


def test_processes_that_share_a_run_do_not_start_it_over(registry: Registry):
    settings = wandb.Settings(mode="shared", x_primary=False)
    with registry.run("sharing", id="one") as run:
        run.log({"a": 1})
    with registry.run("sharing", id="one", settings=settings) as run:
        run.log({"a": 2})
    assert [a for _, a in rows(registry, "sharing/one")] == [1, 2]

"""The parts of a run that logged offline, synced in any order, twice, with forks and rewinds between them."""

from __future__ import annotations

import html
import json
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.wandb_registry.conftest import Registry
from tests.wandb_registry.runs.test_run_starts import rows

OFFLINE = """
import pathlib, sys, wandb
run_id, first, values = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
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
    for number, value in enumerate(values if values[0] != "none" else []):
        run.log({"a": int(value)}, step=None if first == "next" else int(first) + number)
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

    def sync(self, part: Path, project: str | None = None) -> str:
        """Syncs a part, once more if it was before, or to another project. Returns what `wandb sync` says."""
        return self._run("-m", "wandb", "sync", "--include-synced", *(["-p", project] if project else []), str(part))

    def forget_synced(self) -> None:
        """As if nothing had been synced from here."""
        for kept in self.folder.glob("wandb/offline-run-*/*.sync*"):
            kept.unlink()

    def _run(self, *arguments: str) -> str:
        elsewhere = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_SERVICE")}
        elsewhere |= {"WANDB_DIR": str(self.folder), "WANDB_SILENT": "false"}
        command = [sys.executable, *arguments]
        done = subprocess.run(command, env=elsewhere, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr


def console(registry: Registry, path: str) -> list[str]:
    project, run = path.split("/")
    ask = """query C($project: String!, $run: String!) { project(name: $project, entityName: "local") {
        run(name: $run) { logLines(first: 1000) { edges { node { line } } } } } }"""
    found = registry.ask(ask, project=project, run=run).json()["data"]["project"]["run"]
    return [edge["node"]["line"].strip() for edge in found["logLines"]["edges"]]


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
@pytest.mark.parametrize(
    "order", [(0, 1, 2, 3, 4, 5), (0, 2, 3, 5, 1, 4), (1, 4, 0, 5, 3, 2), (0, 1, 2, 3, 4, 5, 5, 2, 0, 3, 1, 4)]
)
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


@pytest.mark.slow
@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (2, 1, 0, 4, 3), (4, 3, 1, 2, 0), (1, 2, 4, 1, 0, 3, 2)])
def test_parts_go_on_behind_what_was_before_them(registry: Registry, tmp_path: Path, order: tuple):
    """The script gives no steps. A resumed part that was synced first stood at step 0, and replaced all before it."""
    project = f"next-{''.join(map(str, order))}"
    machine = Machine(tmp_path)
    parts = machine.log_offline(
        project,
        ("seg", "next", "7,8,9,10"),
        ("seg", "next", "1,2"),
        ("seg", "next", "30,40", "resume=allow"),
        ("seg", "next", "60", "resume=must"),
        ("fork", "next", "50", "fork_from=seg?_step=3"),
    )
    for number in order:
        machine.sync(parts[number])
    assert rows(registry, f"{project}/seg") == [(0, 1), (1, 2), (2, 30), (3, 40), (4, 60)]
    assert rows(registry, f"{project}/fork") == [(0, 1), (1, 2), (2, 30), (3, 40), (4, 50)]
    found = registry.api().run(f"{project}/seg")
    own = {key: value for key, value in dict(found.summary).items() if not key.startswith(("_runtime", "_t", "_w"))}
    assert own == {"_step": 4, "a": 60, "own1": 1, "own30": 1, "own60": 1}
    assert dict(found.config) == {"part": "60", "only1": 1, "only30": 1, "only60": 1}
    assert (found.name, found.tags) == ("part 60", ["t60"])
    printed = [line for line in console(registry, f"{project}/seg") if line.startswith("printed")]
    assert printed == ["printed by 1", "printed by 30", "printed by 60"]


@pytest.mark.slow
def test_offline_parts_go_on_from_a_run_that_was_online(registry: Registry, tmp_path: Path):
    """They overwrote the console's lines that it had."""
    machine = Machine(tmp_path)
    with registry.run("mixed", id="one", config={"online": 1}) as run:
        for value in (1, 2, 3):
            run.log({"a": value})
            print("printed online", value)
        run.summary["own"] = 1
    parts = machine.log_offline(
        "mixed", ("one", "next", "10,11", "resume=allow"), ("one", "next", "20", "resume=allow")
    )
    for number in (1, 0, 1):
        machine.sync(parts[number])
    with registry.run("mixed", id="one", resume="allow") as run:
        run.log({"a": 99})
    found = registry.api().run("mixed/one")
    assert [a for _, a in rows(registry, "mixed/one")] == [1, 2, 3, 10, 11, 20, 99]
    assert dict(found.config) == {"online": 1, "part": "20", "only10": 1, "only20": 1}
    assert [found.summary[key] for key in ("own", "own10", "own20", "a")] == [1, 1, 1, 99]
    printed = [line for line in console(registry, "mixed/one") if line.startswith("printed")]
    assert printed == [*(f"printed online {value}" for value in (1, 2, 3)), "printed by 10", "printed by 20"]


ANNOUNCE = """
mutation A($id: String, $config: JSONString!) {
  upsertBucket(input: {id: $id, name: "one", modelName: "early", entityName: "local", host: "h", config: $config}) {
    bucket { id } } }
"""


def send_part(registry: Registry, run: str, started: float, *values: int, first: int, tells: bool = True) -> None:
    """Syncs a part as the SDK does, but that its rows are there before it tells when it started."""
    offline = {"t": {"3": [2, 4]}, "cli_version": "0.31.0"}
    registry.ask(ANNOUNCE, id=run, config=json.dumps({"_wandb": {"value": offline}}))
    rows = [{"a": value, "_step": first + at, "_timestamp": started + 1 + at} for at, value in enumerate(values)]
    lines = {"wandb-history.jsonl": {"offset": first, "content": [json.dumps(row) for row in rows]}}
    body = json.dumps({"files": lines, "complete": True}).encode()
    at = datetime.fromtimestamp(started, UTC).isoformat()
    told = {"_wandb": {"value": offline | {"e": {str(started): {"startedAt": at}}}}}
    with ThreadPoolExecutor() as threads:
        sent = threads.submit(registry.send, "POST", "/files/local/early/one/file_stream", body)
        if tells:
            time.sleep(0.5)
            assert registry.ask(ANNOUNCE, config=json.dumps(told)).status == 200
        assert sent.result().status == 200


def test_rows_that_come_before_their_part_tells_when_it_started_are_its_own(registry: Registry):
    """On a busy machine they were taken for those of a run that is online, and rows of the part before were lost."""
    with registry.run("early", id="one") as run:
        run.log({"a": 1})
    number, now = registry.api().run("early/one").storage_id, time.time()
    send_part(registry, number, now + 100, 20, first=1)
    send_part(registry, number, now + 50, 10, 11, first=2)
    send_part(registry, number, now + 100, 20, first=1)
    assert rows(registry, "early/one") == [(0, 1), (1, 10), (2, 11), (3, 20)]
    send_part(registry, number, now + 200, 30, first=4, tells=False)  # as older SDKs: they wait in vain, and are kept
    assert rows(registry, "early/one")[-1] == (4, 30)


@pytest.mark.slow
def test_a_part_is_kept_that_is_synced_after_the_run_went_on_online(registry: Registry, tmp_path: Path):
    """Rows that were logged later stood before its own, and counted as those which had replaced them."""
    machine = Machine(tmp_path)
    with registry.run("between", id="one") as run:
        run.log({"a": 1})
    parts = machine.log_offline(
        "between", ("one", "next", "10,11", "resume=allow"), ("one", "next", "20", "resume=allow")
    )
    with registry.run("between", id="one", resume="must") as run:
        run.log({"a": 2})
    for number, count in ((0, 4), (1, 5), (0, 5)):
        machine.sync(parts[number])
        assert [a for _, a in rows(registry, "between/one")] == [1, 2, 10, 11, 20][:count]
    with registry.run("between", id="one", resume="must") as run:
        run.log({"a": 3})
    assert [a for _, a in rows(registry, "between/one")] == [1, 2, 10, 11, 20, 3]
    machine.sync(max(machine.log_offline("between", ("one", "0", "7"))))  # the newest: all that lie there come back
    assert [a for _, a in rows(registry, "between/one")] == [7]


@pytest.mark.slow
def test_rows_that_have_steps_further_on_stay_there(registry: Registry, tmp_path: Path):
    machine = Machine(tmp_path)
    parts = machine.log_offline("far", ("one", "0", "1,2"), ("one", "100", "3,4", "resume=allow"))
    for number in (1, 0, 1):
        machine.sync(parts[number])
    assert rows(registry, "far/one") == [(0, 1), (1, 2), (100, 3), (101, 4)]


@dataclass(frozen=True)
class Story:
    """Parts that go on from each other by chance, and the orders in which they are synced."""

    parts: list[tuple[str, ...]]
    orders: list[list[int]]

    @classmethod
    def of(cls, seed: int) -> Story:
        chance = random.Random(seed)
        first = "next" if seed % 2 else None  # with and without steps of their own
        last: dict[str, int] = {}
        parts: list[tuple[str, ...]] = []
        for number in range(chance.randint(3, 5)):
            kinds = ["fresh", *(["resume", "resume", "fork", "again", "rewind"] if last else [])]
            kind, values = chance.choice(kinds), [10 * number + value for value in range(1, chance.randint(2, 5))]
            run = f"run{number}" if kind in ("fresh", "fork") else chance.choice(list(last))
            source = chance.choice(list(last)) if kind == "fork" else run
            at = chance.randint(0, last[source]) if kind in ("fork", "rewind") else last.get(run, -1)
            at = at if kind in ("fork", "rewind", "resume") else -1
            options = {"fork": (f"fork_from={source}?_step={at}",), "rewind": (f"resume_from={run}?_step={at}",)}
            options["resume"] = ("resume=allow",)
            parts.append((run, first or str(at + 1), ",".join(map(str, values)), *options.get(kind, ())))
            last[run] = at + len(values)
        everything = list(range(len(parts)))
        twice = everything + chance.choices(everything, k=2)
        return cls(parts, [everything, chance.sample(everything, len(everything)), chance.sample(twice, len(twice))])


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(8))
def test_parts_by_chance_give_the_same_runs_in_any_order(registry: Registry, tmp_path: Path, seed: int):
    story = Story.of(seed)
    machine = Machine(tmp_path)
    parts = machine.log_offline("chance", *story.parts)
    runs: list[Any] = []
    for order in story.orders:
        project = f"chance{seed}-{len(runs)}"
        refused = [number for number in order if "rewound first" in machine.sync(parts[number], project)]
        for number in refused:  # rewound before their run was there
            machine.sync(parts[number], project)
        machine.forget_synced()
        runs.append({run.id: everything_of(registry, project, run) for run in registry.api().runs(f"local/{project}")})
    assert runs[1:] == runs[:1] * 2, story


def everything_of(registry: Registry, project: str, run: Any) -> dict[str, Any]:
    """What a run shows of itself, but for its times."""
    path = f"{project}/{run.id}"
    summary = {key: value for key, value in dict(run.summary).items() if key.startswith(("own", "a", "_step"))}
    printed = [line for line in console(registry, path) if line.startswith("printed")]
    words = (run.name, run.notes, run.tags, run.state, run.lastHistoryStep)
    return {
        "rows": rows(registry, path),
        "config": dict(run.config),
        "summary": summary,
        "console": printed,
        "is": words,
    }

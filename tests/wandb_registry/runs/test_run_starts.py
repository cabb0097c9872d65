"""A run id that is used again: without resume, after a deletion, by processes that share it."""

from __future__ import annotations

import pytest
import wandb

from tests.wandb_registry.conftest import Registry


def rows(registry: Registry, path: str) -> list[tuple[int, int]]:
    return [(row["_step"], row["a"]) for row in registry.api().run(path).scan_history()]


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

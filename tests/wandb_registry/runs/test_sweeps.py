"""Sweeps through the SDK: the registry hands out the parameters, agents run them."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import wandb

from tests.wandb_registry.conftest import Registry

# An agent, with the wait between its heartbeats shortened.
AGENT = """
import sys, wandb
from wandb.agents import pyagent

pyagent.Agent.HEARTBEAT_SLEEP_SECONDS = 0.1

def train():
    with wandb.init() as run:
        run.log({"loss": run.config.lr * 10 + run.config.net["depth"]})

wandb.agent(sys.argv[1], function=train)
"""
ODD = "a %2F/é.b\n"  # a parameter's name
GRID = {
    "method": "grid",
    "name": "by %2F/é & grid",
    "metric": {"name": "loss", "goal": "minimize"},
    "parameters": {
        "lr": {"values": [0.1, 0.5]},
        ODD: {"value": "ü\n"},
        "net": {"parameters": {"depth": {"min": 2, "max": 4}, "kind": {"value": "dense"}}},
    },
}


def start_agent(registry: Registry, sweep: str, folder: Path) -> subprocess.Popen[str]:
    keys = {"WANDB_BASE_URL": registry.url, "WANDB_API_KEY": registry.key, "WANDB_SILENT": "true"}
    folder.mkdir()
    return subprocess.Popen([sys.executable, "-c", AGENT, sweep], env=os.environ | keys, cwd=folder, text=True)


def made(registry: Registry, config: dict, project: str) -> str:
    """A new sweep's whole name."""
    return f"{registry.entity}/{project}/{wandb.sweep(config, entity=registry.entity, project=project)}"


def test_two_agents_run_each_point_of_a_grid_once(registry: Registry, tmp_path: Path):
    name = made(registry, GRID, "searched")
    agents = [start_agent(registry, name, tmp_path / f"agent{number}") for number in range(2)]
    assert [agent.wait(timeout=120) for agent in agents] == [0, 0]
    sweep = registry.api().sweep(name)
    points = sorted((run.config["lr"], run.config["net"]["depth"], run.config["net"]["kind"]) for run in sweep.runs)
    assert points == list(itertools.product([0.1, 0.5], [2, 3, 4], ["dense"]))
    assert {run.config[ODD] for run in sweep.runs} == {"ü\n"}
    assert "of 6</span>" in registry.page(f"/{registry.entity}/searched/sweeps/{name.rpartition('/')[2]}")
    assert (sweep.state, sweep.expected_run_count, sweep.name) == ("FINISHED", 6, GRID["name"])
    assert sweep._attrs["bestLoss"] == sweep.best_run().summary["loss"] == 3.0
    assert {run.sweep_name for run in sweep.runs} == {sweep.id}
    with_agents = [len(list(agent.runs())) for agent in sweep.agents()]
    assert len(with_agents) == 2
    assert sum(with_agents) == 6
    assert [found.id for found in registry.api().project("searched", registry.entity).sweeps()] == [sweep.id]


def heartbeat(registry: Registry, agent: str, **running: bool) -> list[dict]:
    said = registry.ask(
        "mutation H($id: ID!, $runs: JSONString) { agentHeartbeat(input: {id: $id, runState: $runs}) { commands } }",
        id=agent,
        runs=json.dumps(running),
    )
    return json.loads(said.json()["data"]["agentHeartbeat"]["commands"])


def test_an_agent_does_what_the_sweeps_state_asks_for(registry: Registry):
    name = made(registry, {"method": "random", "run_cap": 2, "parameters": {"x": {"min": 0.0, "max": 1.0}}}, "states")
    sweep = name.rpartition("/")[2]
    made_agent = registry.ask(
        "mutation A($entity: String!, $sweep: String!) { createAgent(input: "
        '{host: "h", entityName: $entity, projectName: "states", sweep: $sweep}) { agent { id } } }',
        entity=registry.entity,
        sweep=sweep,
    )
    agent = made_agent.json()["data"]["createAgent"]["agent"]["id"]

    def turn(state: str) -> None:
        wandb.apis.public.sweeps._set_sweep_state(
            registry.api(), sweep, state, entity=registry.entity, project="states"
        )

    (first,) = heartbeat(registry, agent)
    assert first["type"] == "run"
    assert 0 <= first["args"]["x"]["value"] <= 1
    assert heartbeat(registry, agent, **{first["run_id"]: True}) == [], "it has a run already"
    turn("PAUSED")
    assert heartbeat(registry, agent) == []
    turn("RUNNING")
    assert heartbeat(registry, agent)[0]["type"] == "run"
    assert heartbeat(registry, agent) == [{"type": "exit"}], "two runs were wanted"
    assert registry.api().sweep(name).state == "FINISHED"
    with pytest.raises(Exception, match="already finished"):
        turn("CANCELED")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"method": "bayes", "parameters": {"x": {"min": 0, "max": 1}}},
            "'bayes' .* is not supported",
        ),
        (GRID | {"early_terminate": {"type": "hyperband"}}, "'early_terminate' .* is not supported"),
        (GRID | {"controller": {"type": "local"}}, "'controller' .* is not supported"),
        (GRID | {"parameters": {"x": {"min": 0.0, "max": 1.0}}}, "can't go through all values of 'x'"),
        (GRID | {"parameters": {"x": {"values": []}}}, "'values' of 'x' is a list"),
        (GRID | {"parameters": {"x": {"min": 3, "max": 1}}}, "'min' of 3 above its 'max' of 1"),
        (GRID | {"parameters": {"x": {"distribution": "odd"}}}, "no distribution that is known here"),
        (GRID | {"parameters": {"x": {"min": 0, "max": 9}, "y": {"min": 0, "max": 10**6}}}, "more than 1,000,000"),
        (GRID | {"run_cap": 0}, "'run_cap' is a number"),
        (
            {"method": "random", "parameters": {"x": {"distribution": "log_uniform_values", "min": 0, "max": 1}}},
            "No value of 'x' can be drawn",
        ),
    ],
)
def test_a_search_that_cannot_be_is_refused_in_one_sentence(registry: Registry, config: dict, said: str):
    with pytest.raises(Exception, match=said):
        made(registry, config, "refused")


def unfolding(text: str) -> str:
    """YAML of ten lines with this value, each but the first of ten times the one before."""
    lines = [f"a0: &a0 [{text}]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9))]
    return "\n".join([*lines, "method: grid", "parameters: {x: {values: *a8}}"])


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            unfolding("1"),
            "unfolds to more than 100,000 values",
        ),  # told to an agent it took 12 GB
        ("method: grid\nparameters: {x: {value: &a [*a]}}", "unfolds to more than"),
        ("method: grid\nparameters: {x: {value: !!binary aGk=}}", "is YAML of texts, numbers"),
        ("method: grid\nname: [1]\nparameters: {x: {value: 1}}", "'name' of a sweep is a text, not [1]"),
        ("method: grid\nparameters: {x: {values: [2026-01-31]}}", '"name":'),
    ],
)
def test_a_configuration_that_no_agent_could_be_told_is_refused(registry: Registry, config: str, said: str):
    start = 'mutation U($c: String) { upsertSweep(input: {projectName: "unfolds", config: $c}) { sweep { name } } }'
    assert said in registry.ask(start, c=config).text


def test_a_run_of_a_sweep_that_is_not_there_is_refused(registry: Registry):
    said = registry.ask(
        'mutation U($e: String!) { upsertBucket(input: {entityName: $e, modelName: "refused", name: "r", sweep: "no"}) '
        "{ inserted } }",
        e=registry.entity,
    )
    assert "Sweep 'no' was not found" in said.text

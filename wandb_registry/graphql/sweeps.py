"""Sweeps and their agents. A search by the client (`wandb.controller`) is not supported."""

import json

from wandb_registry.errors import BadInput, NotSupported
from wandb_registry.graphql.engine import paging
from wandb_registry.graphql.engine.binding import Fields
from wandb_registry.graphql.engine.limits import refuse
from wandb_registry.model import ids, projects
from wandb_registry.model.runs import runs
from wandb_registry.model.sweeps import search_space, sweeps

project = Fields("Project")
sweep = Fields("Sweep")
agent = Fields("Agent")
mutation = Fields("Mutation")
FIELDS = (project, sweep, agent, mutation)
ORDERS = ("+created_at", "created_at", "-created_at")  # of an agent's runs


@project.field("sweep")
def resolve_sweep(row, info, sweep_name):
    return sweeps.find(info.context.db, row, sweep_name)


@project.field("sweeps")
def resolve_sweeps(row, info, filters=None, first=None, after=None):
    if filters and runs.loads(filters):
        raise NotSupported("A filter of sweeps")
    return paging.connection(first, after, lambda limit, offset: sweeps.page(info.context.db, row, limit, offset))


@project.field("totalSweeps")
def resolve_sweep_count(row, info):
    return sweeps.count(info.context.db, row)


@sweep.field("id")
def resolve_id(row, info):
    return ids.encode("Sweep", row["id"])


@sweep.field("project")
def resolve_project(row, info):
    return projects.by_id(info.context.db, row["project_id"])


@sweep.field("method")
def resolve_method(row, info):
    return search_space.read(row["config"]).method


@sweep.field("bestLoss")
def resolve_best_loss(row, info):
    return sweeps.best(info.context.db, row)


@sweep.field("earlyStopJobRunning")
def resolve_early_stop(row, info):
    return False


@sweep.field("heartbeatAt")
def resolve_heartbeat(row, info):
    """When one of its agents was last heard of."""
    return max((agent["heartbeat_at"] for agent in sweeps.agents(info.context.db, row)), default=None)


@sweep.field("runCount")
def resolve_run_count(row, info):
    return sweeps.run_count(info.context.db, row)


@sweep.field("runCountExpected")
def resolve_expected_runs(row, info):
    return search_space.read(row["config"]).trials


@sweep.field("runs")
def resolve_runs(row, info, first=None, after=None):
    return paging.connection(first, after, lambda limit, offset: sweeps.runs(info.context.db, row, limit, offset))


@sweep.field("agents")
def resolve_agents(row, info):
    return paging.of_list(sweeps.agents(info.context.db, row))


@sweep.field("agent")
def resolve_agent(row, info, agent_name):
    matching = (
        agent for agent in sweeps.agents(info.context.db, row) if ids.encode("Agent", agent["id"]) == agent_name
    )
    return next(matching, None)


@agent.field("id")
@agent.field("name")
def resolve_agent_id(row, info):
    return ids.encode("Agent", row["id"])


@agent.field("state")
def resolve_agent_state(row, info):
    return sweeps.agent_state(row)


@agent.field("totalRuns")
def resolve_agents_run_count(row, info):
    return sweeps.agent_run_count(info.context.db, row)


@agent.field("runs")
def resolve_agents_runs(row, info, first=None, after=None, last=None, before=None, order=None):
    refuse({"last": last, "before": before}, "an agent's runs", "last", "before")
    if order not in (None, "", *ORDERS):
        raise NotSupported(f"The order '{order}' of an agent's runs (use one of: {', '.join(ORDERS)})")
    newest_first = order == ORDERS[-1]
    return paging.connection(
        first, after, lambda limit, offset: sweeps.agent_runs(info.context.db, row, limit, offset, newest_first)
    )


# ---- changes ----


@mutation.field("upsertSweep")
def upsert_sweep(_, info, input):
    refuse(input, "a sweep", "controller", "scheduler", "launch_scheduler", "prior_runs_filters")
    refuse(input, "a sweep", "template_variable_values")
    context = info.context
    number = ids.decode(input["id"], "Sweep") if input.get("id") else None
    return {"sweep": sweeps.upsert(context.db, context.viewer, number, input), "config_validation_warnings": []}


@mutation.field("createAgent")
def create_agent(_, info, input):
    return {"agent": sweeps.add_agent(info.context.db, info.context.viewer, input)}


@mutation.field("agentHeartbeat")
def heartbeat(_, info, input):
    refuse(input, "an agent's heartbeat", "metrics")
    context = info.context
    number = ids.decode(input["id"], "Agent")
    going = runs.loads(input.get("run_state") or "{}")
    if not isinstance(going, dict):
        raise BadInput("The run state of an agent is a JSON object.")
    row, commands = sweeps.heartbeat(context.db, context.viewer, number, busy=any(going.values()))
    return {"agent": row, "commands": json.dumps(commands)}

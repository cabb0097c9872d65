"""Runs: their fields, their history and files, and what changes them."""

import json

from wandb_registry.errors import BadInput, NotFound
from wandb_registry.graphql.engine import paging
from wandb_registry.graphql.engine.binding import Fields
from wandb_registry.model import access, ids, projects
from wandb_registry.model.access import Role
from wandb_registry.model.accounts import users
from wandb_registry.model.artifacts import lineage
from wandb_registry.model.runs import alerts, history, rewind_and_fork, run_files, runs, starts
from wandb_registry.model.sweeps import sweeps

run = Fields("Run")
mutation = Fields("Mutation")
FIELDS = (run, mutation)


# ---- fields ----


@run.field("id")
def resolve_id(row, info):
    return ids.encode("Run", row["id"])


@run.field("project")
def resolve_project(row, info):
    return projects.by_id(info.context.db, row["project_id"])


@run.field("state")
def resolve_state(row, info):
    return runs.state(row)


@run.field("tags")
def resolve_tags(row, info):
    return json.loads(row["tags"])


@run.field("group")
def resolve_group(row, info):
    return row["group_name"]


@run.field("commit")
def resolve_commit(row, info):
    return row["git_commit"]


@run.field("summaryMetrics")
def resolve_summary(row, info):
    return row["summary"]


@run.field("wandbConfig")
def resolve_internal_config(row, info, keys=None):
    return json.dumps(runs.internal_config(row, keys))


@run.field("systemMetrics")
def resolve_system_metrics(row, info):
    return json.dumps(history.system_metrics(info.context.db, row))


@run.field("user")
def resolve_user(row, info):
    return users.by_id(info.context.db, row["user_id"]) if row["user_id"] else None


@run.field("readOnly")
def resolve_read_only(row, info):
    project = projects.by_id(info.context.db, row["project_id"])
    return access.project_role(info.context.db, info.context.viewer, project) < Role.MEMBER


@run.field("stopped")
@run.field("shouldStop")
def resolve_stopped(row, info):
    return bool(row["stop_asked"])


@run.field("running")
def resolve_running(row, info):
    return runs.state(row) == "running"


@run.field("failed")
def resolve_failed(row, info):
    return runs.state(row) in ("failed", "crashed")


@run.field("exitcode")
def resolve_exit_code(row, info):
    return row["exit_code"]


@run.field("sweepName")
def resolve_sweep_name(row, info):
    return sweeps.name_of(info.context.db, row)


# ---- history ----


@run.field("historyKeys")
def resolve_history_keys(row, info):
    return history.keys(row)


@run.field("historyLineCount")
def resolve_history_count(row, info):
    return history.line_count(info.context.db, row, "history")


@run.field("eventsLineCount")
def resolve_events_count(row, info):
    return history.line_count(info.context.db, row, "events")


@run.field("historyTail")
def resolve_history_tail(row, info):
    return json.dumps(history.tail(info.context.db, row, "history"))


@run.field("eventsTail")
def resolve_events_tail(row, info):
    return json.dumps(history.tail(info.context.db, row, "events"))


@run.field("history")
def resolve_history(row, info, min_step=None, max_step=None, samples=None):
    if min_step is None and max_step is None:
        return history.lines(info.context.db, row, "history", samples)
    end = history.NO_END if max_step is None else max_step
    return history.lines_between(info.context.db, row, min_step or 0, end, samples)


@run.field("events")
def resolve_events(row, info, samples=None):
    return history.lines(info.context.db, row, "events", samples)


@run.field("sampledHistory")
def resolve_sampled_history(row, info, specs):
    return [history.rows_with(info.context.db, row, runs.loads(spec)) for spec in specs]


@run.field("parquetHistory")
def resolve_parquet_history(row, info, live_keys):
    """No parquet: all of the history is live. A scan skips the steps before the first that is named here."""
    first = history.first_step(info.context.db, row)
    return {"parquet_urls": [], "live_data": [] if first is None else [{"_step": first}]}


@run.field("logLineCount")
def resolve_console_count(row, info):
    return history.console_count(info.context.db, row)


@run.field("logLines")
def resolve_console(row, info, first=None, after=None, last=None, use_improved_pagination=None):
    db = info.context.db
    skipped = max(0, history.console_count(db, row) - last) if last is not None else 0
    return paging.connection(
        first, after, lambda limit, offset: history.console_lines(db, row, limit, offset + skipped)
    )


# ---- files ----


@run.field("fileCount")
def resolve_file_count(row, info):
    return run_files.count(info.context.db, row["id"])


@run.field("files")
def resolve_files(row, info, names=None, pattern=None, upload=None, first=None, after=None):
    db = info.context.db
    return paging.connection(
        first, after, lambda limit, offset: run_files.page(db, row["id"], names, pattern, limit, offset)
    )


# ---- lineage ----


@run.field("inputArtifacts")
def resolve_inputs(row, info, first=None, after=None):
    context = info.context
    return paging.of_list(
        access.visible(context.db, context.viewer, lineage.inputs(context.db, row["id"])), first, after
    )


@run.field("outputArtifacts")
def resolve_outputs(row, info, first=None, after=None):
    context = info.context
    return paging.of_list(
        access.visible(context.db, context.viewer, lineage.outputs(context.db, row["id"])), first, after
    )


# ---- changes ----


@mutation.field("upsertBucket")
def upsert_run(_, info, input):
    """`debug` changes nothing: older SDKs send it where WANDB_DEBUG is set, and mean their own logs."""
    number = ids.decode(input["id"], "Run") if input.get("id") else None
    context = info.context
    row, inserted = starts.upsert(context.db, context.viewer, number, input, context.may_start_over)
    return {"bucket": row, "inserted": inserted, "server_settings": {"server_messages": []}}


@mutation.field("rewindRun")
def rewind_run(_, info, input):
    db, viewer = info.context.db, info.context.viewer
    try:
        row = access.run(
            db, viewer, input.get("entity_name"), input.get("project_name"), input["run_name"], Role.MEMBER
        )
    except NotFound as error:
        raise NotFound(
            f"{error} Where a run logged offline, sync what it logged before it was rewound first."
        ) from None
    return {"rewound_run": rewind_and_fork.rewind(db, row, input["metric_name"], input["metric_value"])}


@mutation.field("stopRun")
def stop_run(_, info, input):
    runs.ask_to_stop(info.context.db, info.context.viewer, _writable(info, input["id"]))
    return {"success": True}


@mutation.field("updateRunState")
def update_run_state(_, info, input):
    runs.change_state(info.context.db, _writable(info, input["id"]), input["state"])
    return {"success": True}


@mutation.field("deleteRun")
def delete_run(_, info, input):
    context = info.context
    runs.delete(context.db, context.viewer, ids.decode(input["id"], "Run"), bool(input.get("delete_artifacts")))
    return {"client_mutation_id": input.get("client_mutation_id")}


@mutation.field("createRunFiles")
def create_run_files(_, info, input):
    context = info.context
    row = access.run(
        context.db, context.viewer, input["entity_name"], input["project_name"], input["run_name"], Role.MEMBER
    )
    return {
        "run_id": ids.encode("Run", row["id"]),
        "upload_headers": [],
        "files": [{"name": name, "upload_url": upload_address(info, row["id"], name)} for name in input["files"]],
    }


@mutation.field("markRunFilesUploaded")
def mark_run_files_uploaded(_, info, input):
    """Changes nothing: a file is recorded when its bytes are uploaded. Raises NotFound if one's weren't."""
    place = (input["entity_name"], input["project_name"], input["run_name"])
    row = access.run(info.context.db, info.context.viewer, *place, Role.MEMBER)
    names = [run_files.clean_name(name) for name in input["files"]]
    there = {file["name"] for file in run_files.named(info.context.db, row["id"], names)}
    if missing := [name for name in names if name not in there]:
        raise NotFound(f"The run has no file '{missing[0]}': its bytes didn't arrive. Upload it again.")
    return {"success": True}


@mutation.field("deleteFiles")
def delete_files(_, info, input):
    """A file that is gone already keeps no other from being deleted."""
    db, missing, deleted = info.context.db, None, 0
    for text in input["files"]:
        number = ids.decode(text, "RunFile")
        row = run_files.by_id(db, number)
        try:
            access.run_by_id(db, info.context.viewer, row["run_id"] if row else 0, Role.MEMBER)
        except NotFound as error:
            missing = error
        else:
            deleted += 1
            run_files.delete(db, number)
    if missing and not deleted:
        raise missing
    return {"success": True}


@mutation.field("notifyScriptableRunAlert")
def notify(_, info, input):
    """Keeps the alert for the pages, also one that comes within `waitDuration`: it is shown as a repeat."""
    names = (input["entity_name"], input["project_name"], input["run_name"])
    row = access.run(info.context.db, info.context.viewer, *names, Role.MEMBER)
    wait = (input.get("wait_duration") or 0) / MILLISECONDS
    alerts.add(info.context.db, row, input["title"], input["text"], input.get("severity"), wait)
    return {"success": True}


def upload_address(info, run_id: int, name: str) -> str:
    """Where to upload a file. A name that is none is refused there and told on the run's page: here it would take its
    whole batch along.
    """
    try:
        name = run_files.clean_name(name)
    except BadInput as error:
        told = f"{error} It was not kept; save it under another name."
        alerts.tell(info.context.db, run_id, "A file was refused", told)
    return info.context.address("PUT", f"/storage/runs/{run_id}/{name}", UPLOAD_SECONDS)


UPLOAD_SECONDS = 24 * 3600
MILLISECONDS = 1000  # in a second: the unit of a Duration


def _writable(info, text: str):
    return access.run_by_id(info.context.db, info.context.viewer, ids.decode(text, "Run"), Role.MEMBER)

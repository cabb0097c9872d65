"""The page that compares two versions: metrics, files, metadata and inputs. It shows differences first."""

import json
from typing import Any

from wandb_registry.errors import NotFound
from wandb_registry.model import access, projects
from wandb_registry.model.artifacts import (
    artifacts,
    collections,
    differences,
    dvc_md5,
    folder_listing,
    lineage,
    memberships,
)
from wandb_registry.model.artifacts.differences import FileDifferences
from wandb_registry.model.nested_keys import leaves
from wandb_registry.model.runs import runs, version_metrics
from wandb_registry.model.runs.version_metrics import VersionMetrics, rank
from wandb_registry.web import addresses, formats, lookups, text_diff
from wandb_registry.web.charts.metric_charts import metric_charts, toggled
from wandb_registry.web.media import overlays
from wandb_registry.web.media.logged_media import is_media, media_in, media_of_run
from wandb_registry.web.pager import Beginning, beginning, paginate
from wandb_registry.web.pages.version import version_rows
from wandb_registry.web.views import Page, PageRequest, Redirect

Row = dict[str, Any]
MOST_CHOICES = 200  # versions
FILES = 100  # on a page
MOST_FACTS = 500
MOST_CHARTS = 3


def comparison_page(request: PageRequest, project: Row, collection: Row) -> Page | Redirect:
    """Compares the versions that the address names, or else the newest two. Raises NotFound."""
    if switched := toggled(request):
        return switched
    db = request.db
    before, after = _chosen(request, collection)
    pair = [artifacts.by_id(db, row["artifact_id"]) for row in (before, after)]
    by_version = version_metrics.of_versions(db, request.viewer, [row["id"] for row in pair])
    measured = [by_version.get(row["id"], version_metrics.NO_METRICS) for row in pair]
    names = [memberships.version(row) for row in (before, after)]
    type_name = collections.type_of(db, collection)["name"]
    files = differences.count(db, pair[0], pair[1])
    pager = paginate(request, files.total, FILES, "files")
    changed = differences.page(db, pair[0], pair[1], pager.size, pager.offset) if files.total else []
    metrics = _metrics(measured)
    facts = [_facts(request, row) for row in pair]
    keys = sorted(facts[0].keys() | facts[1].keys())
    differing = [key for key in keys if facts[0].get(key) != facts[1].get(key)]
    facts_shown = beginning(request, "facts", len(differing), MOST_FACTS)
    versions = beginning(request, "choices", memberships.count(db, collection["id"]), MOST_CHOICES)
    diff = _diff(request, pair)
    return Page(
        "compare.html",
        {
            "title": f"{collection['name']}: {names[0]} → {names[1]}",
            "section": "models" if collection["kind"] == "PORTFOLIO" else "projects",
            "project": project,
            "collection": collection,
            "type": type_name,
            "before": names[0],
            "after": names[1],
            "addresses": [addresses.page_of_version(collection, project, type_name, name) for name in names],
            "form": _form(request),
            "choices": _choices(request, collection, versions.shown, (before, after)),
            "all_choices": versions,
            "swapped": addresses.comparison(collection, project, type_name, names[1], names[0]),
            "metrics": metrics,
            "measured_by": [lookups.visible_run(request, version.run) for version in measured],
            **_training_charts(request, names, pair),
            "files": files,
            "pager": pager,
            "changed": changed,
            "diff": diff,
            "all_lines": beginning(request, "diff", len(diff.lines), text_diff.MOST) if diff else None,
            "diff_addresses": _diff_addresses(request, names, changed),
            "sentence": _sentence(names, metrics, files, differing),
            "facts": [(key, facts[0].get(key), facts[1].get(key)) for key in differing[: facts_shown.shown]],
            "all_facts": facts_shown,
            "same_facts": len(keys) - len(differing),
            "inputs": _inputs(request, pair),
            "evaluation": _joint_evaluation(request, pair),
            "mask_colors": overlays.mask_colors(),
        },
    )


def _chosen(request: PageRequest, collection: Row) -> tuple[Row, Row]:
    """The memberships to compare, by `from` and `to`, by ticked versions (`v`), or else the newest two."""
    query, newest = request.query, memberships.page(request.db, collection["id"], 2, 0)
    if not newest:
        raise NotFound(f"'{collection['name']}' has no version to compare.")
    names = [*query.getlist("v"), *(query[name] for name in ("from", "to") if query.get(name))]
    named = [lookups.find_membership(request, collection, name) for name in names]
    if query.get("from") and query.get("to"):
        return named[-2], named[-1]
    ordered = sorted(named or newest, key=lambda row: row["version_index"])
    if len(ordered) > 1:
        return ordered[0], ordered[-1]
    older = [row for row in newest if row["version_index"] < ordered[0]["version_index"]]
    return (older or ordered)[0], ordered[0]


def _form(request: PageRequest) -> list[tuple[str, str]]:
    """The parameters of the address that the form for choosing versions keeps."""
    return [(key, value) for key, value in request.query.multi_items() if key in ("selectionPath", "view")]


def _diff(request: PageRequest, pair: list[Row]) -> text_diff.TextDiff | None:
    """The diff of the file that the address names; None if it names none. Raises NotFound."""
    path = request.query.get("file")
    if not path:
        return None
    entries = [folder_listing.entry(request.db, row["id"], path) for row in pair]
    if entries == [None, None]:
        raise NotFound(f"Neither version has a file '{path}'.")
    return text_diff.between(request.store.blobs, path, *entries)


def _diff_addresses(request: PageRequest, names: list[str], changed: list[Row]) -> dict[str, str]:
    """The address of the diff of each file that is small enough for one."""
    kept = dict(_form(request)) | {"from": names[0], "to": names[1]}
    path = request.address.partition("?")[0]
    return {
        row["path"]: addresses.with_query(path, kept | {"file": row["path"]}) + "#diff"
        for row in changed
        if max(row["size_before"] or 0, row["size_after"] or 0) <= text_diff.LARGEST
    }


def _choices(request: PageRequest, collection: Row, most: int, chosen: tuple[Row, Row]) -> list[tuple[str, str]]:
    """The versions to choose from, as (version, label with its aliases): the newest, and the two that are compared."""
    choices = {}
    for row in version_rows(request, collection, most, 0):
        aliases = [name for name in row["aliases"] if not dvc_md5.is_content_alias(name)]
        choices[row["version"]] = " · ".join([row["version"], *aliases])
    older = sorted(chosen, key=lambda row: -row["version_index"])
    return list(({name: name for name in map(memberships.version, older) if name not in choices} | choices).items())


def _facts(request: PageRequest, artifact: Row) -> Row:
    """A version's metadata, description and size, and the parameters of the run that made it, by dotted names."""
    maker = version_metrics.makers(request.db, request.viewer, [artifact["id"]]).get(artifact["id"])
    parameters = version_metrics.parameters(maker["config"]) if maker else {}
    facts = {f"config.{key}": value for key, value in parameters.items()}
    facts |= dict(leaves(json.loads(artifact["metadata"] or "{}")))
    facts |= {"description": artifact["description"]} if artifact["description"] else {}
    return facts | ({"git.commit": maker["git_commit"]} if maker and maker["git_commit"] else {})


def _metrics(measured: list[VersionMetrics]) -> list[Row]:
    names = sorted(measured[0].metrics.keys() | measured[1].metrics.keys(), key=lambda name: (rank(name), name))
    metrics = []
    for name in names:
        before, after = (version.metrics.get(name) for version in measured)
        change = after - before if before is not None and after is not None else None
        better = None if not change else (change < 0) == version_metrics.smaller_is_better(name)
        metrics.append({"name": name, "before": before, "after": after, "change": change, "better": better})
    return metrics


def _training_charts(request: PageRequest, names: list[str], pair: list[Row]) -> Row:
    """The first charts of the runs that made the two versions; none unless these are two of one project."""
    none: Row = {"drawn": None, "all_charts": None}
    makers = [lineage.maker(request.db, artifact) for artifact in pair]
    visible = access.visible(request.db, request.viewer, [run for run in makers if run])
    if len({run["id"] for run in visible}) < 2 or visible[0]["project_id"] != visible[1]["project_id"]:
        return none
    project = projects.by_id(request.db, visible[0]["project_id"])
    named = [run | {"display_name": name} for run, name in zip(visible, names, strict=True)]
    charts = metric_charts(request, project, named, most=MOST_CHARTS)
    if not charts.any:
        return none
    runs_of_it = addresses.with_query(
        addresses.join(project["entity_name"], project["name"], "compare"), {"run": [run["name"] for run in visible]}
    )
    return {"drawn": charts, "all_charts": Beginning(charts.pager.last, charts.pager.total, runs_of_it)}


def _joint_evaluation(request: PageRequest, pair: list[Row]) -> Row | None:
    """The results of the newest run that evaluated both versions: its summary names both md5s. None without one."""
    aliases = lookups.aliases_of_artifacts(request, [row["id"] for row in pair])
    md5s = [lookups.content_md5(aliases.get(row["id"], [])) for row in pair]
    maker = lineage.maker(request.db, pair[1])
    if not maker or not all(md5s) or md5s[0] == md5s[1]:
        return None
    run = lookups.visible_run(request, version_metrics.joint_evaluation(request.db, maker["project_id"], md5s))
    if run is None:
        return None
    summary = dict(leaves({key: value for key, value in runs.loads(run["summary"]).items() if not key.startswith("_")}))
    facts = [(key, value) for key, value in summary.items() if value is not None and not is_media(value)]
    facts.sort(key=lambda fact: (" " not in str(fact[1]), fact[0]))  # sentences first
    return {"run": run, "facts": dict(facts), "media": media_of_run(request, run, media_in(summary))}


def _inputs(request: PageRequest, pair: list[Row]) -> list[Row]:
    """The inputs of the runs that made the versions, by collection: the version that each used, or None."""
    used: list[dict[str, Row]] = []
    for artifact in pair:
        inputs = lineage.inputs(request.db, artifact["run_id"]) if artifact["run_id"] else []
        used.append({row["name"].rpartition(":")[0]: row for row in lookups.visible_versions(request, inputs)})
    return [
        {"name": name, "before": used[0].get(name), "after": used[1].get(name)}
        for name in sorted(used[0].keys() | used[1].keys())
    ]


def _sentence(names: list[str], metrics: list[Row], files: FileDifferences, differing: list[str]) -> str:
    """The summary at the top: whether the second version is better, and what differs."""
    if names[0] == names[1]:
        return "This is one version. Choose another one to compare it with."
    clauses = []
    first = next((row for row in sorted(metrics, key=lambda row: rank(row["name"])) if row["change"]), None)
    if first:
        word = "better" if first["better"] else "worse"
        clauses.append(f"{first['name']} is {formats.difference(first['change'])} {word}")
    counts = [(files.changed, "changed"), (files.added, "added"), (files.removed, "removed")]
    changes = [f"{formats.plural(number, 'file')} {word}" for number, word in counts if number]
    clauses.append(", ".join(changes) or "all files are the same")
    if differing:
        clauses.append(f"{formats.plural(len(differing), 'fact')} {'differs' if len(differing) == 1 else 'differ'}")
    return f"From {names[0]} to {names[1]}: {'; '.join(clauses)}."

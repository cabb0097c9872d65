"""Two versions of a collection side by side: metrics, files, metadata and inputs. What changed comes first."""

import json
from typing import Any

from wandb_registry.errors import NotFound
from wandb_registry.model import access
from wandb_registry.model.artifacts import (
    artifacts,
    collections,
    differences,
    dvc_md5,
    folder_listing,
    lineage,
    memberships,
)
from wandb_registry.model.nested_keys import leaves
from wandb_registry.model.runs import runs, version_metrics
from wandb_registry.model.runs.version_metrics import Score, rank
from wandb_registry.web import addresses, formats, lookups, media, media_overlays, text_diff
from wandb_registry.web.charts import metric_charts
from wandb_registry.web.pages import version as versions
from wandb_registry.web.shell import Page, Visit

Row = dict[str, Any]
CHOICES = 200
FILES = 100
FACTS = 500
CURVES = 3


def page(visit: Visit, place: Row, collection: Row) -> Page:
    """The versions that the address names with `from` and `to`, or the two that were ticked; else the newest two."""
    db = visit.db
    before, after = _chosen(visit, collection)
    pair = [artifacts.by_id(db, row["artifact_id"]) for row in (before, after)]
    found = version_metrics.of_versions(db, visit.who, [row["id"] for row in pair])
    measured = [found.get(row["id"], version_metrics.NONE) for row in pair]
    names = [memberships.version(row) for row in (before, after)]
    kind = collections.type_of(db, collection)["name"]
    files = differences.files(db, pair[0], pair[1], FILES)
    metrics = _metrics(measured)
    facts = [_facts(visit, row) for row in pair]
    keys = sorted(facts[0].keys() | facts[1].keys())
    differing = [key for key in keys if facts[0].get(key) != facts[1].get(key)]
    return Page(
        "compare.html",
        {
            "title": f"{collection['name']}: {names[0]} → {names[1]}",
            "section": "models" if collection["kind"] == "PORTFOLIO" else "projects",
            "project": place,
            "collection": collection,
            "type": kind,
            "before": names[0],
            "after": names[1],
            "addresses": [addresses.of_version(collection, place, kind, name) for name in names],
            "form": _form(visit),
            "choices": _choices(visit, collection),
            "swap": versions.compare_address(collection, place, kind) + f"&from={names[1]}&to={names[0]}",
            "metrics": metrics,
            "measured_by": [next(iter(lookups.runs(visit, [s.run] if s.run else [])), None) for s in measured],
            "drawn": _curves(visit, names, pair),
            "files": files,
            "diff": _diff(visit, pair),
            "diff_at": _diff_addresses(visit, names, files),
            "sentence": _sentence(names, metrics, files, differing),
            "facts": [(key, facts[0].get(key), facts[1].get(key)) for key in differing[:FACTS]],
            "same_facts": len(keys) - len(differing),
            "inputs": _inputs(visit, pair),
            "weighed": _weighed(visit, pair),
            "overlays": media_overlays.tables(),
        },
    )


def _chosen(visit: Visit, collection: Row) -> tuple[Row, Row]:
    """The memberships that the address names: `from` and `to`, ticked ones (`v`), or the newest with the one before."""
    query, newest = visit.query, memberships.page(visit.db, collection["id"], 2, 0)
    if not newest:
        raise NotFound(f"'{collection['name']}' has no version to compare.")
    named = [versions.found(visit, collection, name) for name in query.getlist("v")]
    named += [versions.found(visit, collection, query[name]) for name in ("from", "to") if query.get(name)]
    if query.get("from") and query.get("to"):
        return named[-2], named[-1]
    ordered = sorted(named or newest, key=lambda row: row["version_index"])
    if len(ordered) > 1:
        return ordered[0], ordered[-1]
    older = [row for row in newest if row["version_index"] < ordered[0]["version_index"]]
    return (older or ordered)[0], ordered[0]


def _form(visit: Visit) -> list[tuple[str, str]]:
    """What the form that chooses versions keeps of the address."""
    return [(key, value) for key, value in visit.query.multi_items() if key in ("selectionPath", "view")]


def _diff(visit: Visit, pair: list[Row]) -> text_diff.TextDiff | None:
    """The lines that changed in the file that the address names."""
    path = visit.query.get("file")
    if not path:
        return None
    entries = [folder_listing.entry(visit.db, row["id"], path) for row in pair]
    if entries == [None, None]:
        raise NotFound(f"Neither version has a file '{path}'.")
    return text_diff.between(visit.store.blobs, path, *entries)


def _diff_addresses(visit: Visit, names: list[str], files: differences.FileDifferences) -> dict[str, str]:
    """Where the lines that changed are shown, for each file that is small enough."""
    kept = dict(_form(visit)) | {"from": names[0], "to": names[1]}
    here = visit.address.partition("?")[0]
    return {
        row["path"]: addresses.with_query(here, kept | {"file": row["path"]}) + "#diff"
        for row in files.rows
        if max(row["size_before"] or 0, row["size_after"] or 0) <= text_diff.LARGEST
    }


def _choices(visit: Visit, collection: Row) -> list[tuple[str, str]]:
    """Versions to choose from, each with its aliases."""
    found = []
    for row in versions.rows(visit, collection, CHOICES, 0):
        words = [name for name in row["aliases"] if not dvc_md5.is_content_alias(name)]
        found.append((row["version"], " · ".join([row["version"], *words])))
    return found


def _facts(visit: Visit, artifact: Row) -> Row:
    """A version's metadata, description and size, and the parameters of the run that made it, by dotted names."""
    maker = version_metrics.makers(visit.db, visit.who, [artifact["id"]]).get(artifact["id"])
    parameters = version_metrics.parameters(maker["config"]) if maker else {}
    found = {f"config.{key}": value for key, value in parameters.items()}
    found |= dict(leaves(json.loads(artifact["metadata"] or "{}")))
    found |= {"description": artifact["description"]} if artifact["description"] else {}
    return found | ({"git.commit": maker["git_commit"]} if maker and maker["git_commit"] else {})


def _metrics(measured: list[Score]) -> list[Row]:
    names = sorted(measured[0].metrics.keys() | measured[1].metrics.keys(), key=lambda name: (rank(name), name))
    found = []
    for name in names:
        before, after = (score.metrics.get(name) for score in measured)
        change = after - before if before is not None and after is not None else None
        better = None if not change else (change < 0) == version_metrics.smaller_is_better(name)
        found.append({"name": name, "before": before, "after": after, "change": change, "better": better})
    return found


def _curves(visit: Visit, names: list[str], pair: list[Row]) -> metric_charts.MetricCharts | None:
    """How the runs that made the versions went, in the same charts; None if there is nothing to lay side by side."""
    makers = [lineage.maker(visit.db, artifact) for artifact in pair]
    seen = access.visible(visit.db, visit.who, [run for run in makers if run])
    if len(seen) < 2 or seen[0]["id"] == seen[1]["id"]:
        return None
    named = [run | {"display_name": name} for run, name in zip(seen, names, strict=True)]
    drawn = metric_charts.metric_charts(visit, named, most=CURVES)
    return drawn if drawn.has_lines else None


def _weighed(visit: Visit, pair: list[Row]) -> Row | None:
    """What a run said and showed that held one version against the other, found by their md5s in its summary."""
    aliases = lookups.aliases_of(visit, [row["id"] for row in pair])
    md5s = [lookups.md5_among(aliases.get(row["id"], [])) for row in pair]
    maker = lineage.maker(visit.db, pair[1])
    if not maker or not all(md5s) or md5s[0] == md5s[1]:
        return None
    found = version_metrics.weighing(visit.db, maker["project_id"], md5s)
    run = next(iter(lookups.runs(visit, [found] if found else [])), None)
    if run is None:
        return None
    summary = dict(leaves({key: value for key, value in runs.loads(run["summary"]).items() if not key.startswith("_")}))
    said = [(key, value) for key, value in summary.items() if value is not None and not media.is_media(value)]
    said.sort(key=lambda fact: (" " not in str(fact[1]), fact[0]))  # sentences first
    return {"run": run, "said": dict(said), "media": media.of_run(visit, run, media.among(summary))}


def _inputs(visit: Visit, pair: list[Row]) -> list[Row]:
    """What the runs that made the versions used, by collection: the same version, another one, or none."""
    used: list[dict[str, Row]] = []
    for artifact in pair:
        rows = lookups.versions(visit, lineage.inputs(visit.db, artifact["run_id"])) if artifact["run_id"] else []
        used.append({row["name"].rpartition(":")[0]: row for row in rows})
    return [
        {"name": name, "before": used[0].get(name), "after": used[1].get(name)}
        for name in sorted(used[0].keys() | used[1].keys())
    ]


def _sentence(names: list[str], metrics: list[Row], files: differences.FileDifferences, differing: list[str]) -> str:
    """What a person wants to know first: is it better, and what is different."""
    if names[0] == names[1]:
        return "This is one version. Choose another one to compare it with."
    told = []
    first = next((row for row in sorted(metrics, key=lambda row: rank(row["name"])) if row["change"]), None)
    if first:
        word = "better" if first["better"] else "worse"
        told.append(f"{first['name']} is {formats.difference(first['change'])} {word}")
    counts = [(files.changed, "changed"), (files.added, "added"), (files.removed, "removed")]
    moved = [f"{formats.plural(number, 'file')} {word}" for number, word in counts if number]
    told.append(", ".join(moved) or "all files are the same")
    if differing:
        told.append(f"{formats.plural(len(differing), 'fact')} {'differs' if len(differing) == 1 else 'differ'}")
    return f"From {names[0]} to {names[1]}: {'; '.join(told)}."

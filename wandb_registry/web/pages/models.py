"""Registered models: the list, one with its versions and their metrics, and one version of it.

W&B has them all at one address: `/registry/model?selectionPath=ENTITY/PROJECT/NAME`, with `&view=membership&version=v3`
for a version.
"""

from typing import Any

from wandb_registry.errors import NotFound
from wandb_registry.model import access, projects
from wandb_registry.model.artifacts import collections, memberships, registries
from wandb_registry.model.runs import version_metrics
from wandb_registry.model.runs.version_metrics import Score, rank
from wandb_registry.model.search import overview
from wandb_registry.web import activity, addresses, lookups, production
from wandb_registry.web.charts import version_chart
from wandb_registry.web.pager import pager
from wandb_registry.web.pages import version, version_comparison
from wandb_registry.web.shell import Page, Redirect, Visit

Row = dict[str, Any]
MANY = 50
EVENTS = 12
PARAMETERS = 3  # columns for what differs between the runs that made the versions


def show(visit: Visit) -> Page:
    """The list, a registered model or a version of one, as the query says."""
    if not visit.query.get("selectionPath"):
        return _list(visit)
    place, collection = _selected(visit)
    if visit.query.get("view") == "compare":
        return version_comparison.page(visit, place, collection)
    if visit.query.get("version"):
        return version.page(visit, place, collection, visit.query["version"])
    return _model(visit, place, collection)


def change(visit: Visit) -> Redirect:
    """A form of a model's page or of a version's."""
    if not visit.query.get("selectionPath"):
        raise NotFound("This page has nothing to change.")
    place, collection = _selected(visit)
    return version.change(visit, place, collection, visit.query.get("version"))


def _selected(visit: Visit) -> tuple[Row, Row]:
    path = visit.query["selectionPath"]
    entity, _, rest = path.partition("/")
    project, _, name = rest.partition("/")
    place = access.find_project(visit.db, visit.who, entity, project) if entity and project else None
    found = collections.find(visit.db, place["id"], name) if place else None
    if place is None or found is None:
        raise NotFound(f"There is no registered model '{path}', or '{visit.who.username}' may not see it.")
    return place, found


# ---- the list ----


def _list(visit: Visit) -> Page:
    """Registered models: of an entity, of an organization's registry, or all."""
    db, who = visit.db, visit.who
    if "org" in visit.path:
        organization = registries.find_organization(db, who, visit.path["org"])
        if organization is None:
            raise NotFound(f"Organization '{visit.path['org']}' was not found, or '{who.username}' isn't in it.")
        found = [registries.entity_of(db, organization)]
    elif "entity" in visit.path:
        found = [row for row in [access.find_entity(db, who, visit.path["entity"])] if row]
        if not found:
            raise NotFound(f"'{visit.path['entity']}' was not found, or '{who.username}' doesn't belong to it.")
    else:
        found = [access.entity(db, who, name, access.Role.VIEWER) for name in access.entities_of(db, who)]
    places = access.visible_projects(db, who, overview.projects(db, [row["id"] for row in found]))
    if "org" in visit.path:  # one registry of the organization
        places = [place for place in places if place["name"] == projects.REGISTRY_PREFIX + visit.path["name"]]
        if not places:
            raise NotFound(
                f"Organization '{visit.path['org']}' has no registry '{visit.path['name']}' that you may see."
            )
    wanted = visit.query.get("q", "").strip()
    shown = rows(visit, [place["id"] for place in places], wanted)
    return Page("models.html", {"title": "Model registry", "models": shown, "wanted": wanted})


def rows(visit: Visit, project_ids: list[int], wanted: str = "") -> list[Row]:
    """The registered models of some projects, by name: what is in production, what is newest, how good both are."""
    found = overview.registered(visit.db, project_ids, wanted)
    shown = [number for row in found for number in (row["production_artifact"], row["newest_artifact"]) if number]
    scored = version_metrics.of_versions(visit.db, visit.who, shown)
    for row in found:
        place = {"entity_name": row["entity_name"], "name": row["project_name"]}
        row["address"] = addresses.of_collection(row, place, row["type_name"])
        row["metric"] = metric_names([scored.get(row["newest_artifact"], version_metrics.NONE)], 1)
        for which in ("production", "newest"):
            score = scored.get(row[f"{which}_artifact"], version_metrics.NONE)
            row[f"{which}_score"] = score.metrics.get(row["metric"][0]) if row["metric"] else None
    return found


# ---- one ----


def _model(visit: Visit, place: Row, collection: Row) -> Page:
    db = visit.db
    pages = pager(visit, memberships.count(db, collection["id"]), MANY)
    found = version.rows(visit, collection, pages.size, pages.offset)
    scored = version_metrics.of_versions(db, visit.who, [row["artifact_id"] for row in found])
    names = metric_names([scored.get(row["artifact_id"], version_metrics.NONE) for row in found], 4)
    makers = version_metrics.makers(db, visit.who, [row["artifact_id"] for row in found])
    told = {number: version_metrics.parameters(run["config"]) for number, run in makers.items()}
    parameters = _differing(list(told.values()))
    datasets = version.datasets(visit, makers)
    for row in found:
        score = scored.get(row["artifact_id"], version_metrics.NONE)
        row |= {
            "address": addresses.of_version(collection, place, "", row["version"]),
            "metrics": score.metrics,
            "measured_by": lookups.runs(visit, [score.run])[0] if score.run else None,
            "parameters": told.get(row["artifact_id"], {}),
            "dataset": datasets.get(row["artifact_id"]),
        }
    last = overview.events_of(db, collection["id"], EVENTS)
    return Page(
        "model.html",
        {
            "title": collection["name"],
            "project": place,
            "collection": collection,
            "type": collections.type_of(db, collection)["name"],
            "versions": found,
            "pages": pages,
            "metrics": names,
            "best": {name: _best(name, found) for name in names},
            "parameters": parameters,
            "source": version.source(visit, found[0]) if found else None,
            "chart": version_chart.version_chart(names[0], found) if names else None,
            "activity": [activity.told(visit, row) for row in last],
            "sides": production.sides(visit, place, collection),
            "moved": next((activity.told(visit, row) for row in last if row["name"] == production.ALIAS), None),
            "tags": version.collection_tags(visit, collection),
            "may_change": access.project_role(db, visit.who, place) >= access.Role.MEMBER,
            "problem": visit.problem,
        },
    )


def metric_names(found: list[Score], most: int) -> list[str]:
    """The metrics to show: those that most versions have, the usual ones first."""
    counts: dict[str, int] = {}
    for score in found:
        for name in score.metrics:
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: (rank(name), -counts[name], name))[:most]


def _best(name: str, found: list[Row]) -> float | None:
    """The best value of a metric, where there is something to compare."""
    values = [row["metrics"][name] for row in found if name in row["metrics"]]
    if len(set(values)) < 2:
        return None
    return min(values) if version_metrics.smaller_is_better(name) else max(values)


def _differing(told: list[Row]) -> list[str]:
    """The parameters that are not the same for all versions."""
    names = dict.fromkeys(name for values in told for name in values)
    return [name for name in names if len({repr(values.get(name)) for values in told}) > 1][:PARAMETERS]

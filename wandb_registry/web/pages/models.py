"""The pages of registered models: the list, a model with its versions and their metrics, and a version.

W&B has all of them at one address, `/registry/model?selectionPath=ENTITY/PROJECT/NAME`. A version adds
`&view=membership&version=v3`.
"""

from typing import Any

from wandb_registry.errors import NotFound
from wandb_registry.model import access, projects
from wandb_registry.model.artifacts import artifacts, collections, memberships, registries, tags
from wandb_registry.model.runs import version_metrics
from wandb_registry.model.runs.version_metrics import VersionMetrics, rank
from wandb_registry.model.search import overview
from wandb_registry.web import addresses, lookups, production
from wandb_registry.web.activity import activity_line
from wandb_registry.web.charts.version_chart import version_chart
from wandb_registry.web.forms import version_forms
from wandb_registry.web.pager import beginning, paginate
from wandb_registry.web.pages import version_comparison
from wandb_registry.web.pages.version import version_page, version_rows
from wandb_registry.web.promotion import forms as promotion_forms
from wandb_registry.web.promotion import page as promotion_page
from wandb_registry.web.views import Page, PageRequest, Redirect

Row = dict[str, Any]
VERSIONS = 50  # on a page
EVENTS = 12
METRICS = 4  # columns of the versions' metrics
PARAMETERS = 3  # columns for what differs between the runs that made the versions


def show(request: PageRequest) -> Page | Redirect:
    """The page that the query names: the list, a model, a version, or a comparison of two."""
    if not request.query.get("selectionPath"):
        return _list_page(request)
    project, collection = _find_model(request)
    if request.query.get("view") == "compare":
        return version_comparison.comparison_page(request, project, collection)
    if request.query.get("view") == promotion_page.VIEW:
        return promotion_page.request_page(request, project, collection)
    if request.query.get("version"):
        return version_page(request, project, collection, request.query["version"])
    return _model_page(request, project, collection)


def change(request: PageRequest) -> Redirect:
    """Handles a form of a model's page or of a version's."""
    if not request.query.get("selectionPath"):
        raise NotFound("This page has nothing to change.")
    project, collection = _find_model(request)
    if request.query.get("view") == promotion_page.VIEW:
        return promotion_forms.change(request, project, collection)
    version = request.query.get("version")
    if version is None:
        return version_forms.change_collection(request, project, collection)
    return version_forms.change_version(request, project, collection, version)


def _find_model(request: PageRequest) -> tuple[Row, Row]:
    """The project and the collection that the query names. Raises NotFound."""
    path = request.query["selectionPath"]
    entity, _, rest = path.partition("/")
    project_name, _, name = rest.partition("/")
    named = bool(entity and project_name)
    project = access.find_project(request.db, request.viewer, entity, project_name) if named else None
    collection = collections.find(request.db, project["id"], name) if project else None
    if project is None or collection is None:
        raise NotFound(f"There is no registered model '{path}', or '{request.viewer.username}' may not see it.")
    return project, collection


# ---- the list ----


def _list_page(request: PageRequest) -> Page:
    """Registered models: of an entity, of an organization's registry, or all."""
    name_filter = request.query.get("q", "").strip()
    models = registered_models(request, [row["id"] for row in _projects(request)], name_filter)
    return Page("models.html", {"title": "Model registry", "models": models, "name_filter": name_filter})


def _projects(request: PageRequest) -> list[Row]:
    """The projects whose registered models the address names. Raises NotFound."""
    db, viewer = request.db, request.viewer
    rows = overview.projects(db, [row["id"] for row in _entities(request)])
    visible = access.visible_projects(db, viewer, rows)
    if "org" not in request.path:
        return visible
    name = request.path["name"]
    registry = [row for row in visible if row["name"] == projects.REGISTRY_PREFIX + name]
    if not registry:
        raise NotFound(f"Organization '{request.path['org']}' has no registry '{name}' that you may see.")
    return registry


def _entities(request: PageRequest) -> list[Row]:
    db, viewer = request.db, request.viewer
    if "org" in request.path:
        organization = registries.find_organization(db, viewer, request.path["org"])
        if organization is None:
            raise NotFound(f"Organization '{request.path['org']}' was not found, or '{viewer.username}' isn't in it.")
        return [registries.entity_of(db, organization)]
    if "entity" in request.path:
        entity = access.find_entity(db, viewer, request.path["entity"])
        if entity is None:
            raise NotFound(f"'{request.path['entity']}' was not found, or '{viewer.username}' doesn't belong to it.")
        return [entity]
    return [access.entity(db, viewer, name, access.Role.VIEWER) for name in access.entities_of(db, viewer)]


def registered_models(request: PageRequest, project_ids: list[int], name_filter: str = "") -> list[Row]:
    """The registered models of some projects, by name, with a metric of the production and of the newest version."""
    models = overview.registered(request.db, project_ids, name_filter)
    ids = [number for row in models for number in (row["production_artifact"], row["newest_artifact"]) if number]
    by_version = version_metrics.of_versions(request.db, request.viewer, ids)
    for row in models:
        project = {"entity_name": row["entity_name"], "name": row["project_name"]}
        row["address"] = addresses.page_of_collection(row, project, row["type_name"])
        names = shared_metrics([by_version.get(row["newest_artifact"], version_metrics.NO_METRICS)])
        row["metric"] = names[0] if names else None
        for which in ("production", "newest"):
            measured = by_version.get(row[f"{which}_artifact"], version_metrics.NO_METRICS)
            row[f"{which}_metric"] = measured.metrics.get(names[0]) if names else None
    return models


# ---- one ----


def _model_page(request: PageRequest, project: Row, collection: Row) -> Page:
    db = request.db
    pager = paginate(request, memberships.count(db, collection["id"]), VERSIONS)
    versions = version_rows(request, collection, pager.size, pager.offset)
    ids = [row["artifact_id"] for row in versions]
    by_version = version_metrics.of_versions(db, request.viewer, ids)
    metrics = shared_metrics([by_version.get(number, version_metrics.NO_METRICS) for number in ids])
    metrics_shown = beginning(request, "versions", len(metrics), METRICS)
    makers = version_metrics.makers(db, request.viewer, ids)
    parameters = {number: version_metrics.parameters(run["config"]) for number, run in makers.items()}
    differing = _differing(list(parameters.values()))
    parameters_shown = beginning(request, "versions", len(differing), PARAMETERS)
    datasets = _datasets(request, makers)
    for row in versions:
        measured = by_version.get(row["artifact_id"], version_metrics.NO_METRICS)
        row |= {
            "address": addresses.page_of_version(collection, project, "", row["version"]),
            "metrics": measured.metrics,
            "measured_by": lookups.visible_run(request, measured.run),
            "parameters": parameters.get(row["artifact_id"], {}),
            "dataset": datasets.get(row["artifact_id"]),
        }
    may_change = access.project_role(db, request.viewer, project) >= access.Role.MEMBER
    events_shown = beginning(request, "activity", overview.event_count(db, collection["id"]), EVENTS)
    events = overview.events_of(db, collection["id"], events_shown.shown)
    last_promotion = next((row for row in events if row["action"] == "alias" and row["name"] == production.ALIAS), None)
    return Page(
        "model.html",
        {
            "title": collection["name"],
            "project": project,
            "collection": collection,
            "type": collections.type_of(db, collection)["name"],
            "versions": versions,
            "pager": pager,
            "metrics": metrics[: metrics_shown.shown],
            "all_metrics": metrics_shown,
            "best": {name: _best(name, versions) for name in metrics},
            "parameters": differing[: parameters_shown.shown],
            "all_parameters": parameters_shown,
            "source": _source(request, versions[0]) if versions else None,
            "chart": version_chart(metrics[0], versions) if metrics else None,
            "activity": [activity_line(request, row, may_change) for row in events],
            "all_activity": events_shown,
            "asks": promotion_page.open_lines(request, project, collection),
            "approval_at": promotion_page.address_of(project, collection),
            "sides": production.production_sides(request, project, collection),
            "last_promotion": activity_line(request, last_promotion) if last_promotion else None,
            "tags": [tag["name"] for tag in tags.of_collection(db, collection["id"])],
            "may_change": may_change,
            "refused": request.refused,
        },
    )


def _source(request: PageRequest, membership: Row) -> Row | None:
    """The version as it was logged, which a registered model links to; None if the viewer may not see it there."""
    return lookups.visible_version(request, artifacts.by_id(request.db, membership["artifact_id"]))


def _datasets(request: PageRequest, makers: dict[int, Row]) -> dict[int, Row]:
    """The dataset that the run of each version used, by the version's artifact."""
    used = overview.datasets_of(request.db, [run["id"] for run in makers.values()])
    by_run = {row["used_by"]: row for row in lookups.visible_versions(request, used)}
    return {artifact: by_run[run["id"]] for artifact, run in makers.items() if run["id"] in by_run}


def shared_metrics(measured: list[VersionMetrics]) -> list[str]:
    """The metrics of some versions: the usual ones first, then those that most versions have."""
    counts: dict[str, int] = {}
    for version in measured:
        for name in version.metrics:
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: (rank(name), -counts[name], name))


def _best(name: str, versions: list[Row]) -> float | None:
    """The best value of a metric; None if there are fewer than two different values."""
    values = [row["metrics"][name] for row in versions if name in row["metrics"]]
    if len(set(values)) < 2:
        return None
    return min(values) if version_metrics.smaller_is_better(name) else max(values)


def _differing(parameters: list[Row]) -> list[str]:
    """The parameters that differ between versions."""
    names = dict.fromkeys(name for values in parameters for name in values)
    return [name for name in names if len({repr(values.get(name)) for values in parameters}) > 1]

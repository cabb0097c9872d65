"""Pictures, sounds, films, tables and plots that a run logged: what its pages can show of them."""

from typing import Any

from wandb_registry.model.artifacts import artifacts
from wandb_registry.model.nested_keys import within
from wandb_registry.model.runs import history, run_files, runs
from wandb_registry.web import lookups, media_overlays
from wandb_registry.web.charts import wandb_plots
from wandb_registry.web.pager import pager
from wandb_registry.web.pages import files
from wandb_registry.web.shell import Visit

Row = dict[str, Any]
Logged = list[tuple[str, Row]]  # keys and what was logged under each
MOST = 48  # files a page
STEPS = 12  # a page of one key
TINY = 240  # pixels across
LISTS = ("audio", "videos", "html")  # where the SDK puts several files of a key
OF_EACH = {"captions": "caption", "all_masks": "masks", "all_boxes": "boxes"}
UNSEEN = {
    "html": "A page in HTML. Nothing that was uploaded runs here, so its text is shown.",
    "plotly": "A Plotly figure, which is shown as its JSON.",
    "bokeh": "A Bokeh figure, which is shown as its JSON.",
    "object3D": "An object in three dimensions, which no page here can draw.",
    "molecule": "A molecule, which no page here can draw.",
}


def is_media(value: Any) -> bool:
    return isinstance(value, dict) and "_type" in value


def among(summary: Row) -> Logged:
    """The media of a run's summary."""
    return [(key, value) for key, value in summary.items() if is_media(value)]


def of_run(visit: Visit, run: Row, logged: Logged) -> list[Row]:
    """Each file of what a run logged under its keys that is here, and histograms."""
    asked = [(key, value, item) for key, value in logged for item in _items(value)][:MOST]
    names = {name for _, _, item in asked for name in [item.get("path"), *_beneath(item, "masks", "boxes")]}
    there = {row["name"]: row for row in run_files.named(visit.db, run["id"], [n for n in names if isinstance(n, str)])}
    found = [
        _shown(visit, run, key, value, item, there)
        for key, value, item in asked
        if isinstance(item.get("path"), str) and item["path"] in there
    ]
    return found + [_histogram(key, value) for key, value in logged if value["_type"] == "histogram"]


def steps_of(visit: Visit, run: Row, key: str) -> Row:
    """What a run logged under one key, step by step, newest first."""
    pages = pager(visit, counts(run).get(key, 0), STEPS)
    rows = history.newest_with(visit.db, run, key, pages.size, pages.offset)
    steps = [one | {"step": row.get("_step")} for row in rows for one in of_run(visit, run, [(key, within(row, key))])]
    return {"key": key, "media": steps, "pages": pages}


def counts(run: Row) -> dict[str, int]:
    """How often media were logged, by their keys."""
    known = history.keys(run)["keys"]
    return {
        key: sum(kind["count"] for kind in about["typeCounts"])
        for key, about in known.items()
        if not {kind["type"] for kind in about["typeCounts"]} & {"number", "string", "list"}
    }


def _items(value: Row) -> list[Row]:
    """What a logged value has of each of its files: path, caption, masks, boxes."""
    listed = next((value[name] for name in LISTS if isinstance(value.get(name), list)), None)
    if listed is None and not isinstance(value.get("filenames"), list):
        return [value]
    items = [{**one} for one in listed if isinstance(one, dict)] if listed else []
    items = items or [{"path": name} for name in value.get("filenames") or []]
    for many, one in OF_EACH.items():
        said = value.get(many)
        for item, words in zip(items, said if isinstance(said, list) else [], strict=False):
            item[one] = words
    return items


def _beneath(item: Row, *kinds: str) -> list[Any]:
    """The paths of a picture's masks or boxes."""
    layers = [layer for kind in kinds if isinstance(item.get(kind), dict) for layer in item[kind].values()]
    return [layer.get("path") for layer in layers if isinstance(layer, dict)]


def _shown(visit: Visit, run: Row, key: str, value: Row, item: Row, there: dict[str, Row]) -> Row:
    base = run["address"]
    file = there[item["path"]]
    name = file["name"]
    one = {"key": key, "name": name, "size": file["size"], "caption": str(item.get("caption") or "")}
    one |= {"raw": files.at(f"{base}/raw", name), "page": files.at(f"{base}/files", name)}
    kind = files.played_as(name)
    if kind == "picture":
        told = value | item
        return one | {"kind": kind, "tiny": _is_tiny(told), "over": _over(visit, run, key, told, there, base)}
    if kind:
        return one | {"kind": kind}
    if name.endswith(".table.json"):
        plot = wandb_plots.of_table(visit, run, key, file)
        return one | (plot or {"kind": "table", "page": _with_pictures(visit, value) or one["page"]})
    return one | {"kind": "file", "words": UNSEEN.get(str(value["_type"]).removesuffix("-file"), "A file.")}


def _is_tiny(value: Row) -> bool:
    """Whether a picture's own pixels shall be seen: one that is made smaller so can't be read."""
    width = value.get("width")
    return isinstance(width, int) and width <= TINY


def _with_pictures(visit: Visit, value: Row) -> str | None:
    """Where a logged table has its pictures: in its version. In the run's own file the SDK writes 'Image' for each."""
    scheme, _, path = str(value.get("artifact_path") or "").partition("://")
    name, _, file = path.partition("/")
    artifact = artifacts.of_client_id(visit.db, name) if scheme == "wandb-client-artifact" else None
    version = next(iter(lookups.versions(visit, [artifact])), None) if artifact else None
    return files.at(f"{version['address']}/files", file) if version else None


def _over(visit: Visit, run: Row, key: str, value: Row, there: dict[str, Row], base: str) -> Row | None:
    """The masks and boxes of a picture, if it has any and says how large it is."""
    width, height = value.get("width"), value.get("height")
    if not (isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0):
        return None
    masks = [files.at(f"{base}/raw", path) for path in _beneath(value, "masks") if path in there]
    boxes = [
        box
        for path in _beneath(value, "boxes")
        if path in there
        for box in media_overlays.boxes(visit.store, there[path], width, height)
    ]
    if not masks and not boxes:
        return None
    legend = media_overlays.legend(runs.loads(run["config"]), key) if masks else []
    return {"width": width, "height": height, "masks": masks, "boxes": boxes, "legend": legend}


def _histogram(key: str, value: Row) -> Row:
    """The bars of a histogram, and between which values they lie."""
    packed = value.get("packedBins") if isinstance(value.get("packedBins"), dict) else {}
    bins = value.get("bins") if isinstance(value.get("bins"), list) else []
    counts = [float(count) for count in value.get("values") or [] if isinstance(count, int | float)]
    ends = (bins[0], bins[-1]) if bins else None
    if packed and {"min", "size", "count"} <= packed.keys():
        ends = (packed["min"], packed["min"] + packed["size"] * packed["count"])
    return {"kind": "histogram", "key": key, "caption": "", **wandb_plots.histogram(counts), "ends": ends}

"""What a run's pages show of logged pictures, sounds, films, tables, plots and histograms."""

from typing import Any

from wandb_registry.model.nested_keys import within
from wandb_registry.model.runs import history, run_files, runs
from wandb_registry.web import addresses
from wandb_registry.web.charts import wandb_plots
from wandb_registry.web.media import custom_charts, logged_tables, overlays
from wandb_registry.web.media.drawings import drawing_of
from wandb_registry.web.media.steppers import steppers
from wandb_registry.web.media.types import is_page, playable_type
from wandb_registry.web.pager import Beginning, paginate
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]
Logged = list[tuple[str, Row]]  # (key, value that was logged under it)
KEYS = 48  # on a page
FILES_OF_KEY = 12  # that a page shows where it shows all keys
FILES_OF_STEP = 48  # on a page of one step
STEPS = 12  # of one key on a page
TINY = 240  # pixels of width
PLAIN = ("number", "string", "list")  # what the history calls values that are no media
LISTS = ("audio", "videos", "html", "objects")  # entries in which the SDK lists several files of a key
# Entries with one value for each file, and what one file calls its own
OF_EACH = {"captions": "caption", "all_masks": "masks", "all_boxes": "boxes"}
NOT_DRAWN = {  # by the entry's type, where the file's format is none that is drawn
    "object3D": "An object in three dimensions, which no page here can draw.",
    "molecule": "A molecule, which no page here can draw.",
}


def is_media(value: Any) -> bool:
    return isinstance(value, dict) and "_type" in value


def media_in(summary: Row) -> Logged:
    """The media of a run's summary."""
    return [(key, value) for key, value in summary.items() if is_media(value)]


def last_media(request: PageRequest, run: Row, summary: Row) -> Logged:
    """The last media of each key: those of the summary, and of keys that were logged as another value since."""
    logged = dict(media_in(summary))
    for key in sorted(media_counts(run).keys() - logged.keys()):
        rows = history.newest_with(request.db, run, key, 1, 0)
        logged |= {name: value for name, value in ((key, within(row, key)) for row in rows) if is_media(value)}
    return list(logged.items())


def media_of_run(
    request: PageRequest, run: Row, logged: Logged, most: int = FILES_OF_KEY, offset: int = 0
) -> list[Row]:
    """What a page shows of each file of the logged values, if the run has it, and of each histogram.

    `most` limits the files of one value; the last that is shown says how many the value has.
    """
    items = [(key, value, item) for key, value in logged for item in _numbered(_items(value))[offset : offset + most]]
    names = {name for _, _, item in items for name in [item.get("path"), *_layer_paths(item, "masks", "boxes")]}
    rows = run_files.named(request.db, run["id"], [name for name in names if isinstance(name, str)])
    files = {row["name"]: row for row in rows}
    media = [
        _medium(request, run, key, value, item, files)
        for key, value, item in items
        if isinstance(item.get("path"), str) and item["path"] in files
    ]
    media += [
        _absent(key, item) for key, _, item in items if isinstance(item.get("path"), str) and item["path"] not in files
    ]
    return media + [_histogram(key, value) for key, value in logged if value["_type"] == "histogram"]


def in_panels(media: list[Row]) -> list[Row]:
    """The media; plain pictures of one key stand together: the first has the `others`, and the place of the last."""
    panels: list[Row] = []
    for one in media:
        last = panels[-1] if panels else None
        if last and _is_plain(one) and _is_plain(last) and one["key"] == last["key"]:
            last["others"].append(one)
            last["place"] = one["place"]
        else:
            panels.append(one | {"others": []})
    return panels


def _is_plain(one: Row) -> bool:
    return one["kind"] == "picture" and not one["overlay"]


def page_of_media(request: PageRequest, run: Row, logged: Logged) -> Row:
    """The media of a page of keys."""
    pager, counts = paginate(request, len(logged), KEYS), media_counts(run)
    shown = logged[pager.offset : pager.last]
    found = steppers(request, run, {key: counts.get(key, 0) for key, _ in shown})
    media = media_of_run(request, run, [(key, found[key].value if key in found else value) for key, value in shown])
    for key, stepper in found.items():
        first = next((medium for medium in media if medium["key"] == key), None)
        if first:
            first |= {"stepper": stepper}
    return {"media": in_panels(media), "pager": pager}


def media_of_step(request: PageRequest, run: Row, key: str, number: str) -> Row:
    """What a run logged under one key at one step."""
    is_step = number.isascii() and number.isdigit() and len(number) < 16
    row = history.newest_at(request.db, run, key, int(number)) if is_step else None
    logged: Logged = [(key, within(row, key))] if row else []
    pager = paginate(request, sum(len(_items(value)) for _, value in logged), FILES_OF_STEP)
    media = media_of_run(request, run, logged, pager.size, pager.offset)
    return {
        "key": key,
        "media": [medium | {"step": row["_step"]} for medium in media if row],
        "pager": pager,
        "counted": "Files",
    }


def media_by_step(request: PageRequest, run: Row, key: str) -> Row:
    """What a run logged under one key, newest step first."""
    pager = paginate(request, media_counts(run).get(key, 0), STEPS)
    rows = history.newest_with(request.db, run, key, pager.size, pager.offset)
    steps = [
        medium | {"step": row.get("_step")}
        for row in rows
        for medium in media_of_run(request, run, [(key, within(row, key))])
    ]
    return {"key": key, "media": steps, "pager": pager, "counted": "Steps"}


def media_counts(run: Row) -> dict[str, int]:
    """How often media were logged, by their keys. A key may hold other values too, such as None, on other steps."""
    counts = {
        key: sum(kind["count"] for kind in about["typeCounts"] if kind["type"] not in PLAIN)
        for key, about in history.keys(run)["keys"].items()
    }
    return {key: count for key, count in counts.items() if count}


def _items(value: Row) -> list[Row]:
    """The files of a logged value, each with its path, caption, masks and boxes."""
    listed = next((value[name] for name in LISTS if isinstance(value.get(name), list)), None)
    if listed is None and not isinstance(value.get("filenames"), list):
        return [value]
    items = [{**item} for item in listed if isinstance(item, dict)] if listed else []
    items = items or [{"path": name} for name in value.get("filenames") or []]
    for plural, singular in OF_EACH.items():
        values = value.get(plural)
        for item, own in zip(items, values if isinstance(values, list) else [], strict=False):
            item[singular] = own
    return items


def _numbered(items: list[Row]) -> list[Row]:
    """The files, the place of each among them and their number."""
    return [item | {"place": place, "of": len(items)} for place, item in enumerate(items, 1)]


def _absent(key: str, item: Row) -> Row:
    """A file that was logged, but that the run doesn't have."""
    return {
        "kind": "absent",
        "key": key,
        "caption": "",
        "name": str(item["path"]),
        "place": item["place"],
        "of": item["of"],
    }


def _layer_paths(item: Row, *kinds: str) -> list[Any]:
    """The paths of a picture's masks or boxes."""
    layers = [layer for kind in kinds if isinstance(item.get(kind), dict) for layer in item[kind].values()]
    return [layer.get("path") for layer in layers if isinstance(layer, dict)]


def _medium(request: PageRequest, run: Row, key: str, value: Row, item: Row, files: dict[str, Row]) -> Row:
    base, file = run["address"], files[item["path"]]
    name = file["name"]
    medium = {"key": key, "name": name, "size": file["size"], "caption": str(item.get("caption") or "")}
    medium |= {"place": item["place"], "of": item["of"]}
    medium |= {"raw": addresses.file(f"{base}/raw", name), "page": addresses.file(f"{base}/files", name)}
    kind = playable_type(name)
    if kind == "picture":
        picture = value | item
        return medium | {
            "kind": kind,
            "dimensions": _dimensions(picture),
            "tiny": _is_tiny(picture),
            "overlay": _overlay(request, run, key, picture, files),
        }
    if kind:
        return medium | {"kind": kind}
    if name.endswith(".table.json"):
        return medium | _table(request, run, key, value, file, medium)
    if is_page(name):
        return medium | {"kind": "page", "frame": addresses.file(f"{base}/frame", name)}
    if drawing_of(name):
        return medium | {"kind": "drawing", "frame": addresses.file(f"{base}/frame", name)}
    type_name = str(value["_type"]).removesuffix("-file")
    return medium | {"kind": "file", "description": NOT_DRAWN.get(type_name, "A file.")}


def _dimensions(picture: Row) -> tuple[int, int] | None:
    """Width and height in pixels, so that a page can reserve the space until the picture is loaded."""
    width, height = picture.get("width"), picture.get("height")
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width, height
    return None


def _is_tiny(picture: Row) -> bool:
    """Whether a picture is so small that a page shows its pixels instead of smoothing them."""
    width = picture.get("width")
    return isinstance(width, int) and width <= TINY


def _table(request: PageRequest, run: Row, key: str, value: Row, file: Row, medium: Row) -> Row:
    """What shows a table: the plot that it belongs to, or its page."""
    plot = wandb_plots.plot_of_table(request, run, key, file, medium["raw"])
    if plot is None:
        page = _table_with_pictures(request, value) or medium["page"]
        frame = addresses.file(f"{run['address']}/frame", file["name"])
        plot = {"kind": "table", "page": page, "note": "", "content": logged_tables.place_of_value(request, run, value)}
        plot |= custom_charts.of_table(request, run, key, frame) or {}
    return plot


def _table_with_pictures(request: PageRequest, value: Row) -> str | None:
    """The address of a logged table in its version. There it has pictures; the run's own file only says 'Image'."""
    found = logged_tables.version_of(request, value)
    return addresses.file(f"{found[0]['address']}/files", found[1]) if found else None


def _overlay(request: PageRequest, run: Row, key: str, picture: Row, files: dict[str, Row]) -> Row | None:
    """The masks and boxes of a picture, if it has any and says how large it is; and what of them isn't drawn."""
    dimensions = _dimensions(picture)
    if dimensions is None:
        return None
    width, height = dimensions
    paths = _layer_paths(picture, "masks", "boxes")
    if not paths:
        return None
    masks = [addresses.file(f"{run['address']}/raw", path) for path in _layer_paths(picture, "masks") if path in files]
    boxes, incomplete = [], []
    for path in _layer_paths(picture, "boxes"):
        if path in files:
            drawn, total = overlays.boxes(request.store, files[path], width, height)
            boxes += drawn
            if total is None or len(drawn) < total:
                incomplete.append(Beginning(len(drawn), total or 0, addresses.file(f"{run['address']}/files", path)))
    return {
        "width": width,
        "height": height,
        "masks": masks,
        "boxes": boxes,
        "legend": overlays.legend(runs.loads(run["config"]), key) if masks else [],
        "incomplete": incomplete,
        "absent": [path for path in paths if path not in files],
    }


def _histogram(key: str, value: Row) -> Row:
    """The bars of a histogram, and the values at its ends."""
    packed = value.get("packedBins") if isinstance(value.get("packedBins"), dict) else {}
    bins = value.get("bins") if isinstance(value.get("bins"), list) else []
    counts = [float(count) for count in value.get("values") or [] if isinstance(count, int | float)]
    ends = (bins[0], bins[-1]) if bins else None
    if packed and {"min", "size", "count"} <= packed.keys():
        ends = (packed["min"], packed["min"] + packed["size"] * packed["count"])
    return {"kind": "histogram", "key": key, "caption": "", **wandb_plots.histogram(counts), "ends": ends}

"""Pictures, tables and plots that a run logged: what its page can show of them."""

import json
from typing import Any

from registry.model import runfiles
from registry.web import addresses
from registry.web.shell import Visit

Row = dict[str, Any]
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
MOST = 24
LARGEST_MATRIX = 256 * 1024  # bytes of a table that is looked at for a confusion matrix
CONFUSION = ("Actual", "Predicted", "nPredictions")


def is_media(value: Any) -> bool:
    return isinstance(value, dict) and "_type" in value


def of_run(visit: Visit, run: Row, summary: Row) -> list[Row]:
    """The last of each picture, table and file that the run logged, by its key."""
    found = []
    files = {row["name"]: row for row in runfiles.page(visit.db, run["id"], None, "media/%", 500, 0)}
    for key, value in summary.items():
        if not is_media(value) or len(found) >= MOST:
            continue
        names = value.get("filenames") or ([value["path"]] if "path" in value else [])
        for name in names[:MOST]:
            if name in files:
                found.append(_shown(visit, key, value, files[name]))
        if value["_type"] == "histogram":
            found.append({"kind": "histogram", "key": key, "bars": _bars(value)})
    return found


def _shown(visit: Visit, key: str, value: Row, file: Row) -> Row:
    base = addresses.join(visit.path["entity"], visit.path["project"], "runs", visit.path["run"])
    one = {"key": key, "name": file["name"], "size": file["size"]}
    one["raw"] = f"{base}/raw{addresses.join(*file['name'].split('/'))}"
    if file["name"].lower().endswith(PICTURES):
        return one | {"kind": "picture", "caption": value.get("caption")}
    if file["name"].endswith(".table.json"):
        matrix = confusion(visit, file)
        page = f"{base}/tables{addresses.join(*file['name'].split('/'))}"
        return one | ({"kind": "matrix", **matrix} if matrix else {"kind": "table"}) | {"page": page}
    return one | {"kind": "file"}


def confusion(visit: Visit, file: Row) -> Row | None:
    """A confusion matrix that `wandb.plot` logged as a table of counts; None for any other table."""
    if file["size"] > LARGEST_MATRIX:
        return None
    try:
        table = json.loads(visit.store.blobs.path(file["md5"]).read_bytes())
        if tuple(table["columns"]) != CONFUSION:
            return None
        counts = {(str(actual), str(predicted)): int(count) for actual, predicted, count in table["data"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    classes = list(dict.fromkeys(actual for actual, _ in counts))
    most = max((count for (actual, predicted), count in counts.items() if actual != predicted), default=0)

    def shade(actual: str, predicted: str, count: int) -> str:
        if actual == predicted:
            return "d"
        return "" if not count else "h2" if count * 2 > most else "h1"

    rows = []
    for actual in classes:
        cells = [(counts.get((actual, predicted), 0), predicted) for predicted in classes]
        rows.append((actual, [(count, shade(actual, predicted, count)) for count, predicted in cells]))
    return {"classes": classes, "rows": rows}


def _bars(value: Row) -> list[tuple[float, float, float]]:
    """The bars of a histogram as (x, height, width) within 100 × 40."""
    counts = [float(count) for count in value.get("values") or [] if isinstance(count, int | float)]
    if not counts or max(counts) <= 0:
        return []
    width = 100 / len(counts)
    return [
        (round(at * width, 2), round(count / max(counts) * 40, 2), round(width, 2)) for at, count in enumerate(counts)
    ]

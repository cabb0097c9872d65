"""The conditions of a list of runs, as its address has them: where=COLUMN COMPARISON VALUE, any number of times."""

import json
import re
from dataclasses import dataclass
from typing import Any

from wandb_registry.errors import BadInput
from wandb_registry.web import addresses
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]
# A column's name in addresses, and its name in filters of the public API
COLUMNS = {
    "name": "display_name", "id": "name", "state": "state", "job": "job_type", "group": "group_name", "tags": "tags",
    "user": "username", "notes": "notes", "commit": "commit", "started": "created_at", "runtime": "duration",
    "host": "host", "program": "program", "sweep": "sweep",
}  # fmt: skip
DOCUMENTS = {"config": "config", "summary": "summary_metrics"}
NUMBERS = ("runtime",)  # columns of COLUMNS that hold numbers
ORDERED = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}
COMPARISONS = ("is", "is not", "contains", *ORDERED)
WRITTEN = {"=": "is", "!=": "is not"}  # as addresses had them
SEARCHED = ("display_name", "name", "notes", "tags", "group_name", "job_type", "commit", "username")
CONDITION = re.compile(r"(.+?) (is not|is|contains|>=|<=|>|<) (.*)", re.DOTALL)
ALONE = ("state", "group", "job", "sweep")  # columns that an address may name without a comparison
ONE = ("key", "is", "value")  # the parts of a condition that a form has just made
MOST = 20


@dataclass(frozen=True)
class Condition:
    """One condition, and the address of the list without it."""

    column: str
    comparison: str
    value: str
    without: str

    @property
    def text(self) -> str:
        """As the address has it."""
        return f"{self.column} {self.comparison} {self.value}"


def field(column: str) -> str:
    """The name of a column in filters of the public API. Raises BadInput for an unknown column."""
    kind, _, path = column.partition(".")
    if kind in DOCUMENTS and path:
        return f"{DOCUMENTS[kind]}.{path}"
    if column in COLUMNS:
        return COLUMNS[column]
    raise BadInput(
        f"Runs have no column '{column}'. There are: {', '.join(COLUMNS)}, and columns such as summary.accuracy or "
        "config.train.epochs."
    )


def conditions(request: PageRequest) -> list[Condition]:
    """The conditions of the address. Raises BadInput for what is none, and for more than MOST."""
    query = request.query
    found: list[Condition] = []
    for text in query.getlist("where"):
        parts = CONDITION.fullmatch(text)
        if parts is None:
            raise BadInput(f"'{text}' is no condition. One reads like 'config.lr > 0.001' or 'tags is not broken'.")
        others = [other for other in query.getlist("where") if other != text]
        found.append(Condition(parts[1], parts[2], parts[3], _changed(request, where=others)))
    for column in ALONE:
        if (value := query.get(column, "")).strip():
            found.append(Condition(column, "is", value, _changed(request, **{column: None})))
    if column := query.get("key", "").strip():
        comparison = WRITTEN.get(query.get("is", "="), query.get("is", ""))
        if comparison not in COMPARISONS:
            raise BadInput(f"'{comparison}' is no comparison. There are: {', '.join(COMPARISONS)}.")
        value = query.get("value", "").strip()
        found.append(Condition(column, comparison, value, _changed(request, **dict.fromkeys(ONE))))
    if len(found) > MOST:
        raise BadInput(f"A list takes {MOST} conditions at most; these are {len(found)}.")
    return found


def _changed(request: PageRequest, **changed: Any) -> str:
    kept = {key: request.query.getlist(key) for key in request.query if key != "page"}
    return addresses.with_query(request.address.partition("?")[0], kept | changed)


def kept(request: PageRequest, found: list[Condition], *besides: str) -> list[tuple[str, str]]:
    """What a form of the list keeps of the address: all but `besides`, with each condition as one `where`."""
    dropped = {"where", "page", *ALONE, *ONE, *besides}
    others = [(key, value) for key, value in request.query.multi_items() if key not in dropped]
    return others + [("where", condition.text) for condition in found]


def filters(request: PageRequest, found: list[Condition]) -> str | None:
    """Search and conditions as a filter of the public API; None if there are none. Raises BadInput."""
    clauses = [_clause(condition) for condition in found]
    if text := request.query.get("q", "").strip():
        clauses.append({"$or": [{name: _part(text)} for name in SEARCHED]})
    return json.dumps({"$and": clauses}) if clauses else None


def _clause(condition: Condition) -> Row:
    name, text = field(condition.column), condition.value.strip()
    if condition.comparison == "contains":
        return {name: _part(text)}
    is_text = condition.column in COLUMNS and condition.column not in NUMBERS
    if operator := ORDERED.get(condition.comparison):
        return {name: {operator: text if is_text else _value(text)}}
    # any of several, or one with commas, or with the blanks that a name may begin and end with
    meant = list(dict.fromkeys([text, condition.value, *(part.strip() for part in text.split(","))]))
    values: list[Any] = [*meant] if is_text else [value for part in meant for value in (part, _value(part))]
    if text == "none":
        values.append(None)
    return {name: {"$in" if condition.comparison == "is" else "$nin": values}}


def _part(text: str) -> Row:
    """A part of a text, or of a member of a list, in whichever case."""
    return {"$regex": f"(?i){re.escape(text)}"}


def _value(text: str) -> Any:
    """The value that a text means: JSON, such as a number, or else the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, list | dict) else value

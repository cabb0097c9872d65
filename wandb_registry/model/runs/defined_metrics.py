"""What `define_metric` says of a run's metrics: the axis that each belongs to, and which stay out of sight.

The SDK writes it into the config as messages of wandb_internal.proto's MetricRecord, with the numbers of their fields.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from wandb_registry.model.runs.runs import internal_config
from wandb_registry.model.runs.series import STEP

Row = dict[str, Any]
NAME, GLOB, STEP_NAME, STEP_INDEX, OPTIONS, SUMMARY, GOAL = "1", "2", "4", "5", "6", "7", "8"
HIDDEN = 2  # among the options
MINIMUM, MAXIMUM = 1, 2  # among the summary's fields
MINIMIZE, MAXIMIZE = 1, 2  # goals


@dataclass(frozen=True)
class DefinedMetric:
    """A metric as it was defined: the metric that is its axis, and whether a smaller value is a better one."""

    pattern: str
    axis: str | None
    hidden: bool
    smaller_is_better: bool | None  # None if it isn't told


class DefinedMetrics:
    """The definitions of one run."""

    def __init__(self, run: Row):
        told = internal_config(run, ["m"]).get("m")
        records = [record for record in told if isinstance(record, dict)] if isinstance(told, list) else []
        self._exact: dict[str, DefinedMetric] = {}
        self._patterns: list[DefinedMetric] = []
        for record in records:
            name, pattern = record.get(NAME), record.get(GLOB)
            if isinstance(name, str):
                self._exact[name.replace("\\.", ".")] = _defined(record, name, records)
            elif isinstance(pattern, str):
                self._patterns.append(_defined(record, pattern, records))

    def of(self, metric: str) -> DefinedMetric | None:
        """The definition of a metric: its own, or else the first pattern that it matches."""
        if metric in self._exact:
            return self._exact[metric]
        return next((one for one in self._patterns if fnmatchcase(metric, one.pattern)), None)

    def is_hidden(self, metric: str) -> bool:
        found = self.of(metric)
        return found is not None and found.hidden


def _defined(record: Row, pattern: str, records: list[Row]) -> DefinedMetric:
    options, summary = _numbers(record, OPTIONS), _numbers(record, SUMMARY)
    axis, index = record.get(STEP_NAME), record.get(STEP_INDEX)
    if not axis and isinstance(index, int) and 0 < index <= len(records):
        axis = records[index - 1].get(NAME)
    goal = record.get(GOAL)
    better = goal == MINIMIZE if goal in (MINIMIZE, MAXIMIZE) else None
    if better is None and (MINIMUM in summary) != (MAXIMUM in summary):
        better = MINIMUM in summary
    return DefinedMetric(pattern, axis if isinstance(axis, str) else None, HIDDEN in options, better)


def _numbers(record: Row, field: str) -> list[Any]:
    """The fields that are set in a message within a record."""
    found = record.get(field)
    return found if isinstance(found, list) else []


def defined_axis(definitions: list[DefinedMetrics], metric: str, axes: list[str] | None = None) -> str:
    """The axis that the first of some runs defines for a metric, if it is one of `axes`; else the step."""
    found = (defined.axis for one in definitions if (defined := one.of(metric)))
    return next((axis for axis in found if axis and axis != metric and (axes is None or axis in axes)), STEP)

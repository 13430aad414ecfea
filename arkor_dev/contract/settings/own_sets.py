"""Custom evaluation sets: ``[[evaluation]]`` in arkor.toml, ``evaluations`` in a job's config."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.rules import quoted, text_line

from .json_schema import pattern_fault, schema_fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FIELD: Final = "evaluations"
METRICS: Final = ("loss", "exact_match", "contains", "regex", "json_schema", "tool_call")
ENTRY: Final = re.compile(r"[A-Za-z_]\w{0,79}(\.[A-Za-z_]\w{0,79}){0,9}:[A-Za-z_]\w{0,79}", re.ASCII)
"""``module:function`` of the project."""
MOST: Final = 10
"""Maximum number of sets of a job."""
NAME: Final = text_line(60)
PATH: Final = text_line(1000, "the path of a file or folder of the project")
KEYS: Final = ("name", "path", "metric", "pattern", "schema")


def fault_of(settings: Mapping[str, object]) -> tuple[str, str] | None:
    """Return the key of the first error in a set and what it must be; None if the set is valid."""
    for key, rule in (("name", NAME), ("path", PATH)):
        if not rule.fits(settings.get(key)):
            return key, f"must be {rule.words}"
    metric = settings.get("metric", "loss")
    if metric not in METRICS and not (isinstance(metric, str) and ENTRY.fullmatch(metric)):
        return (
            "metric",
            f"must be one of {', '.join(METRICS)}, or a function as module:function, not {quoted(metric)}",
        )
    for key, goes_with in (("pattern", "regex"), ("schema", "json_schema")):
        if settings.get(key) is not None and metric != goes_with:
            return key, f"applies only to the metric {goes_with}"
    if settings.get("pattern") is not None and (fault := pattern_fault(settings["pattern"])):
        return "pattern", fault
    if metric == "json_schema":
        if settings.get("schema") is None:
            return "schema", "is missing: the metric json_schema needs one"
        if fault := schema_fault(settings["schema"]):
            return "schema", fault
    return None


def without_functions(sets: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """Return those valid ``sets`` that run no function of the project, which a remote job may not."""
    return [settings for settings in sets if settings.get("metric", "loss") in METRICS]


def sets_fault(sets: object) -> str | None:
    """Return what is wrong with the ``evaluations`` of a job's config, or None."""
    if not isinstance(sets, list) or len(sets) > MOST or not all(isinstance(entry, dict) for entry in sets):
        return f"config.{FIELD} must be a list of {MOST} objects at most"
    for index, settings in enumerate(sets):
        if fault := fault_of(settings):
            return f"config.{FIELD}[{index}].{fault[0]} {fault[1]}"
    names = [settings["name"] for settings in sets]
    if len(set(names)) < len(names):
        return f"config.{FIELD} has two with the same name"
    return None

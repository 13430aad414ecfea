"""Custom evaluation sets: ``[[evaluation]]`` in arkor.toml, ``evaluations`` in a job's config."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.rules import KEY_VARIABLE, Rule, filled, integer, quoted, string, text_line

from .json_schema import pattern_fault, schema_fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FIELD: Final = "evaluations"
RUBRIC: Final = "rubric"
"""The metric of answers that a judge scores."""
METRICS: Final = ("loss", "exact_match", "contains", "regex", "json_schema", "tool_call", RUBRIC)
ENTRY: Final = re.compile(r"[A-Za-z_]\w{0,79}(\.[A-Za-z_]\w{0,79}){0,9}:[A-Za-z_]\w{0,79}", re.ASCII)
"""``module:function`` of the project."""
MOST: Final = 10
"""Maximum number of sets of a job."""
NAME: Final = text_line(60)
PATH: Final = text_line(1000, "the path of a file or folder of the project")
KEYS: Final = ("name", "path", "metric", "pattern", "schema", "rubric", "range", "judge")
LONGEST_RUBRIC: Final = 8_000
"""Maximum number of characters of a rubric."""
RANGE: Final = (0.0, 1.0)
"""The lowest and the highest score, unless a set says otherwise."""
BUDGET: Final = 10_000
"""Maximum number of requests of one job to a judge, unless its set says otherwise."""
ADDRESS: Final = string(
    "the address of a server with OpenAI's API, such as http://localhost:1234/v1, without a user name, "
    "?query or #fragment",
    re.compile(r"https?://[^\s/?#@]+(/[^\s?#@]*)?").fullmatch,
)
VARIABLE: Final = string(
    "the name of the environment variable with the key, which ends with API_KEY",
    KEY_VARIABLE.fullmatch,
)
JUDGE: Final[Mapping[str, Rule]] = {
    "teacher": ADDRESS,
    "model": text_line(200, "the name of the judge's model"),
    "keyEnv": VARIABLE,
    "budgetRequests": integer(1),
    "budgetTokens": integer(1, 10**12),
}
"""The keys of a judge: the first two are needed."""


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
    of_judges = ("rubric", RUBRIC), ("range", RUBRIC), ("judge", RUBRIC)
    for key, goes_with in (("pattern", "regex"), ("schema", "json_schema"), *of_judges):
        if settings.get(key) is not None and metric != goes_with:
            return key, f"applies only to the metric {goes_with}"
    if settings.get("pattern") is not None and (fault := pattern_fault(settings["pattern"])):
        return "pattern", fault
    if metric == "json_schema":
        if settings.get("schema") is None:
            return "schema", "is missing: the metric json_schema needs one"
        if fault := schema_fault(settings["schema"]):
            return "schema", fault
    return _judge_fault(settings) if metric == RUBRIC else None


def _judge_fault(settings: Mapping[str, object]) -> tuple[str, str] | None:
    rubric, judge, score_range = (settings.get(key) for key in ("rubric", "judge", "range"))
    if rubric is None:
        return "rubric", "is missing: the metric rubric needs one, a text that says what earns which score"
    if not (rule := filled(LONGEST_RUBRIC)).fits(rubric):
        return "rubric", f"must be {rule.words}"
    if not isinstance(judge, dict):
        return "judge", 'must name a model, such as { teacher = "http://localhost:1234/v1", model = "qwen3" }'
    for key, rule in JUDGE.items():
        value = judge.get(key)
        if (key in ("teacher", "model") or value is not None) and not rule.fits(value):
            return "judge", f"has no valid {spelled(key)}: it must be {rule.words}"
    if unknown := sorted(judge.keys() - JUDGE):
        return "judge", f"has no key {unknown[0]}. There are: {', '.join(map(spelled, JUDGE))}"
    if score_range is not None and not _is_range(score_range):
        return "range", "must be the lowest and the highest score, such as [0, 1]"
    return None


def spelled(key: str) -> str:
    """Return a judge's key as arkor.toml spells it."""
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", key)


def _is_range(value: object) -> bool:
    bound = Rule("number", -1000, 1000)
    return isinstance(value, list) and len(value) == 2 and all(map(bound.fits, value)) and value[0] < value[1]


def importable(sets: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """Return those valid ``sets`` that another machine's job may bring along.

    They run no function of this project, and send nothing, such as a key of this machine, to an address.
    """
    allowed = [metric for metric in METRICS if metric != RUBRIC]
    return [settings for settings in sets if settings.get("metric", "loss") in allowed]


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

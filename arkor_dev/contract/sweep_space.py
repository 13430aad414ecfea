"""The space of a sweep: which settings it searches, and which values of each.

A setting has a list of values, or a range ``{low, high, log?}``. Used by ``arkor.toml``, the command, and the
backend, so that all of them refuse the same values with the same messages.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeAlias

from .rules import quoted
from .settings import by_field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .rules import Rule
    from .shapes import ValueRange

RANGE_KEYS: Final = ("low", "high", "log")
MOST_SETTINGS: Final = 12
MOST_VALUES: Final = 100
VALUES_WORDS: Final = (
    "a list of values, such as [8, 16], or a range, such as { low = 1e-4, high = 5e-3, log = true }"
)
FIXED: Final = frozenset(
    {
        *("model", "method", "seed", "splitSeed", "dataSeed", "dryRun"),
        *("datasetSplit", "evalSteps", "verdictMargin", "samples", "loggingSteps", "saveSteps"),
        *("saveTotalLimit", "reportTo", "workers", "cpus", "gpus", "memory", "pauseOnBattery", "gpuTypes"),
    }
)
"""Settings that all trials share: what they are measured on, and where and how they run."""
LENGTH: Final = ("maxSteps", "numTrainEpochs")
SCHEDULE: Final = frozenset(
    {
        *LENGTH,
        *("lrSchedulerType", "warmupSteps", "warmupRatio", "lrNumCycles", "lrPower", "lrNumDecaySteps"),
        *("earlyStoppingPatience", "earlyStoppingThreshold", "stopWhen"),
    }
)
"""Settings that decide what a run looks like over its whole length, so that a short one says nothing."""


Space: TypeAlias = "dict[str, list[object] | ValueRange]"
"""The values of each setting, by field."""


def space_problem(space: Mapping[str, object], method: object = None) -> tuple[str, str] | None:
    """Return the field at fault, and what is wrong with it, in words to follow its name; None if valid."""
    known = by_field()
    if not space:
        return "", "has no setting to search"
    if len(space) > MOST_SETTINGS:
        return "", f"has more than {MOST_SETTINGS} settings"
    for field, values in space.items():
        if field not in known:
            return field, "is not a setting of a trainer"
        if field in FIXED:
            return field, "is the same in all trials, so that they can be compared"
        row = known[field].of(method)
        if method in row.measured_by:
            return field, (
                f"decides what {quoted(method)} measures held-out rows by, so trials with different "
                "values cannot be compared"
            )
        used = method or known["method"].default
        if row.methods and used not in row.methods:
            return field, f"has no effect with the method {quoted(used)}"
        if fault := _values_problem(values, row.rule):
            return field, fault
    if all(name in space for name in LENGTH):
        return LENGTH[1], "and the number of steps cannot both be searched"
    return None


def _values_problem(values: object, rule: Rule) -> str | None:
    if isinstance(values, list):
        if not 2 <= len(values) <= MOST_VALUES:
            return f"needs 2 to {MOST_VALUES} values, and has {len(values)}"
        wrong = next((value for value in values if not rule.fits(value)), None)
        if wrong is not None:
            return f"must be {rule.words}, not {quoted(wrong)}"
        if any(value in values[:index] for index, value in enumerate(values)):
            return "has a value twice"
        return None
    if not isinstance(values, dict) or not {"low", "high"} <= values.keys() <= set(RANGE_KEYS):
        return f"must be {VALUES_WORDS}"
    if rule.kind not in ("whole", "number"):
        return "has no range, since its values are not numbers: list them"
    low, high, log = values["low"], values["high"], values.get("log", False)
    for end in (low, high):
        if not rule.fits(end):
            return f"must be {rule.words}, not {quoted(end)}"
    if low >= high:
        return f"has a range that ends ({quoted(high)}) before it begins ({quoted(low)})"
    if not isinstance(log, bool):
        return f"has log = {quoted(log)}, which must be true or false"
    if log and low <= 0:
        return "has a logarithmic range, which must begin above 0"
    return None


def is_whole(field: str) -> bool:
    """Return whether the values of a range are integers."""
    return by_field()[field].rule.kind == "whole"


def combinations(space: Mapping[str, object]) -> int | None:
    """Return the number of different trials; None if a range is continuous."""
    if any(isinstance(values, dict) for values in space.values()):
        return None
    return math.prod(len(values) for values in space.values() if isinstance(values, list))

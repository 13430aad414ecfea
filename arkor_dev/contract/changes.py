"""Settings changed for one run, or to be written into ``arkor.toml``.

Changes are ``{field: value}`` under the names of a job's config. ``None`` removes a setting, as if the file
did not mention it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .rules import quoted
from .settings import SETTINGS, by_field
from .settings.conflicts import conflicts

if TYPE_CHECKING:
    from collections.abc import Mapping

ADJUSTING: Final = "adjusting"
"""The reason of the pause while a running job's settings change."""
ONE_OF: Final = (("maxSteps", "numTrainEpochs"), ("warmupSteps", "warmupRatio"))
"""Pairs of settings that exclude each other: setting one removes the other."""


def problem(changes: Mapping[str, object], prefix: str = "settings.") -> str | None:
    """Return what is wrong with the first invalid change, or None.

    Stricter than for a job's config: refuses a field that the table does not know.
    """
    known = by_field()
    for field, value in changes.items():
        row = known.get(field)
        if row is None:
            return f"{prefix}{quoted(field)} is not a trainer setting"
        if (value is None and row.required) or (value is not None and not row.fits(value)):
            return f"{prefix}{field} must be {row.rule.words}, not {quoted(value)}"
    for pair in ONE_OF:
        if all(changes.get(field) is not None for field in pair):
            return f"{' and '.join(known[field].key for field in pair)} are both set. Remove one of the two"
    return None


def conflict(config: Mapping[str, object]) -> str | None:
    """Return a conflict in a config with changes applied, by the keys of ``arkor.toml``, or None."""
    known = by_field()
    return next((text for _, text in conflicts(config, lambda field: known[field].key)), None)


def complete(config: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """Return the changes in the table's order, plus the removals that they cause in ``config``."""
    completed = dict(changes)
    for first, second in ONE_OF:
        for field, other in ((first, second), (second, first)):
            if completed.get(field) is not None and other not in completed and config.get(other) is not None:
                completed[other] = None
    return {row.field: completed[row.field] for row in SETTINGS if row.field in completed}


def applied(config: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    merged = {**config, **complete(config, changes)}
    return {field: value for field, value in merged.items() if value is not None}


def for_managed(config: Mapping[str, object]) -> dict[str, object]:
    """Return a job's config as the managed backend reads it: how rows are held out is an object there."""
    share, asked = config.get("datasetSplit"), dict(config)
    if config.get("evalSteps") == 0:
        share = asked.pop("evalSteps")
    if isinstance(share, int | float):
        split: dict[str, object] = {"enabled": False}
        if share > 0:
            seed = config.get("splitSeed")
            split = {"enabled": True, "testSize": share, **({} if seed is None else {"seed": seed})}
        asked["datasetSplit"] = split
    return asked


def from_managed(config: Mapping[str, object]) -> dict[str, object]:
    """Return a config of the managed backend in our form, as far as it has one."""
    match config.get("datasetSplit"):
        case {"enabled": False}:
            return {**config, "datasetSplit": 0}
        case {"testSize": int() | float() as share}:
            return {**config, "datasetSplit": share}
    return dict(config)

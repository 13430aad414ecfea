"""Settings that a person changes for one run, or has written into ``arkor.toml``.

Changes are ``{field: value}`` under the names of a job's config. ``None`` takes a setting away, as if the
file did not say it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .rules import quoted
from .settings import SETTINGS, by_field

if TYPE_CHECKING:
    from collections.abc import Mapping

ONE_OF: Final = ("maxSteps", "numTrainEpochs")
"""Either decides how long a training is, so that setting one takes the other away."""
BOTH: Final = "steps and epochs are both set. Keep the one that should decide the length"


def problem(changes: Mapping[str, object], prefix: str = "settings.") -> str | None:
    """What is wrong with the first wrong one of the changes, in the words of the table; None when none is.

    Stricter than what a job's config may say: a field that the table does not know is refused.
    """
    known = by_field()
    for field, value in changes.items():
        row = known.get(field)
        if row is None:
            return f"{prefix}{quoted(field)} is no setting of a trainer"
        if (value is None and row.required) or (value is not None and not row.rule.fits(value)):
            return f"{prefix}{field} must be {row.rule.words}, not {quoted(value)}"
    if all(changes.get(field) is not None for field in ONE_OF):
        return BOTH
    return None


def complete(config: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """The changes in the order of the table, with what they take away besides from ``config``."""
    first, second = ONE_OF
    whole = dict(changes)
    for field, other in ((first, second), (second, first)):
        if whole.get(field) is not None and other not in whole and config.get(other) is not None:
            whole[other] = None
    return {row.field: whole[row.field] for row in SETTINGS if row.field in whole}


def applied(config: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """``config`` with the changes, which have no `problem`."""
    merged = {**config, **complete(config, changes)}
    return {field: value for field, value in merged.items() if value is not None}

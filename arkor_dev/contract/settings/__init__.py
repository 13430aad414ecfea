"""The trainer's settings, each defined once for reading, checking, display and documentation.

Users: ``arkor.toml`` and its errors, the local backend's check of a job, the page's types, labels and form
(``scripts/generate.py``), the file that ``arkor-dev init`` writes, and ``docs/settings.md``. To add a
setting, add a row to its group's module and the code that uses it (``arkor_dev/local/training``); a test
fails for a row that no training code reads. ``conflicts`` lists incompatible settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.contract.rules import quoted

from . import (
    adapter,
    advanced,
    classification,
    compute,
    data,
    distillation,
    embedding,
    evaluation,
    precision,
    preference,
    reward,
    schedule,
    usual,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .setting import Setting

SETTINGS: tuple[Setting, ...] = (
    *usual.ROWS,
    *schedule.ROWS,
    *adapter.ROWS,
    *data.ROWS,
    *preference.ROWS,
    *reward.ROWS,
    *distillation.ROWS,
    *classification.ROWS,
    *embedding.ROWS,
    *evaluation.ROWS,
    *precision.ROWS,
    *advanced.ROWS,
    *compute.ROWS,
)
"""In reading order."""


def below(table: str) -> list[Setting]:
    """Return the settings directly in a table of arkor.toml; ``""`` is the ``[[trainer]]``."""
    return [setting for setting in SETTINGS if setting.table == table]


def tables() -> list[str]:
    """Return the tables inside a ``[[trainer]]`` that hold settings."""
    return list(dict.fromkeys(setting.table for setting in SETTINGS if setting.table))


def by_field() -> dict[str, Setting]:
    """Return every setting by its wire field."""
    return {setting.field: setting for setting in SETTINGS}


def wire_problem(config: Mapping[str, object]) -> str | None:
    """Return what is wrong with the first invalid setting of a job's config; null counts as absent."""
    for row in SETTINGS:
        setting, value = row.of(config.get("method")), config.get(row.field)
        if value is None:
            if setting.required:
                return f"config.{setting.field} is missing: it must be {setting.rule.words}"
        elif not setting.passes(value) and not setting.rule.fits(value):
            return f"config.{setting.field} must be {setting.rule.words}, not {quoted(value)}"
    return None

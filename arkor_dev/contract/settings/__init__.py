"""The trainer's settings, each said once; all that reads, checks, shows or documents them comes from here.

That is: ``arkor.toml`` and its errors, the local backend's check of a job, the page's types, labels and form
(``scripts/generate.py``), the file that ``arkor-dev init`` writes, and ``docs/settings.md``. Adding a setting
means a row in its group's module and the code that obeys it (``arkor_dev/local/training``); a test fails for
a row that no training reads. ``conflicts`` has what does not go together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.contract.rules import quoted

from . import adapter, advanced, compute, data, evaluation, precision, preference, schedule, usual

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .setting import Setting

SETTINGS: tuple[Setting, ...] = (
    *usual.ROWS,
    *schedule.ROWS,
    *adapter.ROWS,
    *data.ROWS,
    *preference.ROWS,
    *evaluation.ROWS,
    *precision.ROWS,
    *advanced.ROWS,
    *compute.ROWS,
)
"""In reading order."""


def below(table: str) -> list[Setting]:
    """The settings that stand directly in a table of arkor.toml; ``""`` is the ``[[trainer]]``."""
    return [setting for setting in SETTINGS if setting.table == table]


def tables() -> list[str]:
    """The tables inside a ``[[trainer]]`` that hold settings."""
    return list(dict.fromkeys(setting.table for setting in SETTINGS if setting.table))


def by_field() -> dict[str, Setting]:
    """Every setting by its field on the wire."""
    return {setting.field: setting for setting in SETTINGS}


def wire_problem(config: Mapping[str, object]) -> str | None:
    """What is wrong with the first setting of a job's config that is; null counts as unsaid."""
    for setting in SETTINGS:
        value = config.get(setting.field)
        if value is None:
            if setting.required:
                return f"config.{setting.field} is missing: it must be {setting.rule.words}"
        elif not setting.passes(value) and not setting.rule.fits(value):
            return f"config.{setting.field} must be {setting.rule.words}, not {quoted(value)}"
    return None

"""``[sweep]`` in ``arkor.toml``: which settings of a trainer to search, and until when."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.rules import Rule, integer, quoted, text_line
from arkor_dev.contract.settings import SETTINGS, by_field, tables
from arkor_dev.contract.sweep_space import VALUES_WORDS, space_problem

from .one_table import load_table
from .problems import Problems, suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import ManifestSweep, Trainer

TABLE: Final = "sweep"
SPACE: Final = "space"
CLOCK: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def _is_until(value: object) -> bool:
    return isinstance(value, str) and _deadline(value, datetime.now().astimezone()) is not None


RULES: Final = {
    "trainer": text_line(80, "a trainer's name"),
    "until": Rule("other", noun='a time of day, such as "07:00", or a date and time', test=_is_until),
    "hours": Rule("number", 0, 14 * 24, "a number of hours", above=True),
    "jobs": integer(2, 500),
}


@dataclass(frozen=True, slots=True)
class SweepTable:
    """``[sweep]``, checked; ``space`` by field."""

    trainer: str | None = None
    until: str | None = None
    hours: float | None = None
    jobs: int | None = None
    space: dict[str, object] | None = None

    def written(self) -> ManifestSweep:
        """Return the keys that are set."""
        table: ManifestSweep = {key: value for key, value in asdict(self).items() if value is not None}  # type: ignore[assignment]
        return table


def read_sweep(table: object, trainers: Sequence[Trainer], problems: Problems) -> SweepTable:
    """Return the checked ``[sweep]`` table of a document with these trainers; errors go into ``problems``."""
    at = (TABLE,)
    if not isinstance(table, dict):
        problems.not_allowed(at, table, 'a table, such as [sweep] with until = "07:00" below it')
        return SweepTable()
    problems.check_keys(at, table, (*RULES, SPACE))
    for key, rule in RULES.items():
        if key in table and not rule.fits(table[key]):
            problems.not_allowed((*at, key), table[key], rule.words)
    if "until" in table and "hours" in table:
        problems.add((*at, "hours"), "until and hours are both set. Remove one of the two")
    if not {"until", "hours", "jobs"} & table.keys():
        problems.add(at, '[sweep] has no end. Add until = "07:00", hours or jobs')
    name = table.get("trainer")
    chosen = next((trainer for trainer in trainers if name in (None, trainer["name"])), None)
    if name is not None and chosen is None:
        names = [trainer["name"] for trainer in trainers]
        problems.add(
            (*at, "trainer"), f"there is no trainer {quoted(name)}.{suggest(str(name), names, 'There is')}"
        )
    method = chosen["config"].get("method") if chosen and "config" in chosen else None
    space = _read_space(table.get(SPACE), method, problems)
    return SweepTable(name, table.get("until"), table.get("hours"), table.get("jobs"), space)


def _read_space(space: object, method: object, problems: Problems) -> dict[str, object]:
    at = (TABLE, SPACE)
    if not isinstance(space, dict):
        example = "[sweep.space] with learning_rate = [2e-4, 1e-3] below it"
        problems.add((TABLE,), f"[sweep] has no settings to search. Add {example}")
        return {}
    rows = {key: row for row in SETTINGS for key in (row.key, *row.aliases)}
    flat: dict[str, tuple[tuple[str, ...], object]] = {}
    for key, value in space.items():
        if key in tables() and isinstance(value, dict):  # lora.r without quotes is a table
            flat |= {f"{key}.{name}": ((*at, key, name), item) for name, item in value.items()}
        else:
            flat[key] = ((*at, key), value)
    space_read: dict[str, object] = {}
    for key, (position, value) in flat.items():
        if key not in rows:
            problems.add(position, f"unknown setting {quoted(key)}.{suggest(key, rows, 'There are')}")
            continue
        space_read[rows[key].field] = value
        if fault := space_problem({rows[key].field: value}, method):
            problems.add(position, f"{key} {fault[1]}")
    if space_read and not problems and (fault := space_problem(space_read, method)):
        problems.add(at, f"[sweep.space] {fault[1]}")
    return space_read


def space_of(
    texts: Sequence[str], values: Callable[[str], Sequence[object]], method: object
) -> dict[str, object]:
    """Return a space by field from ``KEY=VALUES`` texts. Raises ValueError.

    ``values`` reads a text as TOML, and finds no value in an invalid one.
    """
    rows = {key: row for row in SETTINGS for key in (row.key, *row.aliases)}
    space: dict[str, object] = {}
    for text in texts:
        key, equals, value_text = (part.strip() for part in text.partition("="))
        if not equals or not value_text:
            raise ValueError(f"--space needs a setting and its values: {VALUES_WORDS}")
        if key not in rows:
            raise ValueError(f"unknown setting {quoted(key)}.{suggest(key, rows, 'There are')}")
        read = values(value_text) or values(f"[{value_text}]")
        if not read:
            raise ValueError(f"{key} must be {VALUES_WORDS}, not {quoted(value_text)}")
        space[rows[key].field] = read[0]
        if fault := space_problem({rows[key].field: read[0]}, method):
            raise ValueError(f"{key} {fault[1]}")
    return space


def load_sweep(project: Path, trainers: Sequence[Trainer]) -> SweepTable:
    """Return the project's ``[sweep]``, empty without a valid one (the trainers report why)."""
    table, problems = load_table(project, TABLE), Problems({})
    table_read = SweepTable() if table is None else read_sweep(table, trainers, problems)
    return SweepTable() if problems else table_read


def deadline_of(until: str | None, hours: float | None, now: datetime) -> datetime | None:
    """Return the end of a sweep that starts ``now``, a time with its zone; None without one."""
    if hours is not None:
        return now + timedelta(hours=hours)
    return None if until is None else _deadline(until, now)


def _deadline(text: str, now: datetime) -> datetime | None:
    """Return the next such time of day, or that date and time; None for other texts."""
    if match := CLOCK.fullmatch(text.strip()):
        at = datetime.combine(now.date(), time(int(match[1]), int(match[2])), now.tzinfo)
        return at if at > now else at + timedelta(days=1)
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return at.astimezone() if at.tzinfo is None else at


def key_of(field: str) -> str:
    """Return a setting's key in arkor.toml; an unknown field as it is."""
    row = by_field().get(field)
    return row.key if row else field

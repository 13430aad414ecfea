"""A run's figures as columns."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from arkor_dev.contract import events
from arkor_dev.contract.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from arkor_dev.jobs.figures import FigureRow

NAMES: Final = {
    "eval_loss": "evalLoss",
    "learning_rate": "learningRate",
    "samples_per_second": "samplesPerSecond",
    "tokens_per_second": "tokensPerSecond",
    "seconds_left": "secondsLeft",
}
"""Fields of ``training.log`` by their names in Python; the others have one name."""
FIELDS: Final = {wire: name for name, wire in NAMES.items()}


@dataclass(frozen=True, slots=True)
class Point:
    """One row of metrics: ``loss`` of a training step, or ``eval_loss`` of the held-out rows.

    Losses are mean cross entropies per token in nats. ``values`` has all of the event's values by field,
    including the training method's own.
    """

    step: int
    values: Mapping[str, object] = field(repr=False)

    @property
    def loss(self) -> float | None:
        """The mean training loss since the last row."""
        return _number(self.values.get("loss"))

    @property
    def eval_loss(self) -> float | None:
        """The loss on the held-out rows."""
        return _number(self.values.get("evalLoss"))

    @property
    def learning_rate(self) -> float | None:
        """The learning rate of the step."""
        return _number(self.values.get("learningRate"))

    @property
    def verdict_so_far(self) -> events.VerdictSoFar | None:
        """How the adapter of this step compares with its base; None unless it was evaluated, and compared."""
        found = self.values.get("verdictSoFar")
        return cast("events.VerdictSoFar", found) if isinstance(found, dict) else None


def point_of(name: str, data: object) -> Point | None:
    """Return the point that an event is; None for any other event."""
    if name != events.TRAINING_LOG or not isinstance(data, dict) or type(data.get("step")) is not int:
        return None
    return Point(data["step"], data)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


class Metrics:
    """The figures of a run so far, one row per step; a column is a list, with None for rows without a value.

    >>> run.metrics["loss"]
    """

    def __init__(self, rows: Sequence[FigureRow]) -> None:
        self.rows: list[dict[str, float | None]] = [
            {"step": row.step, **{FIELDS.get(key, key): value for key, value in row.figures.items()}}
            for row in rows
            if row.event == events.TRAINING_LOG
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, float | None]]:
        return iter(self.rows)

    def __getitem__(self, name: str) -> list[float | None]:
        """Return a column by its name, such as ``loss`` or ``eval_loss``. Raises KeyError."""
        if name not in self.columns:
            raise KeyError(name)
        return [row.get(name) for row in self.rows]

    def __repr__(self) -> str:
        return f"Metrics({len(self)} rows: {', '.join(self.columns)})"

    @property
    def columns(self) -> list[str]:
        """The names of the columns, ``step`` first."""
        return list(dict.fromkeys(key for row in self.rows for key in row))

    def curve(self, name: str) -> tuple[list[float], list[float]]:
        """Return the steps that have a value of ``name``, and the values."""
        points = [
            (step, value)
            for row in self.rows
            if (step := row.get("step")) is not None and (value := row.get(name)) is not None
        ]
        return [step for step, _ in points], [value for _, value in points]

    def to_pandas(self) -> Any:
        """Return a pandas ``DataFrame``. Raises BadRequestError if pandas is not installed."""
        return _library("pandas").DataFrame(self.rows, columns=self.columns)

    def to_polars(self) -> Any:
        """Return a Polars ``DataFrame``. Raises BadRequestError if Polars is not installed."""
        columns = {name: self[name] for name in self.columns}
        return _library("polars").DataFrame(columns, strict=False)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise BadRequestError(f"{name} is not installed. Install it with: pip install {name}") from None

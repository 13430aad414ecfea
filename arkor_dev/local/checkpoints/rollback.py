"""Handles a non-finite loss or weight: reports its source, and rolls back once.

The state to return to is kept in memory, saved after evaluations and checkpoints. Worker-only: imports torch.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import torch

from arkor_dev.contract.events import (
    TRAINING_MESSAGE,
    TRAINING_RESUMED,
    TRAINING_STARTED,
    TrainingMessage,
    TrainingResumed,
    TrainingStarted,
)
from arkor_dev.contract.shapes import NON_FINITE
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from torch import Tensor

    from arkor_dev.contract.events import RunMetadata

SLOWER: Final = 0.5
"""Factor applied to the learning rate after rolling back."""
MOST_LISTED: Final = 3


class HasLocation(Protocol):
    """A row that knows its location for the user, empty if there is none."""

    @property
    def where(self) -> str: ...


R = TypeVar("R", bound=HasLocation)


class NonFiniteError(JobFailure):
    """A loss or a weight of ``step`` is not finite; ``str()`` says what the user can do about it."""

    def __init__(self, text: str, step: int) -> None:
        super().__init__(text)
        self.step = step


class Rollback:
    """The last good state of a run, to which it can return once, multiplying learning rates by ``factor``."""

    def __init__(self, enabled: bool) -> None:
        self.factor = 1.0
        self._enabled = enabled
        self._good: tuple[int, Mapping[str, object]] | None = None

    def keep(self, step: int, state: Callable[[], Mapping[str, object]]) -> None:
        """Keep the state after ``step``, unless the run will never return to it."""
        if self._enabled and self.factor == 1:
            self._good = (step, copy.deepcopy(state()))

    def slow_down(
        self, fault: NonFiniteError, step: int, metadata: Callable[[], RunMetadata]
    ) -> Iterator[TrainingResumed | TrainingStarted | TrainingMessage]:
        """Lower the learning rates from now on; yield the events of the rollback to ``step``.

        A rollback to the beginning empties the job's log, which then needs the run's ``metadata`` again.
        """
        self.factor = SLOWER
        message = f"{fault}. Training continues from step {step} with half the learning rate"
        yield TrainingResumed(type=TRAINING_RESUMED, step=step, message=message)
        if step == 0:
            yield TrainingStarted(type=TRAINING_STARTED, metadata=metadata())
        yield TrainingMessage(type=TRAINING_MESSAGE, message=str(fault), code=NON_FINITE, step=fault.step)

    def pop(self, fault: NonFiniteError) -> tuple[int, Mapping[str, object]]:
        """Return the step to roll back to, and its state. Raises ``fault`` the second time, or if off."""
        good, self._good = self._good, None
        if good is None:
            raise fault
        return good


def non_finite(
    value: float,
    step: int,
    rate: float,
    rows: Sequence[R],
    loss: Callable[[Sequence[R]], tuple[Tensor, float]],
) -> NonFiniteError:
    """Return the error for a non-finite loss ``value`` on ``rows``, with the rows that alone cause it."""
    locations = [row.where for row in rows if row.where and _is_fault(row, loss)]
    listed = ", ".join(locations[:MOST_LISTED]) + (
        f" and {len(locations) - MOST_LISTED} more" if len(locations) > 3 else ""
    )
    if locations and len(locations) < len(rows):
        return NonFiniteError(
            f"The loss became {value} at step {step}, by {listed}; the batch's other rows are finite. "
            f"Check these rows, or try learning_rate {rate / 10:g}",
            step,
        )
    cause = f", on {listed}" if listed else ""
    return NonFiniteError(
        f"The loss became {value} at step {step}{cause}: the learning rate {rate:g} is too high for this "
        f"model and data; try learning_rate {rate / 10:g}",
        step,
    )


def _is_fault(row: R, loss: Callable[[Sequence[R]], tuple[Tensor, float]]) -> bool:
    with torch.no_grad():
        return not math.isfinite(float(loss([row])[0]))


def check_finite(step: int, weights: Iterable[object]) -> None:
    """Raise NonFiniteError if a weight is not finite: saved weights must be usable."""
    if not all(bool(torch.isfinite(weight).all()) for weight in weights):
        raise NonFiniteError(
            f"Non-finite weights after step {step}: lower learning_rate or max_grad_norm",
            step,
        )

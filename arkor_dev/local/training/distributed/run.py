"""Trains one job in several workers: the same steps as with one worker, apart from the order of summation.

Each worker has all rows of the job in the same order, and computes every ``count``-th row of each batch. A
step's loss is the weighted mean over all of the step's rows. Gradients are summed before they are clipped, so
every worker makes bit-identical updates. Only rank 0 reports, evaluates and saves.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import torch

from arkor_dev.contract.shapes import Artifact
from arkor_dev.local.checkpoints.checkpoint_writer import CheckpointWriter
from arkor_dev.local.checkpoints.figures import EvaluationLosses
from arkor_dev.local.checkpoints.origin import hash_of_rows
from arkor_dev.local.modeling.example import weight_of
from arkor_dev.local.modeling.number_format import DtypeChoice
from arkor_dev.local.training.adapter import restore_initial_weights
from arkor_dev.local.training.run import TrainingLoop
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

    from arkor_dev.local.checkpoints.resume_points import ResumePlan
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.replay.rows import Replay

    from .process_group import ProcessGroup

OTHER_ROWS: Final = "The workers of this job read different rows: has the data set changed in between?"


def agree_on_format(group: ProcessGroup, choice: DtypeChoice, rows: Sequence[Example]) -> DtypeChoice:
    """Return rank 0's number format. Raises JobFailure if this worker's ``rows`` differ from rank 0's."""
    name, reason, known = group.broadcast_value([choice.name, choice.reason, hash_of_rows(rows)])
    if known != hash_of_rows(rows):
        raise JobFailure(OTHER_ROWS)
    return DtypeChoice(getattr(torch, name), reason)


class NullWriter(CheckpointWriter):
    """The checkpoint writer of every worker except rank 0: it writes nothing."""

    def checkpoint(self, step: int, _: Callable[[Path], None]) -> None:
        """Do nothing."""
        self.step = step

    def final(self, *_: object) -> Artifact:
        """Do nothing; rank 0 describes the files."""
        return Artifact(kind="")

    def best(self, _: int) -> list[Artifact]:
        """Do nothing."""
        return []

    def point(self, step: int, _: Callable[[], object]) -> None:
        """Do nothing."""
        self.step = step

    def has_checkpoint(self, _: int) -> bool:
        """Return True: rank 0 keeps checkpoints."""
        return True


@dataclass
class DistributedRun(TrainingLoop):
    """A run that is distributed over the workers of ``group``, of which this process is one."""

    group: ProcessGroup = field(kw_only=True)

    def begin(self) -> None:
        """See `TrainingLoop`; all workers start from rank 0's weights."""
        if self.group.rank:
            self.saving.make_writer = NullWriter
        super().begin()
        if self.initial_weights:  # another kind of machine may decompose the base's weights differently
            first = {name: self._of_rank_0(weight).cpu() for name, weight in self.initial_weights.items()}
            restore_initial_weights(self.model, self.initial_weights, first)
            self.initial_weights = {
                name: weight.to(self.initial_weights[name]) for name, weight in first.items()
            }
        for weight in self.trainable:
            weight.data.copy_(self._of_rank_0(weight))
        self._faulty: Sequence[Example] = ()

    def _of_rank_0(self, weight: Tensor) -> Tensor:
        copy = weight.detach().clone(memory_format=torch.contiguous_format)
        self.group.broadcast(copy)
        return copy

    def evaluate(self) -> EvaluationLosses:
        """Evaluate on rank 0 and broadcast the result."""
        losses = torch.zeros(2, dtype=torch.float64)
        if self.group.rank == 0:
            losses[:] = torch.tensor(super().evaluate(), dtype=torch.float64)
        self.group.broadcast(losses)
        loss, choosing = losses.tolist()
        return EvaluationLosses(super()._finite(loss), choosing)

    def _agreed(self, settled: bool) -> bool:
        """Return rank 0's result: only it compares the evaluation with the base."""
        return bool(self.group.broadcast_value(settled))

    def _answer_replayed(self, replay: Replay, batches: Sequence[Sequence[int]]) -> None:
        """Generate the answers on rank 0 only: another kind of machine might generate different ones."""
        if self.group.rank == 0:
            super()._answer_replayed(replay, batches)
        replay.load_state(self.group.broadcast_value(replay.state()), self.plan)
        if self.group.rank:
            for batch in batches:
                self._keep_base_states(replay.rows_of(batch))

    def _resume(self, resume_plan: ResumePlan) -> None:
        super()._resume(resume_plan)
        if self.group.broadcast_value(self.step) != self.step:
            raise JobFailure("The workers of this job cannot resume from the same step: resume the job again")

    def _make_step(self, batches: Sequence[Sequence[Example]]) -> None:
        # Random draws depend only on step and worker, so that a resumed run draws the same.
        chance = random.Random(f"{self.seed}/{self.step + 1}/{self.group.rank}")  # noqa: S311 - no secrecy
        torch.manual_seed(chance.getrandbits(63))
        super()._make_step(batches)

    def _gradients(self, batches: Sequence[Sequence[Example]], count: float) -> float:
        self._faulty = ()
        mine = [own for batch in batches if (own := batch[self.group.rank :: self.group.count])]
        value = super()._gradients(mine, count)
        totals = torch.tensor([value, weight_of(mine)], dtype=torch.float64)
        self.group.all_reduce(totals)
        value, weight = totals.tolist()
        if not math.isclose(weight, count):  # weights of tokens add up differently in another order
            raise JobFailure(OTHER_ROWS)
        value = super()._finite(value, self._faulty)
        self._sum_gradients()
        return value

    def _finite(self, value: float, rows: Sequence[Example] = ()) -> float:
        """Record an error without raising it: all workers must learn of it first."""
        if not math.isfinite(value):
            self._faulty = rows
        return value

    def _sum_gradients(self) -> None:
        """Sum the gradients of every weight over all workers; a weight without any keeps None."""
        weights = self.trainable
        sizes = [weight.numel() for weight in weights]
        line = torch.zeros(sum(sizes) + len(sizes), dtype=torch.float32, device=weights[0].device)
        *parts, has_gradient = line.split([*sizes, len(sizes)])
        for index, (weight, part) in enumerate(zip(weights, parts, strict=True)):
            if weight.grad is not None:
                part.copy_(weight.grad.reshape(-1))
                has_gradient[index] = 1
        self.group.all_reduce(line)
        for weight, part, present in zip(weights, parts, has_gradient.tolist(), strict=True):
            if present:
                weight.grad = part.view_as(weight).to(weight.dtype)

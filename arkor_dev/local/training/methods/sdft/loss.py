"""The divergence from the same model with a demonstration in its prompt, equal to TRL's ``SDFTTrainer``."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from arkor_dev.local.checkpoints.state import check_weights
from arkor_dev.local.modeling.example import IGNORED, Batches
from arkor_dev.local.training.greedy import switched_off
from arkor_dev.local.training.methods.distill.loss import DistillationLoss, prompt_length
from arkor_dev.local.training.methods.reference import with_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor
    from torch.nn import Module

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.job_settings import MethodSettings
    from arkor_dev.local.training.objective import Objective
    from arkor_dev.local.training.run_context import RunContext


class SelfDistillationLoss(DistillationLoss):
    """The mean divergence over the tokens of an answer that the model samples itself; a row's weight is 1.

    The teacher has the model's weights at the start (``teacher_model_kind`` "base"), their moving average
    ("ema"), or the current ones ("live"). The average starts where the adapter does; TRL's starts from zero.
    """

    def __init__(self, *model: Module, settings: MethodSettings, noisy: bool) -> None:
        super().__init__(*model, settings=settings, noisy=noisy)
        self.divergence = replace(self.divergence, temperature=settings["temperature"])
        self._kind: str = settings["teacherModelKind"]
        self._teacher_weights: dict[str, Tensor] = {}

    def join(self, run: RunContext) -> None:
        """See :meth:`Objective.join`."""
        super().join(run)
        if self._kind == "ema":
            self.set_reference()

    def set_reference(self) -> None:
        """Use the current weights as the teacher's, for a run that begins with an adapter."""
        if self._kind != "live":
            self._teacher_weights = {
                name: weight.detach().clone() for name, weight in self._learning().items()
            }

    def _learning(self) -> dict[str, Tensor]:
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    @contextmanager
    def as_teacher(self) -> Iterator[Objective]:
        """Yield this objective, whose model has the teacher's weights within the block."""
        if self._teacher_weights:
            with with_weights(self.model, self._teacher_weights):
                yield self
        elif self._kind == "live":
            yield self
        else:
            with switched_off(self.model):
                yield self

    def updates(self, step: int, batches: Batches) -> Iterator[Batches]:
        """Replace the answers of a step's rows; after the step, move the teacher's weights."""
        yield from super().updates(step, batches)
        if self._kind == "ema" and step % self.settings["teacherSyncSteps"] == 0:
            with torch.no_grad():
                for name, weight in self._learning().items():
                    self._teacher_weights[name].lerp_(weight, self.settings["teacherUpdateRate"])

    def sample(self, rows: list[Example], step: int) -> None:
        """Replace the answers of a step's ``rows`` by the model's own."""
        self.replace_answers(rows, range(len(rows)), self, step)

    def as_taught(self, rows: Sequence[Example]) -> Sequence[Example]:
        """Return the rows' answers after the teacher's prompts."""
        taught = []
        for row in rows:
            prompt, length = row.others[0].ids, prompt_length(row)
            taught.append(
                replace(
                    row,
                    ids=[*prompt, *row.ids[length:]],
                    labels=[IGNORED] * len(prompt) + row.labels[length:],
                )
            )
        return taught

    def token_weights(self, rows: Sequence[Example]) -> Tensor:
        """Return the weight of each learned token, ``[learned]``: 1 by the number of those in its row."""
        counts = torch.tensor([row.learned for row in rows], device=self.device)
        return (1 / counts.clamp(min=1)).repeat_interleave(counts)

    def state(self) -> dict[str, Tensor]:
        """Return the teacher's weights."""
        return dict(self._teacher_weights)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See :meth:`Objective.load_state`."""
        check_weights(state, self._teacher_weights)
        for name, weight in self._teacher_weights.items():
            weight.copy_(state[name])

    @property
    def sampled_share(self) -> float:
        """The share of rows whose answers are sampled: all."""
        return 1.0

    def reads(self, rows: Sequence[Example]) -> int:
        """See :meth:`Objective.reads`: the teacher reads each answer, too."""
        longest: int = self.settings["maxCompletionLength"]
        return super().reads(rows) + sum(len(row.others[0].ids) + longest for row in rows)

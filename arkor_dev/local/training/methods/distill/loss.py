"""The divergence from a teacher on given and sampled answers, equal to that of TRL's ``GKDTrainer``."""

from __future__ import annotations

import math
import random
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import torch

from arkor_dev.data.methods.record import BASE
from arkor_dev.local.modeling.adapted_model import add_frozen_adapter
from arkor_dev.local.modeling.example import IGNORED, Batches, Example, weight_of
from arkor_dev.local.training.adapter import convert_weights
from arkor_dev.local.training.greedy import same_gradients, switched_off, switched_to
from arkor_dev.local.training.methods.divergence import Divergence, outputs
from arkor_dev.local.training.methods.sampling import AT_ONCE, TOKENS, AnswerSampler
from arkor_dev.local.training.methods.sft.loss import CrossEntropy
from arkor_dev.local.training.objective import Objective, probe
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor
    from torch.nn import Module

    from arkor_dev.local.training.greedy import GreedyAnswer
    from arkor_dev.local.training.job_settings import MethodSettings
    from arkor_dev.local.training.run_context import RunContext


TEACHER: Final = "teacher"
"""The name of the teacher's adapter in the model."""


class DistillationLoss(Objective):
    """The divergence of the model's distribution over the vocabulary from the teacher's, summed over tokens.

    A row's weight is the number of its learned tokens. Held-out rows are measured by cross entropy, which
    needs no teacher.
    """

    def __init__(self, *model: Module, settings: MethodSettings, noisy: bool) -> None:
        super().__init__(*model, noisy=noisy)
        self.settings = settings
        self.divergence = Divergence(
            settings["beta"], settings["distillationTopk"], settings["distillationAddTail"]
        )
        self._probe_rows = model[3]
        self._teacher: Objective | None = None
        self._divergences: list[tuple[Tensor, float]] = []
        self._lengths: list[tuple[int, bool]] = []

    def join(self, run: RunContext) -> None:
        """See :meth:`Objective.join`."""
        self._run = run
        self._answers = AnswerSampler(run, self.settings["maxCompletionLength"], self.settings["temperature"])
        if run.second or run.second_adapter:
            self._check_teacher()

    def _check_teacher(self) -> None:
        """Raise JobFailure if the teacher's results are not finite, before anything is learned from it."""
        with self._teaching() as teacher, teacher.autocast():
            logits, _ = teacher.logits([*probe(self._probe_rows), self._probe_rows[0]])
        if not bool(torch.isfinite(logits).all()):
            raise JobFailure(
                f"The teacher {self.settings['teacher']} gives values that are not finite instead of "
                f"probabilities: its weights are damaged, or too large for {str(self._dtype)[6:]}. Choose "
                'another teacher, or set number_format = "float32"'
            )

    def _load_adapter(self, folder: Path) -> None:
        """Load the adapter in ``folder`` beside the one that learns. Raises JobFailure if it does not fit."""
        head = self._inner.get_output_embeddings()
        with same_gradients(self.model):
            add_frozen_adapter(self.model, TEACHER, folder, self.device)
        # Logits are computed from the model's last states only if both have the same output layer.
        self.fused = self.fused and self._inner.get_output_embeddings() is head

    @property
    def second(self) -> Objective:
        """The second model."""
        if self._teacher is None:
            second = self._run.second
            if second is None:
                raise JobFailure(f"The teacher {self.settings['teacher']} has not been loaded")
            second.model.requires_grad_(False)
            if second.device == "cpu":
                convert_weights(second.model, self._dtype)
            self._teacher = CrossEntropy(second.model, second.device, self._dtype, self._probe_rows)
            self._teacher.model.eval()
        return self._teacher

    @contextmanager
    def _teaching(self) -> Iterator[Objective]:
        """Yield the teacher, in evaluation mode and without gradients."""
        training = self.model.training
        try:
            with torch.no_grad(), self.as_teacher() as teacher:
                teacher.model.eval()
                yield teacher
        finally:
            self.model.train(training)

    @contextmanager
    def as_teacher(self) -> Iterator[Objective]:
        """Yield the teacher: the second model, or this objective with another adapter or none."""
        if self.settings["teacher"] == BASE:
            with switched_off(self.model):
                yield self
        elif folder := self._run.second_adapter:
            if TEACHER not in self.model.peft_config:
                self._load_adapter(folder)
            with switched_to(self.model, TEACHER):
                yield self
        else:
            yield self.second

    def updates(self, step: int, batches: Batches) -> Iterator[Batches]:
        """Replace the answers of some of a step's rows by sampled ones."""
        rows = [row for batch in batches for row in batch]
        self.sample(rows, step)
        following = iter(rows)
        yield [[next(following) for _ in batch] for batch in batches]

    def sample(self, rows: list[Example], step: int) -> None:
        """Replace answers of a step's ``rows``: some by the model's own, and others by the teacher's."""
        chance = random.Random(f"distill/{self._run.seed}/{step}")  # noqa: S311 - a choice, no secret
        own = [index for index in range(len(rows)) if chance.random() < self.settings["lmbda"]]
        self.replace_answers(rows, own, self, step)
        if self.settings["seqKd"]:
            with self._teaching() as teacher:
                others = [index for index in range(len(rows)) if index not in own]
                self.replace_answers(rows, others, teacher, step)

    def replace_answers(
        self, rows: list[Example], indices: Sequence[int], model: Objective, step: int
    ) -> None:
        """Replace the answers of the rows at ``indices`` by those that ``model`` samples."""
        prompts = [rows[index].ids[: prompt_length(rows[index])] for index in indices]
        for index, answer in zip(indices, self._answers.sampled(model, step, prompts), strict=True):
            if model is self:
                self._lengths.append((len(answer.ids), answer.truncated))
            rows[index] = self._answered(rows[index], answer)

    def _answered(self, row: Example, answer: GreedyAnswer) -> Example:
        """Return a row with a sampled answer that all of its sequences have room for.

        That is the row itself if the answer is empty.
        """
        tokens = [*answer.ids, *([] if answer.end is None else [answer.end])]
        longest = max(prompt_length(sequence) for sequence in row.sequences)
        return _with_answer(row, tokens[: self._run.base.context - longest]) if tokens else row

    def __call__(self, rows: Sequence[Example]) -> tuple[Tensor, float]:
        """Return the weighted sum of the divergence at the learned tokens of ``rows``, and their weight."""
        # First, since the layers' backward pass uses their most recent batch.
        with self._teaching() as teacher:
            known = outputs(teacher, self.as_taught(rows))
        values = outputs(self, rows)
        with self.autocast():
            loss = self.divergence.summed(values, known, self.token_weights(rows))
        weight = weight_of([rows])
        self._divergences.append((loss.detach(), weight))
        return loss, weight

    def as_taught(self, rows: Sequence[Example]) -> Sequence[Example]:
        """Return the rows as the teacher reads them, with as many learned tokens."""
        return rows

    def token_weights(self, rows: Sequence[Example]) -> Tensor | None:
        """Return the weight of each learned token, ``[learned]``; None for 1 each."""
        return None

    def row_losses(self, rows: Sequence[Example]) -> list[tuple[float, float]]:
        """Return each row's summed cross entropy and its number of learned tokens."""
        return self.cross_entropy(rows)

    def figures(self) -> dict[str, float]:
        """Return the mean divergence per token, and the length of the model's own answers."""
        divergences, self._divergences = self._divergences, []
        lengths, self._lengths = self._lengths, []
        figures = {}
        if divergences:
            sums, counts = zip(*divergences, strict=True)
            figures["divergence"] = float(torch.stack(sums).sum()) / sum(counts)
        if lengths:
            figures["completionLength"] = sum(length for length, _ in lengths) / len(lengths)
            figures["truncated"] = sum(truncated for _, truncated in lengths) / len(lengths)
        return figures

    # Forecasts

    @property
    def sampled_share(self) -> float:
        """The share of rows whose answers are sampled."""
        return 1.0 if self.settings["seqKd"] else float(self.settings["lmbda"])

    def reads(self, rows: Sequence[Example]) -> int:
        """See :meth:`Objective.reads`."""
        share, longest = self.sampled_share, self.settings["maxCompletionLength"]
        given = sum(row.tokens for row in rows)
        sampled = sum(prompt_length(row) + longest for row in rows)
        return int((1 - share) * given + share * sampled)

    def writes(self, rows: Sequence[Example], *, learning: bool) -> list[tuple[int, int, int]]:
        """See :meth:`Objective.writes`."""
        count = math.ceil(self.sampled_share * len(rows)) if learning else 0
        if not count:
            return []
        longest, width = self.settings["maxCompletionLength"], max(map(prompt_length, rows))
        at_once = max(1, min(count, AT_ONCE, TOKENS // (width + longest)))
        return [(width, at_once, longest)] * -(-count // at_once)

    def expected(self, batches: Sequence[Sequence[Example]]) -> list[list[Example]]:
        """See :meth:`Objective.expected`: some rows with an answer of the maximum length."""
        longest = self.settings["maxCompletionLength"]

        def answered(row: Example) -> Example:
            prompt = row.ids[: prompt_length(row)]
            return _with_answer(row, [prompt[index % len(prompt)] for index in range(longest)])

        return [
            [
                answered(row) if index < math.ceil(self.sampled_share * len(batch)) else row
                for index, row in enumerate(batch)
            ]
            for batch in batches
        ]


def prompt_length(row: Example) -> int:
    """Return the number of a sequence's tokens before its answer."""
    return next((index for index, label in enumerate(row.labels) if label != IGNORED), len(row.ids))


def _with_answer(row: Example, answer: list[int]) -> Example:
    prompt = row.ids[: prompt_length(row)]
    return replace(row, ids=[*prompt, *answer], labels=[IGNORED] * len(prompt) + answer)

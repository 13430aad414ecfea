"""The generalized Jensen-Shannon divergence from a teacher, equal to that of TRL's ``GKDTrainer``."""

from __future__ import annotations

import math
import random
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn.functional import kl_div, log_softmax
from torch.utils.checkpoint import checkpoint

from arkor_dev.data.methods.record import BASE
from arkor_dev.local.modeling.example import IGNORED, Example, weight_of
from arkor_dev.local.training.adapter import convert_weights
from arkor_dev.local.training.greedy import switched_off
from arkor_dev.local.training.methods.sampling import AT_ONCE, TOKENS, AnswerSampler
from arkor_dev.local.training.methods.sft.loss import CrossEntropy
from arkor_dev.local.training.objective import Objective
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from arkor_dev.local.training.greedy import GreedyAnswer
    from arkor_dev.local.training.run_context import RunContext

CHUNK: Final = 256
"""Number of tokens whose divergence is computed at once: each needs both models' whole vocabulary."""


class DistillationLoss(Objective):
    """The divergence of the model's distribution over the vocabulary from the teacher's, summed over tokens.

    A row's weight is the number of its learned tokens. Held-out rows are measured by cross entropy, which
    needs no teacher.
    """

    def __init__(self, *model: Any, settings: Mapping[str, Any], noisy: bool) -> None:
        super().__init__(*model, noisy=noisy)
        self.settings = settings
        self._probe_rows = model[3]
        self._teacher: Objective | None = None
        self._divergences: list[tuple[Any, int]] = []
        self._lengths: list[tuple[int, bool]] = []

    def join(self, run: RunContext) -> None:
        """See :meth:`Objective.join`."""
        self._run = run
        self._answers = AnswerSampler(run, self.settings["maxCompletionLength"], self.settings["temperature"])

    @property
    def teacher(self) -> Objective:
        """The teacher: the second model, or this objective, whose model then computes as its base."""
        if self.settings["teacher"] == BASE:
            return self
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
        training, teacher = self.model.training, self.teacher
        off: AbstractContextManager[None] = switched_off(self.model) if teacher is self else nullcontext()
        teacher.model.eval()
        try:
            with torch.no_grad(), off:
                yield teacher
        finally:
            self.model.train(training)

    def updates(self, step: int, batches: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
        """Replace the answers of some of a step's rows: by the model's own, and by the teacher's."""
        rows = [row for batch in batches for row in batch]
        chance = random.Random(f"distill/{self._run.seed}/{step}")  # noqa: S311 - a choice, no secret
        own = [index for index in range(len(rows)) if chance.random() < self.settings["lmbda"]]
        self._replace(rows, own, self, step)
        if self.settings["seqKd"]:
            with self._teaching() as teacher:
                others = [index for index in range(len(rows)) if index not in own]
                self._replace(rows, others, teacher, step)
        following = iter(rows)
        yield [[next(following) for _ in batch] for batch in batches]

    def _replace(self, rows: list[Example], indices: Sequence[int], model: Objective, step: int) -> None:
        """Replace the answers of the rows at ``indices`` by those that ``model`` samples."""
        prompts = [rows[index].ids[: _prompt_length(rows[index])] for index in indices]
        for index, prompt, answer in zip(
            indices, prompts, self._answers.sampled(model, step, prompts), strict=True
        ):
            if model is self:
                self._lengths.append((len(answer.ids), answer.truncated))
            rows[index] = _answered(rows[index], prompt, answer)

    def __call__(self, rows: Sequence[Example]) -> tuple[Any, int]:
        """Return the divergence summed over the learned tokens of ``rows``, and their number."""
        # First, since the layers' backward pass uses their most recent batch.
        with self._teaching() as teacher:
            known = _outputs(teacher, rows)
        values, head = _outputs(self, rows)
        with self.autocast():
            loss = summed_divergence((values, head), known, self.settings["beta"])
        self._divergences.append((loss.detach(), len(values)))
        return loss, weight_of([rows])

    def row_losses(self, rows: Sequence[Example]) -> list[tuple[float, int]]:
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
    def _sampled_share(self) -> float:
        """The share of rows whose answers are sampled."""
        return 1.0 if self.settings["seqKd"] else float(self.settings["lmbda"])

    def reads(self, rows: Sequence[Example]) -> int:
        """See :meth:`Objective.reads`."""
        share, longest = self._sampled_share, self.settings["maxCompletionLength"]
        given = sum(row.tokens for row in rows)
        sampled = sum(_prompt_length(row) + longest for row in rows)
        return int((1 - share) * given + share * sampled)

    def writes(self, rows: Sequence[Example], *, learning: bool) -> list[tuple[int, int, int]]:
        """See :meth:`Objective.writes`."""
        count = math.ceil(self._sampled_share * len(rows)) if learning else 0
        if not count:
            return []
        longest, width = self.settings["maxCompletionLength"], max(map(_prompt_length, rows))
        at_once = max(1, min(count, AT_ONCE, TOKENS // (width + longest)))
        return [(width, at_once, longest)] * -(-count // at_once)

    def expected(self, batches: Sequence[Sequence[Example]]) -> list[list[Example]]:
        """See :meth:`Objective.expected`: some rows with an answer of the maximum length."""
        longest = self.settings["maxCompletionLength"]

        def answered(row: Example) -> Example:
            prompt = row.ids[: _prompt_length(row)]
            answer = [prompt[index % len(prompt)] for index in range(longest)]
            return Example([*prompt, *answer], [IGNORED] * len(prompt) + answer, row.where)

        return [
            [
                answered(row) if index < math.ceil(self._sampled_share * len(batch)) else row
                for index, row in enumerate(batch)
            ]
            for batch in batches
        ]


def summed_divergence(student: tuple[Any, Any], teacher: tuple[Any, Any], beta: float) -> Any:
    """Return the generalized Jensen-Shannon divergence of two models, summed over tokens, in float32.

    Each has its values ``[tokens, words]``: logits, or with an output layer beside them its inputs
    ``[tokens, size]``. ``beta`` is 0 for the KL divergence of the student from the teacher, 1 for that of the
    teacher from the student, and between them weighs the mixture of both. Only the student's values get a
    gradient. Logits are computed a chunk at a time, and again in the backward pass.
    """
    (values, head), (known, known_head) = student, teacher
    total = values.new_zeros((), dtype=torch.float32)
    for own, other in zip(values.split(CHUNK), known.split(CHUNK), strict=True):
        total = total + checkpoint(
            _divergence, own, head, other, known_head, beta, use_reentrant=False, preserve_rng_state=False
        )
    return total


def _divergence(values: Any, head: Any, known: Any, known_head: Any, beta: float) -> Any:
    student = log_softmax(_logits(values, head), -1, dtype=torch.float32)
    teacher = log_softmax(_logits(known, known_head), -1, dtype=torch.float32)
    if beta == 0:
        return kl_div(student, teacher, reduction="sum", log_target=True)
    if beta == 1:
        return kl_div(teacher, student, reduction="sum", log_target=True)
    mixture = torch.logaddexp(student + math.log1p(-beta), teacher + math.log(beta))
    of_teacher = kl_div(mixture, teacher, reduction="sum", log_target=True)
    of_student = kl_div(mixture, student, reduction="sum", log_target=True)
    return beta * of_teacher + (1 - beta) * of_student


def _logits(values: Any, head: Any) -> Any:
    return values if head is None else head(values.to(head.weight.dtype))


def _outputs(model: Objective, rows: Sequence[Example]) -> tuple[Any, Any]:
    """Return the inputs of a model's output layer and that layer if it can be applied later; else logits."""
    if model.fused:
        values, head, _ = model.before_head(rows)
        return values, head
    with model.autocast():
        return model.logits(rows)[0], None


def _prompt_length(row: Example) -> int:
    return next((index for index, label in enumerate(row.labels) if label != IGNORED), len(row.ids))


def _answered(row: Example, prompt: list[int], answer: GreedyAnswer) -> Example:
    """Return a row with a sampled answer; the row itself if the answer is empty."""
    tokens = [*answer.ids, *([] if answer.end is None else [answer.end])]
    if not tokens:
        return row
    return Example([*prompt, *tokens], [IGNORED] * len(prompt) + tokens, row.where)

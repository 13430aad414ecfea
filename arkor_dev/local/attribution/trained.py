"""Loads a finished job as in its training: its rows, its model and its adapter.

The adapter's layers are PEFT's, not the faster ones used in training, whose inputs cannot be captured.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional

from arkor_dev.data.row_parser import row_of
from arkor_dev.data.rows import RowError
from arkor_dev.local.checkpoints.origin import hash_of_rows
from arkor_dev.local.jobs.atomic_folder import DamagedFolderError, manifest_of
from arkor_dev.local.jobs.job_folder import adapter_folder
from arkor_dev.local.modeling.chat_template import end_ids, render
from arkor_dev.local.training.adapter import adapted, convert_weights, load_weights
from arkor_dev.local.training.greedy import switched_off
from arkor_dev.local.training.rows.encoding import Encoding
from arkor_dev.local.workers.errors import JobFailure

from .projection import SIZE, Projection
from .row_gradients import RowGradients, row_losses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from torch import Tensor

    from arkor_dev.contract.shapes import ChatMessage
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.preparation import RunPreparation

TOKENS_AT_ONCE: Final = 2048
LONGEST_ANSWER: Final = 128


@dataclass(frozen=True, slots=True)
class Scored:
    """An answer: its log-probability in nats, and its number of tokens."""

    logp: float
    tokens: int


class Trained:
    """The job of ``preparation``, which has read, loaded and encoded its rows.

    Raises JobFailure if its rows differ from those it was trained on, or if its adapter's gradients cannot be
    split by row.
    """

    def __init__(self, preparation: RunPreparation) -> None:
        self._preparation = preparation
        self._data, self._job = preparation.data, preparation.job_id
        self.rows = hash_of_rows(preparation.train, preparation.held_out)
        trained_rows = trained_on(adapter_folder(self._data, self._job, None))
        if trained_rows != self.rows:
            raise JobFailure(
                "The data has changed since this job was trained: its answers can only be traced to the same "
                "rows. Restore the data, or run the job again"
            )
        run = preparation.make_run()
        if not preparation.method.traceable or run.plan.adapter is None:
            raise JobFailure("Only answers of an adapter from supervised fine-tuning can be traced to rows")
        if run.plan.adapter.init in ("pissa", "olora"):
            raise JobFailure(f"An adapter that starts by {run.plan.adapter.init} cannot be traced to rows")
        self._base, dtype = run.base, run.choice.dtype
        if self._base.device == "cpu":
            convert_weights(self._base.model, dtype)
        self.model = adapted(self._base.model, run.source.name, run.plan.adapter).eval()
        casts = self._base.device != "cpu" and dtype != torch.float32
        self._cast: Callable[[], AbstractContextManager[object]] = (
            (lambda: torch.autocast(self._base.device, dtype)) if casts else nullcontext
        )
        self._weights = {
            name: weight for name, weight in self.model.named_parameters() if weight.requires_grad
        }
        self._split = RowGradients(self.model)
        self.train = preparation.train

    # Gradients

    def row_gradients(self, progress: Callable[[int, int], None]) -> tuple[Tensor, Tensor]:
        """Return the training rows' gradients at the end of the training, and their losses per learned token.

        The gradients are projected and of unit length: ``[rows, SIZE]`` in float16, 8 KiB per row. The losses
        are ``[rows]``.
        """
        self.load_adapter(adapter_folder(self._data, self._job, None))
        projection = Projection(self._split.shapes, self._base.device)
        examples, rows = self.train, _places(self.train)
        size = rows[-1] + 1 if rows else 0
        sums, losses, weights = torch.zeros(size, SIZE), torch.zeros(size), torch.zeros(size)
        order = sorted(range(len(examples)), key=lambda index: -len(examples[index].ids))
        while order:
            at_once = max(1, TOKENS_AT_ONCE // len(examples[order[0]].ids))
            places, order = order[:at_once], order[at_once:]
            part = torch.zeros(len(places), SIZE, device=self._base.device)

            def take(number: int, gradient: Tensor, part: Tensor = part) -> None:
                projection.add(part, number, gradient)

            with self._cast():
                losses_of_batch = self._split([examples[index] for index in places], take)
            for index, own, loss in zip(places, part.cpu(), losses_of_batch, strict=True):
                sums[rows[index]] += own
                losses[rows[index]] += loss
                weights[rows[index]] += examples[index].weight
            progress(len(examples) - len(order), len(examples))
        return functional.normalize(sums, dim=-1).half(), losses / weights.clamp(min=1e-6)

    # Answers

    def load_adapter(self, folder: Path) -> None:
        """Load the adapter in ``folder``, of the same shape. Raises JobFailure."""
        load_weights(self._weights, folder)

    def example(self, messages: Sequence[ChatMessage], answer: str) -> Example:
        """Encode ``answer`` to ``messages`` as an example in which only the answer is learned.

        Raises JobFailure if the chat template rejects it, or it is too long.
        """
        turns = [*messages, {"role": "assistant", "content": answer}]
        try:
            row = row_of({"messages": turns}, "The answer", None, {})
        except RowError as fault:
            raise JobFailure(f"The answer cannot be read: {fault}") from None
        encoding = Encoding(self._preparation.longest, responses_only=True, last_only=True)
        examples, _ = self._preparation.method.encode(self._base.tokenizer, row, encoding)
        return examples[-1]

    def answer(self, messages: Sequence[ChatMessage]) -> str:
        """Generate the adapter's greedy answer."""
        tokenizer = self._base.tokenizer
        ids = tokenizer(render(tokenizer, messages, add_generation_prompt=True), add_special_tokens=False)[
            "input_ids"
        ]
        prompt = torch.tensor([ids], device=self._base.device)
        with torch.no_grad(), self._cast():
            generated = self.model.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=LONGEST_ANSWER,
                do_sample=False,
                num_beams=1,
                use_cache=True,
                eos_token_id=list(end_ids(tokenizer, self._base.model)),
                pad_token_id=tokenizer.pad_token_id or 0,
            )
        text = tokenizer.decode(
            generated[0, len(ids) :], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return str(text).strip()

    def score(self, example: Example) -> Scored:
        """Return the log-probability of an answer under the adapter."""
        with torch.no_grad(), self._cast():
            return Scored(-float(row_losses(self.model, [example])[0]), example.learned)

    def base_score(self, example: Example) -> Scored:
        """Return the log-probability of an answer under the base model."""
        with switched_off(self.model):
            return self.score(example)


def trained_on(folder: Path) -> str | None:
    """Return the hash of the rows that the adapter in ``folder`` was trained on; None if unknown."""
    try:
        origin = manifest_of(folder).get("origin")
    except DamagedFolderError:
        return None
    rows = origin.get("rows") if isinstance(origin, dict) else None
    return rows if isinstance(rows, str) else None


def _places(examples: Sequence[Example]) -> list[int]:
    """Return each example's row index. Copies of a row, which follow it, have the same."""
    rows = groupby(examples, lambda example: example.where)
    return [place for place, (_, own) in enumerate(rows) for _ in own]

"""A finished job as its training saw it: its rows, its model, and the adapter at its saved points.

The adapter's layers are the library's own, not the faster ones of training, whose inputs cannot be captured.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from torch.nn import functional

from arkor_dev.data.forms import row_of
from arkor_dev.data.rows import RowError
from arkor_dev.local.checkpoints.origin import hash_of_rows
from arkor_dev.local.checkpoints.state import StateError, check_weights, read_state
from arkor_dev.local.evaluation.by_length import rows_in
from arkor_dev.local.jobs.atomic_folder import DamagedFolderError, manifest_of
from arkor_dev.local.jobs.job_folder import (
    adapter_folder,
    checkpoint_folder,
    checkpoint_steps,
    resume_folder,
    resume_steps,
)
from arkor_dev.local.modeling.chat_template import end_ids, render
from arkor_dev.local.training.adapter import adapted, hold_in, take_weights
from arkor_dev.local.training.optimizers import make_optimizer
from arkor_dev.local.training.rows.encoding import Encoding
from arkor_dev.local.training.samples.greedy import switched_off
from arkor_dev.local.workers.errors import JobFailure

from .projection import SIZE, Projection
from .row_gradients import RowGradients, row_losses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.preparation import Preparation

MOST_POINTS: Final = 3
"""Points of a training whose gradients are compared, spread over it, the last one among them."""
TOKENS_AT_ONCE: Final = 2048
LONGEST_ANSWER: Final = 128


class Point(NamedTuple):
    """The adapter after ``step``, in ``folder``: a training state, or the adapter alone."""

    step: int
    folder: Path
    has_state: bool


@dataclass(frozen=True, slots=True)
class Scored:
    """An answer: its log-probability in nats, and its number of tokens."""

    logp: float
    tokens: int


class Trained:
    """The job of ``preparation``, which has read, loaded and encoded its rows.

    Raises JobFailure if its rows differ from those that it was trained on, or its adapter is of a kind whose
    gradients cannot be split by row.
    """

    def __init__(self, preparation: Preparation) -> None:
        self._preparation = preparation
        self._data, self._job = preparation.data, preparation.job_id
        self.rows = hash_of_rows(preparation.train, preparation.held_out)
        kept = trained_on(adapter_folder(self._data, self._job, None))
        if kept != self.rows:
            raise JobFailure(
                "The data has changed since this job was trained: its answers can only be traced to the same "
                "rows. Restore the data, or run the job again"
            )
        run = preparation.make_run(lambda: False)
        if preparation.method.name != "sft" or run.plan.adapter is None:
            raise JobFailure("Only answers of an adapter from supervised fine-tuning can be traced to rows")
        if run.plan.adapter.init in ("pissa", "olora"):
            raise JobFailure(f"An adapter that starts by {run.plan.adapter.init} cannot be traced to rows")
        self._base, self._plan, dtype = run.base, run.plan, run.choice.dtype
        if self._base.device == "cpu":
            hold_in(self._base.model, dtype)
        self.model = adapted(self._base.model, run.base_name, run.plan.adapter).eval()
        casts = self._base.device != "cpu" and dtype != torch.float32
        self._cast: Callable[[], AbstractContextManager[Any]] = (
            (lambda: torch.autocast(self._base.device, dtype)) if casts else nullcontext
        )
        self._weights = {name: each for name, each in self.model.named_parameters() if each.requires_grad}
        self._split = RowGradients(self.model)
        self.train = preparation.train

    # Gradients

    def points(self) -> list[Point]:
        """Return the points whose gradients are compared, ascending; the last one is the result."""
        final = adapter_folder(self._data, self._job, None)
        end = int(manifest_of(final).get("step") or 0)
        saved = {step: checkpoint_folder(self._data, self._job, step) for step in self._steps() if step < end}
        earlier = spread(sorted(saved), MOST_POINTS - 1)
        last = next(
            (
                Point(end, folder(self._data, self._job, end), has_state=True)
                for folder, steps in ((checkpoint_folder, self._steps()), (resume_folder, self._resumes()))
                if end in steps
            ),
            Point(end, final, has_state=False),
        )
        return [*(Point(step, saved[step], has_state=True) for step in earlier), last]

    def _steps(self) -> list[int]:
        return checkpoint_steps(self._data, self._job)

    def _resumes(self) -> list[int]:
        return resume_steps(self._data, self._job)

    def row_gradients(self, progress: Callable[[int, int], None]) -> tuple[Any, Any]:
        """Return the training rows' gradients, of length one, and their losses per learned token.

        The gradients are ``[points, rows, SIZE]`` in float16, 8 KiB a row and point; the losses, ``[rows]``,
        are those of the result.
        """
        points = self.points()
        total, done = len(points) * len(self.train), 0

        def count(read: int) -> None:
            nonlocal done
            done += read
            progress(done, total)

        unit, losses = [], None
        for point in points:
            sums, losses = self._gradients(self._go_to(point), count)
            unit.append(functional.normalize(sums, dim=-1).half())
        return torch.stack(unit), losses

    def _gradients(self, projection: Projection, count: Callable[[int], None]) -> tuple[Any, Any]:
        """Return the projections ``[rows, SIZE]`` of the rows' gradients, and their losses per token."""
        examples, rows = self.train, _places(self.train)
        size = rows[-1] + 1 if rows else 0
        sums, losses, learned = torch.zeros(size, SIZE), torch.zeros(size), torch.zeros(size)
        order = sorted(range(len(examples)), key=lambda place: -len(examples[place].ids))
        while order:
            at_once = max(1, TOKENS_AT_ONCE // len(examples[order[0]].ids))
            places, order = order[:at_once], order[at_once:]
            part = torch.zeros(len(places), SIZE, device=self._base.device)

            def take(number: int, gradient: Any, part: Any = part) -> None:
                projection.add(part, number, gradient)

            with self._cast():
                found = self._split([examples[place] for place in places], take)
            for place, own, loss in zip(places, part.cpu(), found, strict=True):
                sums[rows[place]] += own
                losses[rows[place]] += loss
                learned[rows[place]] += examples[place].learned
            count(len(places))
        return sums, losses / learned.clamp(min=1)

    def _go_to(self, point: Point) -> Projection:
        """Load the adapter of ``point``; return the projection that counts a step of its optimizer.

        Adam divides a gradient by the root of its second moment (LESS, Xia et al. 2024). Half of that is put
        on each side of the inner product.
        """
        scales = None
        if point.has_state:
            try:
                state = read_state(point.folder)
                check_weights(state["weights"], self._weights)
                optimizer = make_optimizer(self.model, self._plan.optimizer)
                optimizer.load_state_dict(state["optimizer"])
            except (StateError, KeyError, TypeError, ValueError) as error:
                raise JobFailure(f"The state of step {point.step} cannot be read: {error}") from None
            with torch.no_grad():
                for name, weight in self._weights.items():
                    weight.copy_(state["weights"][name])
            own = [optimizer.state[self._weights[name]] for name in self._split.names]
            if all("exp_avg_sq" in each for each in own):
                scales = [root(each["exp_avg_sq"].float()) for each in own]
        else:
            take_weights(self._weights, point.folder)
        return Projection(self._split.shapes, scales)

    # Answers

    def wear(self, folder: Path) -> None:
        """Load the adapter in ``folder``, of the same shape. Raises JobFailure."""
        take_weights(self._weights, folder)

    def example(self, messages: Sequence[Mapping[str, Any]], answer: str) -> Example:
        """Encode ``answer`` to ``messages`` as an example of which only the answer is learned.

        Raises JobFailure if the chat template rejects it, or it is too long.
        """
        turns = [*messages, {"role": "assistant", "content": answer}]
        try:
            row = row_of({"messages": turns}, "The answer", None, {})
        except RowError as fault:
            raise JobFailure(f"The answer cannot be read: {fault}") from None
        encoding = Encoding(self._preparation.longest, responses_only=True, last_only=True)
        found, _ = self._preparation.method.encode(self._base.tokenizer, row, encoding)
        return found[-1]

    def answer(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """Let the adapter answer, with the likeliest token each time."""
        tokenizer = self._base.tokenizer
        ids = tokenizer(render(tokenizer, messages, cue=True), add_special_tokens=False)["input_ids"]
        given = torch.tensor([ids], device=self._base.device)
        with torch.no_grad(), self._cast():
            made = self.model.generate(
                input_ids=given,
                attention_mask=torch.ones_like(given),
                max_new_tokens=LONGEST_ANSWER,
                do_sample=False,
                num_beams=1,
                use_cache=True,
                eos_token_id=list(end_ids(tokenizer, self._base.model)),
                pad_token_id=tokenizer.pad_token_id or 0,
            )
        text = tokenizer.decode(
            made[0, len(ids) :], skip_special_tokens=True, clean_up_tokenization_spaces=False
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


def spread(steps: Sequence[int], most: int) -> list[int]:
    """Return ``steps``, or ``most`` of them from the first to the last, at least 2."""
    if len(steps) <= most:
        return list(steps)
    return [steps[round(each * (len(steps) - 1) / (most - 1))] for each in range(most)]


def trained_on(folder: Path) -> str | None:
    """Return the hash of the rows that the adapter in ``folder`` was trained on; None if it is unknown."""
    try:
        told = manifest_of(folder).get("origin")
    except DamagedFolderError:
        return None
    rows = told.get("rows") if isinstance(told, dict) else None
    return rows if isinstance(rows, str) else None


def _places(examples: Sequence[Example]) -> list[int]:
    """Return the row of each example, counted from 0."""
    places: list[int] = []
    for example in examples:
        places.append(len(places) and places[-1] + (not example.same_row))
    assert not examples or places[-1] + 1 == rows_in(examples)
    return places


def root(moment: Any) -> Any:
    """Return the factor ``v^(-1/4)`` of a weight's second moment, bounded where it hardly moved."""
    floor = math.sqrt(float(moment.mean())) * 1e-4 + 1e-12
    return moment.sqrt().clamp(min=floor).rsqrt()

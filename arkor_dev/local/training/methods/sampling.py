"""Samples answers for methods that learn from answers of the model in training, or of a teacher.

The random numbers depend only on the seed, the step, the draw and the answer's index in it, so that a resumed
run samples the same answers. Imports torch: for workers only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from transformers import LogitsProcessor

from arkor_dev.local.evaluation.answers import Stopped
from arkor_dev.local.evaluation.by_length import batches_by_length
from arkor_dev.local.modeling.chat_template import end_ids
from arkor_dev.local.training.greedy import GenerationLimit, GreedyAnswer, answers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from arkor_dev.local.training.greedy import Answering
    from arkor_dev.local.training.run_context import RunContext

AT_ONCE: Final = 64
TOKENS: Final = 8192
"""Maximum numbers of answers, and of tokens in them and their prompts, that are generated at once."""


class SamplingProcessor(LogitsProcessor):  # type: ignore[misc]
    """A logits processor that samples at a temperature with given uniform random ``numbers``, ``[answers,
    tokens]``, and masks all other tokens.
    """

    def __init__(self, numbers: NDArray[np.float64], temperature: float) -> None:
        self._numbers, self._temperature, self._position = numbers, temperature, 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        token = drawn(scores, self._numbers[:, self._position], self._temperature)
        self._position += 1
        return torch.full_like(scores, -torch.inf).scatter_(1, token, 0.0)


def drawn(scores: Tensor, numbers: NDArray[np.float64], temperature: float) -> Tensor:
    """Return the token of each of ``scores``, ``[answers, words]``, that its uniform random number selects at
    the temperature: ``[answers, 1]``.
    """
    shares = torch.softmax(scores.float() / temperature, -1)
    # On the CPU: Apple's GPUs have no float64, and float32 sums over a vocabulary miss rare tokens.
    sums = (shares.cpu() if shares.device.type == "mps" else shares).double().cumsum(-1)
    number = torch.from_numpy(numbers).to(sums.device)
    token = torch.searchsorted(sums, number[:, None] * sums[:, -1:], right=True)
    return token.clamp(max=scores.shape[-1] - 1).to(scores.device)


class AnswerSampler:
    """Generates answers of at most ``longest`` tokens for ``run``, at a ``temperature`` if sampled."""

    def __init__(self, run: RunContext, longest: int, temperature: float) -> None:
        self._run, self._longest, self._temperature = run, longest, temperature
        self._tokenizer = run.base.tokenizer
        self._ends = end_ids(self._tokenizer, run.base.model)

    def sampled(
        self, model: Answering, step: int, prompts: Sequence[list[int]], draw: int = 0
    ) -> list[GreedyAnswer]:
        """Return a sampled answer to each of a step's prompts. Raises Stopped if the job must stop.

        ``draw`` is the number of the step's earlier calls.
        """
        # Zeros at the end of a seed change nothing.
        random = np.random.default_rng([abs(self._run.seed), step, draw])
        numbers = random.random((len(prompts), self._longest))
        return self._generated(model, prompts, self._run.stop.requested, numbers)

    def greedy(self, model: Answering, prompts: Sequence[list[int]]) -> list[GreedyAnswer]:
        """Return the greedy answer to each prompt."""
        return self._generated(model, prompts, lambda: False)

    def _generated(
        self,
        model: Answering,
        prompts: Sequence[list[int]],
        stopped: Callable[[], bool],
        numbers: NDArray[np.float64] | None = None,
    ) -> list[GreedyAnswer]:
        by_index: dict[int, GreedyAnswer] = {}
        lengths = [len(prompt) + self._longest for prompt in prompts]
        for places in batches_by_length(lengths, AT_ONCE, TOKENS):
            batch = [prompts[index] for index in places]
            longest = min(self._longest, self._run.base.context - max(map(len, batch)))
            watch = GenerationLimit(lambda *_, longest=longest: longest, stopped)
            draw = None if numbers is None else SamplingProcessor(numbers[places], self._temperature)
            generated = answers(model, self._tokenizer, self._ends, batch, watch, longest, draw)
            if watch.interrupted:
                raise Stopped
            by_index |= zip(places, generated, strict=True)
        return [by_index[index] for index in range(len(prompts))]

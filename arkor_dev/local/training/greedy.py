"""Generates answers with a model in training, in batches, greedily unless sampled. Worker-only: torch."""

from __future__ import annotations

import math
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import torch
from transformers import LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from arkor_dev.local.cpu_kernels.patch_model import unpatched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor
    from torch.nn import Module
    from transformers import LogitsProcessor, PreTrainedTokenizerBase


class Answering(Protocol):
    """A model in training that can generate answers: an ``Objective``."""

    device: str

    def answering(self) -> AbstractContextManager[Module]:
        """Return a context with the bare model, ready to generate."""


@dataclass(frozen=True, slots=True)
class GreedyAnswer:
    """An answer, ``truncated`` at the length limit; ``ids`` are its tokens without the end token ``end``."""

    text: str
    truncated: bool
    ids: tuple[int, ...] = ()
    end: int | None = None


SYNCHRONIZED: Final = 4
"""The first tokens are timed with the GPU synchronized, since the CPU runs ahead of it."""


class GenerationLimit(StoppingCriteria):  # type: ignore[misc]
    """Stops generation at the length limit, or as soon as ``stopped`` returns true.

    ``limit`` returns the maximum number of tokens in an answer. It is called at each token from the second
    on, with the time to read the prompts and the time per token, in seconds by ``clock``. ``tokens`` counts
    them; ``interrupted`` is true if ``stopped`` ended the answers.
    """

    def __init__(
        self,
        limit: Callable[[float, float], int],
        stopped: Callable[[], bool],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._limit, self._stopped, self._clock = limit, stopped, clock
        self._began = self._first = clock()
        self._most: float = math.inf
        self.tokens = 0
        self.interrupted = False

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
        self.tokens += 1
        if input_ids.device.type == "cuda" and self.tokens <= SYNCHRONIZED:
            torch.cuda.synchronize()
        if self.tokens == 1:
            self._first = self._clock()
        else:
            per_token = (self._clock() - self._first) / (self.tokens - 1)
            self._most = self._limit(self._first - self._began, per_token)
        self.interrupted = self._stopped()
        over = self.interrupted or self.tokens >= self._most
        return torch.full((input_ids.shape[0],), over, dtype=torch.bool, device=input_ids.device)


def answers(
    loss: Answering,
    tokenizer: PreTrainedTokenizerBase,
    ends: Sequence[int],
    prompts: Sequence[Sequence[int]],
    watch: GenerationLimit,
    longest: int,
    draw: LogitsProcessor | None = None,
) -> list[GreedyAnswer]:
    """Generate answers to ``prompts``, each its token ids, of at most ``longest`` tokens; each of ``ends``
    ends an answer.

    ``draw`` is a logits processor that samples by masking all tokens but one; without it, decoding is greedy.
    """
    pad = tokenizer.pad_token_id or 0
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for index, prompt in enumerate(prompts):  # padded on the left: all answers start at the same position
        ids[index, width - len(prompt) :] = torch.tensor(prompt)
        mask[index, width - len(prompt) :] = 1
    with loss.answering() as model:
        generated = model.generate(
            input_ids=ids.to(loss.device),
            attention_mask=mask.to(loss.device),
            max_new_tokens=longest,
            do_sample=False,
            num_beams=1,
            use_cache=True,
            eos_token_id=list(ends),
            pad_token_id=pad,
            stopping_criteria=StoppingCriteriaList([watch]),
            # Samples must follow the model's own probabilities, regardless of its generation config.
            **({"logits_processor": LogitsProcessorList([draw]), "repetition_penalty": 1.0} if draw else {}),
        )
    return [_answer(tokenizer, ends, row) for row in generated[:, width:].tolist()]


def _answer(tokenizer: PreTrainedTokenizerBase, ends: Sequence[int], tokens: list[int]) -> GreedyAnswer:
    end = next((index for index, token in enumerate(tokens) if token in ends), None)
    text = tokenizer.decode(tokens[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    if end is None:
        text = re.sub(r"[\s\ufffd]+$", "", text)  # an incomplete character
    return GreedyAnswer(text.strip(), end is None, tuple(tokens[:end]), None if end is None else tokens[end])


@contextmanager
def switched_off(model: Module) -> Iterator[None]:
    """Switch the adapter of ``model`` off within the block; what requires gradients stays the same."""
    with same_gradients(model), model.disable_adapter():
        yield


@contextmanager
def switched_to(model: Module, adapter: str) -> Iterator[None]:
    """Use another ``adapter`` of ``model`` within the block; what requires gradients stays the same."""
    before = model.active_adapter
    with same_gradients(model), unpatched():
        model.base_model.set_adapter(adapter, inference_mode=True)
        try:
            yield
        finally:
            model.base_model.set_adapter(before)


@contextmanager
def same_gradients(model: Module) -> Iterator[None]:
    """Restore after the block which weights of ``model`` require gradients."""
    learning = [(weight, weight.requires_grad) for weight in model.parameters()]
    try:
        yield
    finally:
        for weight, required in learning:
            if weight.requires_grad != required:
                weight.requires_grad_(required)

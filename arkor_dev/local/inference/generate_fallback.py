"""Answers by transformers' own ``generate``, token by token, for models with an unusual cache.

``generate`` runs in a thread that pauses whenever it has logits: the loop reads them and supplies the next
token. So state-space models, and models with several kinds of layers, are supported like others, but without
batching and prompt cache.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

import torch
from transformers import LogitsProcessor, LogitsProcessorList

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor
    from torch.nn import Module


class _Ended(Exception):  # noqa: N818 - exits generate, not an error
    """The answer has ended."""


class StepwiseGenerate:
    """A ``generate`` call that pauses at each token."""

    def __init__(self, model: Module, prompt: list[int], max_tokens: int) -> None:
        self._model = model
        self._prompt = prompt
        self._max_tokens = max_tokens
        self._logits: queue.SimpleQueue[NDArray[np.float32] | BaseException] = queue.SimpleQueue()
        self._tokens: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def first(self) -> NDArray[np.float32]:
        """Read the prompt; return the first token's logits."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self._next()

    def step(self, token: int) -> NDArray[np.float32]:
        """Add ``token``; return the next logits."""
        self._tokens.put(token)
        return self._next()

    def close(self) -> None:
        """End the call; when this returns, its thread no longer uses the model."""
        if self._thread and self._thread.is_alive():
            self._tokens.put(None)
            self._thread.join()

    def _next(self) -> NDArray[np.float32]:
        item = self._logits.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def _run(self) -> None:
        ids = torch.tensor([self._prompt], device=self._model.device)
        try:
            self._model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=self._max_tokens,
                do_sample=False,
                repetition_penalty=1.0,
                eos_token_id=None,
                logits_processor=LogitsProcessorList([_SuppliedToken(self._logits, self._tokens)]),
            )
        except _Ended:
            pass
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits for it
            self._logits.put(error)


class _SuppliedToken(LogitsProcessor):  # type: ignore[misc]
    """Publishes the logits, and makes ``generate`` choose the supplied token."""

    def __init__(
        self,
        logits: queue.SimpleQueue[NDArray[np.float32] | BaseException],
        tokens: queue.SimpleQueue[int | None],
    ) -> None:
        self._logits = logits
        self._tokens = tokens

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self._logits.put(scores[0].float().cpu().numpy())
        token = self._tokens.get()
        if token is None:
            raise _Ended
        forced = torch.full_like(scores, -torch.inf)
        forced[0, token] = 0
        return forced

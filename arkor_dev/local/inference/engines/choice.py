"""Chooses the engine, and explains why it is not the fast one.

On a CPU llama.cpp is several times as fast as transformers, which computes with the model's own weights and
is therefore called the exact engine. Once both have answered on this machine, their measured speeds decide.
"""

from __future__ import annotations

import statistics
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.bodies import ENGINES

if TYPE_CHECKING:
    from arkor_dev.local.inference.messages import Done

AUTO, EXACT, LLAMA = ENGINES
ON_GPU: Final = "this machine has a GPU, on which transformers answers"
NO_ROOM: Final = "the GPU has too little free memory for llama.cpp's file of this model"
MEASURED: Final = 5
ENOUGH: Final = 3
"""Number of slower answers after which llama.cpp is no longer chosen."""
LEAST_TOKENS: Final = 16
"""Minimum number of tokens in an answer for measuring speed."""


class AnswerPace:
    """Each engine's measured speed with each base model, from answers that were generated alone."""

    def __init__(self) -> None:
        self._rates: defaultdict[tuple[str, str], deque[float]] = defaultdict(lambda: deque(maxlen=MEASURED))

    def add(self, engine: str, base: str, done: Done) -> None:
        """Record an answer's final message."""
        tokens, seconds = done.completion_tokens, done.seconds - done.first_token_seconds
        if tokens >= LEAST_TOKENS and seconds > 0:
            self._rates[engine, base].append((tokens - 1) / seconds)

    def slower(self, base: str) -> str | None:
        """Say that llama.cpp is slower with ``base``; None if it is not, or if that is unknown."""
        exact, quick = self._rates[EXACT, base], self._rates[LLAMA, base]
        if not exact or len(quick) < ENOUGH:
            return None
        of_exact, of_quick = statistics.median(exact), statistics.median(quick)
        if of_quick >= of_exact:
            return None
        return f"transformers was faster here: {of_exact:.3g} tokens/s, llama.cpp {of_quick:.3g}"

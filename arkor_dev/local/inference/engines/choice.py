"""Which engine is to answer, and why it is not the quick one.

On a processor llama.cpp is several times as fast as transformers, which computes with the model's own weights
and so is called exact. What both have done on this machine decides where both have answered.
"""

from __future__ import annotations

import statistics
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.bodies import ENGINES

if TYPE_CHECKING:
    from collections.abc import Mapping

AUTO, EXACT, LLAMA = ENGINES
ON_GPU: Final = "this machine has a GPU, on which transformers answers"
MEASURED: Final = 5
ENOUGH: Final = 3
"""So many answers of llama.cpp have to have been slower before it is left."""
LEAST_TOKENS: Final = 16
"""The pace of a shorter answer says little."""


class Pace:
    """How quickly each engine has answered as each base model, from answers that were alone."""

    def __init__(self) -> None:
        self._rates: defaultdict[tuple[str, str], deque[float]] = defaultdict(lambda: deque(maxlen=MEASURED))

    def add(self, engine: str, base: str, done: Mapping[str, Any]) -> None:
        """Take in an answer's last message."""
        tokens, seconds = done["completionTokens"], done["seconds"] - done["firstTokenSeconds"]
        if tokens >= LEAST_TOKENS and seconds > 0:
            self._rates[engine, base].append((tokens - 1) / seconds)

    def slower(self, base: str) -> str | None:
        """In words, that llama.cpp is the slower one as ``base``; None where it is not, or nobody knows."""
        exact, quick = self._rates[EXACT, base], self._rates[LLAMA, base]
        if not exact or len(quick) < ENOUGH:
            return None
        of_exact, of_quick = statistics.median(exact), statistics.median(quick)
        if of_quick >= of_exact:
            return None
        return f"transformers was quicker here: {of_exact:.3g} tokens/s, llama.cpp {of_quick:.3g}"

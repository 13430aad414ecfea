"""Decodes token ids for display: only complete characters, and no part of a stop sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase


class IncrementalDecoder:
    """Decodes token ids as they arrive, whole characters only. ``special`` keeps special tokens' text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, special: bool = False) -> None:
        self._tokenizer = tokenizer
        self._skip = not special
        self._ids: list[int] = []
        self._start = 0
        self._read = 0

    def push(self, token: int) -> str:
        """Return the text that ``token`` completes; some spaces depend on the tokens before it."""
        self._ids.append(token)
        sent = self._decode(self._ids[self._start : self._read])
        text = self._decode(self._ids[self._start :])
        if len(text) <= len(sent) or text.endswith("\ufffd"):
            return ""
        self._start, self._read = self._read, len(self._ids)
        return text[len(sent) :]

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(
            ids, skip_special_tokens=self._skip, clean_up_tokenization_spaces=False
        )
        return text


class StopFilter:
    """Passes text on up to the first stop sequence, which ends the answer and is dropped."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._pending = ""
        self.met = False

    def push(self, text: str) -> str:
        """Return the text that can be sent now because no stop sequence can begin in it."""
        if not self._stops:
            return text
        self._pending += text
        starts = [start for stop in self._stops if (start := self._pending.find(stop)) >= 0]
        if starts:
            self.met = True
            out, self._pending = self._pending[: min(starts)], ""
            return out
        possible = max(_beginning(self._pending, stop) for stop in self._stops)
        out = self._pending[: len(self._pending) - possible]
        self._pending = self._pending[len(out) :]
        return out

    def flush(self) -> str:
        """Return the text that was held back as the possible beginning of a stop sequence."""
        out, self._pending = self._pending, ""
        return out


def _beginning(text: str, stop: str) -> int:
    """Return how many characters at the end of ``text`` are a prefix of ``stop``."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0

"""Token ids to the text that goes out: whole characters, and nothing of a stop text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class Incremental:
    """Token ids to text as they come, holding back a character that is not whole yet."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._start = 0
        self._read = 0

    def push(self, token: int) -> str:
        """The text that ``token`` completes, decoded with a few before it: some spaces depend on them."""
        self._ids.append(token)
        known = self._decode(self._ids[self._start : self._read])
        text = self._decode(self._ids[self._start :])
        if len(text) <= len(known) or text.endswith("\ufffd"):
            return ""
        self._start, self._read = self._read, len(self._ids)
        return text[len(known) :]

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


class Stops:
    """Lets text through up to the first stop text, which ends the answer and is no part of it."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.met = False

    def push(self, text: str) -> str:
        """What of ``text``, and of what was held back, can go out: no stop text can begin in it."""
        if not self._stops:
            return text
        self._held += text
        found = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if found:
            self.met = True
            out, self._held = self._held[: min(found)], ""
            return out
        hold = max(_beginning(self._held, stop) for stop in self._stops)
        out = self._held[: len(self._held) - hold]
        self._held = self._held[len(out) :]
        return out

    def rest(self) -> str:
        """What was held back for a stop text that did not come."""
        out, self._held = self._held, ""
        return out


def _beginning(text: str, stop: str) -> int:
    """How many characters at the end of ``text`` are the beginning of ``stop``, which is not in it."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0

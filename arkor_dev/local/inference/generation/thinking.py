"""Finds an answer's thoughts; ends them after a number of tokens by choosing the text that closes them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Literal

from arkor_dev.data.thoughts import FINAL, FINAL_CHANNEL, MARKS, opened_by

from .decoding import IncrementalDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.local.modeling.interfaces import Tokenizer

TAIL: Final = 32
"""Number of tokens at the end of a prompt in which thoughts may begin."""
SEARCHED: Final = 64
"""Number of characters in which the end of thoughts is searched: more than the longest mark and token."""


class ThinkingTracker:
    """The thoughts of one answer, so far of ``tokens`` tokens; of at most ``budget`` if given.

    Marks are sent with the thoughts, also those that are special tokens, which no other text has.
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int], budget: int | None) -> None:
        self._tokenizer, self._budget = tokenizer, budget
        self.tokens = 0
        self._decoder = IncrementalDecoder(tokenizer, special=True)
        self._marks = opened_by(tokenizer.decode(prompt[-TAIL:], skip_special_tokens=False))
        self._state: Literal["undecided", "thinking", "closing", "after", "over"] = "undecided"
        if self._marks:
            self._state = "thinking"
        self._closing: deque[int] = deque()
        self._text = self._held = self._marked = ""

    def forced(self) -> int | None:
        """Return the token that must come next, once the thoughts have used up their tokens."""
        is_over = self._budget is not None and self.tokens >= self._budget
        if self._state == "thinking" and is_over and self._marks:
            closing = self._tokenizer(self._marks.closing, add_special_tokens=False)["input_ids"]
            self._closing, self._state = deque(closing), "closing"
        return self._closing[0] if self._closing else None

    def push(self, token: int, text: str) -> tuple[str, bool]:
        """Add ``token``, which completes ``text``; return what can be sent, and whether it belongs to the
        thoughts or their marks. What may be the beginning of a mark is held back.
        """
        if self._state == "over":
            return text, False
        piece = self._decoder.push(token)
        is_special = not self._tokenizer.decode([token], skip_special_tokens=True)
        marked = piece if is_special and not text else text
        match self._state:
            case "closing":
                self._closing.popleft()
                self._state = "closing" if self._closing else "over"
                return marked, True
            case "thinking":
                self.tokens += 1
                self._text = (self._text + piece)[-SEARCHED:]
                if self._marks and self._marks.end in self._text:
                    has_more = self._marks.closing.startswith(self._marks.end + FINAL_CHANNEL)
                    self._state, self._text = ("after" if has_more else "over"), ""
                return marked, True
        self._text += piece
        self._held += text
        self._marked += marked
        return self._decided() if self._state == "undecided" else self._begun(FINAL_CHANNEL)

    def flush(self) -> str:
        """Return the text that was held back."""
        held, self._held = self._held, ""
        return held

    def _decided(self) -> tuple[str, bool]:
        """Return what can be sent once it is known whether the answer begins with thoughts."""
        begun = self._text.lstrip()
        self._marks = next((marks for marks in MARKS if begun.startswith(marks.start)), None)
        if self._marks:
            self._state = "over" if self._marks.end in begun else "thinking"
            self._held, self._text = "", begun
            marked, self._marked = self._marked, ""
            return marked, True
        if any(marks.start.startswith(begun) for marks in MARKS):
            return "", False
        return self._begun(FINAL)

    def _begun(self, mark: str) -> tuple[str, bool]:
        """Return what can be sent once it is known whether the answer begins with ``mark``."""
        begun = self._text.lstrip()
        if begun != mark and mark.startswith(begun):
            return "", False
        self._state = "over"
        if begun == mark:
            self._held = ""
            return self._marked if self._marks else "", True
        return self.flush(), False

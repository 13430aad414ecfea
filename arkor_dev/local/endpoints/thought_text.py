"""The thoughts in the stream of an answer, for calls that send them apart from its text."""

from __future__ import annotations

from typing import Final

from arkor_dev.data.thoughts import MARKS

LONGEST_MARK: Final = max(len(marks.end) for marks in MARKS)


class ThoughtText:
    """The thoughts in a stream of text, without the marks around them."""

    def __init__(self) -> None:
        self._text = ""
        self._sent = 0

    def push(self, text: str) -> str:
        """Return what ``text`` adds to the thoughts; the beginning of a mark is held back."""
        self._text += text
        thoughts = self._without_start()
        return self._send(thoughts[: max(0, len(thoughts) - LONGEST_MARK)])

    def end(self) -> str:
        """Return the rest of the thoughts."""
        thoughts = self._without_start()
        for marks in MARKS:
            thoughts = thoughts.partition(marks.end)[0]
        return self._send(thoughts.rstrip())

    def _without_start(self) -> str:
        begun = self._text.lstrip()
        if any(marks.start.startswith(begun) for marks in MARKS):
            return ""
        for marks in MARKS:
            begun = begun.removeprefix(marks.start)
        return begun.lstrip()

    def _send(self, thoughts: str) -> str:
        new, self._sent = thoughts[self._sent :], max(self._sent, len(thoughts))
        return new

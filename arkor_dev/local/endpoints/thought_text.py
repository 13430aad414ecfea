"""The thoughts in an answer, apart from its text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.data.thoughts import MARKS

if TYPE_CHECKING:
    from arkor_dev.local.inference.messages import Text

LONGEST_MARK: Final = max(len(marks.end) for marks in MARKS)


class ThoughtText:
    """The thoughts in a stream of text, without the marks around them."""

    def __init__(self) -> None:
        self._text = ""
        self._sent = 0

    def push(self, text: str) -> str:
        """Return what ``text`` adds to the thoughts; the beginning of a mark is held back."""
        self._text += text
        thoughts, ended = self._without_marks()
        return self._send(thoughts if ended else thoughts[: max(0, len(thoughts) - LONGEST_MARK)])

    def end(self) -> str:
        """Return the rest of the thoughts."""
        return self._send(self._without_marks()[0].rstrip())

    def _without_marks(self) -> tuple[str, bool]:
        """Return the thoughts, and whether they end."""
        begun = self._text.lstrip()
        if any(marks.start.startswith(begun) for marks in MARKS):
            return "", False
        for marks in MARKS:
            begun = begun.removeprefix(marks.start)
        ends = [at for marks in MARKS if (at := begun.find(marks.end)) >= 0]
        return (begun[: min(ends)].strip(), True) if ends else (begun.lstrip(), False)

    def _send(self, thoughts: str) -> str:
        new, self._sent = thoughts[self._sent :], max(self._sent, len(thoughts))
        return new


class SplitStream:
    """Separates the thoughts of a streamed answer from the text after them.

    The line breaks between the two belong to neither.
    """

    def __init__(self) -> None:
        self._thoughts: ThoughtText | None = None
        self._has_text = False

    def push(self, part: Text) -> tuple[str, str]:
        """Return what ``part`` adds to the thoughts and to the text."""
        if part.thoughts:
            self._thoughts = self._thoughts or ThoughtText()
            return self._thoughts.push(part.text), ""
        text = part.text if self._has_text or self._thoughts is None else part.text.lstrip()
        if not text:
            return "", ""
        self._has_text = True
        return self.end(), text

    def end(self) -> str:
        """Return the rest of the thoughts."""
        return self._thoughts.end() if self._thoughts else ""


def without_marks(thoughts: str) -> str:
    """Return the thoughts of a whole answer without the marks around them."""
    text = ThoughtText()
    return text.push(thoughts) + text.end()

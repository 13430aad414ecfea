"""Decodes what a teacher sends.

Behind it, every text is whole, bounded and without the key, and every count is a number or None.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from arkor_dev.core.plain_text import one_line

MASK: Final = "…"
SHORTEST_KEY: Final = 8
"""A shorter key is a placeholder such as ``none``, which a text may well contain."""
LONGEST_TOKEN: Final = 128
"""Maximum number of characters in one token."""
LONGEST_MESSAGE: Final = 300
MOST_TOKENS: Final = 2**40
LONGEST_DELAY: Final = 1e6
"""Maximum number of seconds that a server's ``Retry-After`` counts for."""

# What may be put between the characters of a key so that it still reads as one: anything but printable ASCII
# and letters (zero-width characters, white space, combining marks), escape sequences of terminals, and these
# as escapes of JSON. It has no character in common with a key, so that the search never goes back.
_GAP: Final = (
    r"(?:[^\x1b\x21-\x7e\w]"
    r"|(?>\x1b(?:\[[0-?]*[ -/]*[@-~])?)"
    r"|\\++(?:u001[bB](?>\[[0-?]*[ -/]*[@-~])?|u(?!00[2-7])[0-9a-fA-F]{4}|[bfnrt]))*+"
)


class TooLongError(Exception):
    """The text is longer than the tokens that were asked for can be."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and its tokens by the teacher's own count, None if it gives none.

    ``message`` is the server's own error message, as one line; ``is_object`` is whether it was a JSON object.
    """

    text: str = ""
    input: int | None = None
    output: int | None = None
    message: str = ""
    is_object: bool = False


class Decoder:
    """Decodes the responses of a teacher that knows ``key``."""

    def __init__(self, key: str | None) -> None:
        self._key = key
        self._hidden = _hidden(key) if key and len(key) >= SHORTEST_KEY else None

    def decode(self, data: bytes, max_tokens: int) -> Reply:
        """Decode a response of OpenAI's API, an answer or an error. Raises TooLongError."""
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError):
            return Reply()
        if not isinstance(answer, dict):
            return Reply(message=self._message(answer))
        reply = self.reply(text_of(answer, "message"), answer.get("usage"), max_tokens)
        return Reply(reply.text, reply.input, reply.output, self._message(answer), is_object=True)

    def reply(self, text: str, usage: object, max_tokens: int) -> Reply:
        """Return an answer's text, without the key, and its tokens. Raises TooLongError."""
        if len(text) > LONGEST_TOKEN * max_tokens:
            raise TooLongError
        counts = usage if isinstance(usage, dict) else {}
        # JSON may contain a lone surrogate, which UTF-8 cannot encode.
        whole = text.encode(errors="replace").decode()
        return Reply(
            self.masked(whole), _count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens"))
        )

    def masked(self, text: str) -> str:
        """Return ``text`` with the key masked, also one with invisible characters in it, or with escapes."""
        return self._hidden.sub(MASK, text) if self._hidden else text

    def _message(self, answer: object) -> str:
        """Return the server's own message, without the key: a cut before might leave a part of that."""
        error = answer.get("error", answer) if isinstance(answer, dict) else answer
        try:
            if isinstance(error, dict):
                error = " ".join(str(error[key]) for key in ("message", "code", "detail") if error.get(key))
            text = self.masked(str(error or ""))
        except RecursionError:
            return ""
        if self._key:
            text = text.replace(self._key, MASK)
        return one_line(text.encode(errors="replace").decode(), LONGEST_MESSAGE)


def _hidden(key: str) -> re.Pattern[str]:
    """Return a pattern of the key with gaps in it, each character as itself or as an escape of JSON."""
    parts: list[str] = []
    for char in re.findall(r"[\x21-\x7e\w]", key):
        digits = "".join(
            f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in f"{ord(char):04x}"
        )
        # Before the first character, a run of backslashes is entered at its start only.
        run = r"\\" if parts else r"(?<!\\)\\"
        plain = rf"/|{run}++/" if char == "/" else re.escape(char)
        parts.append(rf"(?:{plain}|{run}++u{digits})")
    return re.compile(_GAP.join(parts))


def _count(value: object) -> int | None:
    """Return a number of tokens, None for anything else."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_TOKENS
    return int(value) if is_count else None  # type: ignore[call-overload]


def text_of(answer: dict[str, object], key: str) -> str:
    """Return the text of OpenAI's answer, whole (``message``) or a part of it (``delta``)."""
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get(key) if isinstance(first, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, str) else ""


def delay_of(header: str | None) -> float | None:
    """Return the seconds of ``Retry-After``, a number or a date, up to LONGEST_DELAY; None if unreadable."""
    if not header:
        return None
    try:
        return min(max(0.0, float(header)), LONGEST_DELAY)
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(header)
        delay = then.timestamp() if then.tzinfo else then.replace(tzinfo=UTC).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, UnicodeError):
        return None
    return min(max(0.0, delay - datetime.now(UTC).timestamp()), LONGEST_DELAY)

"""The one kind of failure that a person is meant to read.

Rooms raise :class:`StudioError`; the API turns it into ``{"error": …}`` in one place and the command
line prints its text without a traceback. Anything else that escapes is a bug and is logged as one.
"""

from __future__ import annotations


class StudioError(Exception):
    """An expected fault: ``text`` names the thing, the cause and the next step.

    ``status`` is the HTTP status a browser gets; ``extra`` joins ``error`` in the JSON envelope.
    """

    def __init__(self, status: int, text: str, **extra: object) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.extra = extra

"""The backend's side of checking a format: each schema is compiled once, in a limited process."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.local.inference.limited_checks import IDLE_SECONDS, LimitedChecks, LimitReachedError

KNOWN: Final = 256
"""Schemas of which the outcome is remembered, by their hashes: a text may be megabytes."""
TOO_MUCH: Final = "it needs more time or memory than a schema is given"


class FormatChecks(LimitedChecks):
    """Compiles schemas where that does no harm, and remembers which can be used."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        super().__init__(f"{__package__}.check_worker", "The format", idle_seconds)
        self._known: OrderedDict[str, str | None] = OrderedDict()

    async def check(self, caller: str, schema: str, field: str) -> None:
        """Check whether ``schema``, the JSON of one that was read, makes a grammar.

        Raises BadRequestError, which begins with the ``field`` that asks for it and says why it does not;
        RateLimitedError where too many checks of ``caller`` wait; UnavailableError where this machine cannot
        check it.
        """
        known = hashlib.sha256(schema.encode()).hexdigest()
        if known not in self._known:
            async with self._line.place(caller):
                if known not in self._known:
                    self._known[known] = await self._wrong(schema)
        self._known.move_to_end(known)
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)
        if wrong := self._known[known]:
            raise BadRequestError(f"{field} cannot be obeyed: {wrong}", code="invalid_value", param=field)

    async def _wrong(self, schema: str) -> str | None:
        try:
            wrong: str | None = await self._asked({"schema": schema})
        except LimitReachedError:
            return TOO_MUCH
        return wrong

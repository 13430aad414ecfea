"""The backend's side of format checks: each schema is compiled once, in a limited process."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.local.inference.limited_checks import IDLE_SECONDS, LimitedChecks, LimitReachedError

KNOWN: Final = 256
"""Most schemas whose result is remembered, by hash: a schema may be megabytes."""
TOO_MUCH: Final = "it exceeds the limits on time or memory of a schema"


class FormatChecks(LimitedChecks):
    """Compiles schemas in a limited process, and remembers which are usable."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        super().__init__(f"{__package__}.check_worker", "The format", idle_seconds)
        self._known: OrderedDict[str, str | None] = OrderedDict()

    async def check(self, caller: str, schema: str, field: str) -> None:
        """Check that ``schema``, the JSON of one that was read, can be compiled.

        Raises BadRequestError with a reason that begins with the ``field``, RateLimitedError if too many
        checks of ``caller`` wait, and UnavailableError if this machine cannot check it.
        """
        known = hashlib.sha256(schema.encode()).hexdigest()
        if known not in self._known:
            async with self._line.admit(caller):
                if known not in self._known:
                    self._known[known] = await self._wrong(schema)
        self._known.move_to_end(known)
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)
        if wrong := self._known[known]:
            raise BadRequestError(f"{field} cannot be enforced: {wrong}", code="invalid_value", param=field)

    async def _wrong(self, schema: str) -> str | None:
        try:
            wrong: str | None = await self._asked({"schema": schema})
        except LimitReachedError:
            return TOO_MUCH
        return wrong

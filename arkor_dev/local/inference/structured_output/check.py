"""The backend's side of format checks: each schema is compiled once, in a limited process."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.local.inference.check_messages import CompileSchema, SchemaCompiled
from arkor_dev.local.inference.limited_checks import IDLE_SECONDS, LimitedChecks, LimitReachedError

MOST_RESULTS: Final = 256
"""Maximum number of schemas whose result is cached, by hash: a schema may be megabytes."""
TOO_MUCH: Final = "it exceeds the limits on time or memory of a schema"


class FormatChecks(LimitedChecks):
    """Compiles schemas in a limited process, and caches which ones are usable."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        super().__init__(f"{__package__}.check_worker", "The format", idle_seconds)
        self._results: OrderedDict[str, str | None] = OrderedDict()

    async def check(self, caller: str, schema: str, field: str) -> None:
        """Check that ``schema``, JSON from `schemas.read`, can be compiled.

        Raises BadRequestError with a reason that begins with the ``field``, RateLimitedError if too many
        checks of ``caller`` are waiting, and UnavailableError if this machine cannot check it.
        """
        key = hashlib.sha256(schema.encode()).hexdigest()
        if key not in self._results:
            try:
                async with self._turn(caller) as compiles:
                    if key not in self._results:
                        compiled = await compiles(CompileSchema(schema))
                        assert isinstance(compiled, SchemaCompiled)
                        self._results[key] = compiled.fault
            except LimitReachedError:
                self._results[key] = TOO_MUCH
        self._results.move_to_end(key)
        if len(self._results) > MOST_RESULTS:
            self._results.popitem(last=False)
        if wrong := self._results[key]:
            raise BadRequestError(f"{field} cannot be enforced: {wrong}", code="invalid_value", param=field)

"""The making runs of one Studio: at most one at a time, which continues when the page is closed."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

from arkor_dev.contract.errors import ArkorError, ConflictError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.backend.client import Backend
    from arkor_dev.contract.making_shapes import KnownMaking, Making, MakingEstimate, MakingOptions, Makings
    from arkor_dev.core.settings import Settings

    from .making import Maker

log = logging.getLogger(__name__)
MOST_RUNS = 20
"""Maximum number of past making runs to list."""


class MakingService:
    """Starts, pauses and shows making runs. Imports their code on demand: most launches make nothing."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings, self._environ = settings, environ
        self._maker: Maker | None = None
        self._last: Making | None = None
        self._task: asyncio.Task[None] | None = None

    async def estimate(self, options: MakingOptions) -> MakingEstimate:
        """Return the estimate of a making run. Raises BadRequestError."""
        from . import start

        start.check_options(options)
        return await start.estimate(options, self._settings)

    async def models(self, teacher: str, variable: str | None) -> list[str]:
        """Return the models that a teacher lists. Raises BadRequestError."""
        from .start import key_of
        from .teacher_models import models_of

        return await models_of(teacher, key_of(variable, self._environ))

    async def start(self, options: MakingOptions, backend: Backend) -> Making:
        """Start a making run, or resume one with the same options; return it.

        Raises ConflictError if one is running, and BadRequestError for options that cannot be used.
        """
        if self._task is not None and not self._task.done():
            raise ConflictError("Rows are being made already. Pause that first.")
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(options, backend, begun), name="making rows")
        await begun
        assert self._maker is not None
        return self._maker.as_wire()

    def pause(self) -> Making | None:
        """Pause the making run; it ends when the requests under way are answered. Return it."""
        if self._maker is not None:
            self._maker.pause()
        return self.current()

    def current(self) -> Making | None:
        """Return the making run in progress, or the last one."""
        return self._last if self._maker is None else self._maker.as_wire()

    async def makings(self) -> Makings:
        """Return the current making run, and past ones with their options."""
        from .start import first_model

        known = await asyncio.to_thread(self._known)
        model = await asyncio.to_thread(first_model, self._settings.project)
        return {"current": self.current(), "known": known, "model": model}

    async def close(self) -> None:
        """Pause, and drop the requests under way, which then count in full."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, options: MakingOptions, backend: Backend, begun: asyncio.Future[None]) -> None:
        from . import start

        try:
            async with start.opened(options, self._settings, self._environ, backend) as (maker, run):
                self._maker = maker
                begun.set_result(None)
                try:
                    await run()
                except ArkorError as fault:
                    maker.fail(fault.text)
                except Exception:
                    log.exception("Making rows failed")
                    maker.fail("Unexpected error in Studio. Its terminal has the details.")
                finally:
                    self._last, self._maker = maker.as_wire(), None
        except ArkorError as fault:
            if begun.done():
                log.error("Making rows: %s", fault.text)
            else:
                begun.set_exception(fault)

    def _known(self) -> list[KnownMaking]:
        from arkor_dev.teacher.ledger import FILE, Ledger

        from .made_file import MadeFile

        if not (self._settings.local_data / FILE).exists():
            return []
        ledger = Ledger(self._settings.local_data)
        try:
            rows = ledger.makings()[:MOST_RUNS]
        finally:
            ledger.close()
        return [
            {
                "name": name,
                "file": MadeFile(self._settings.project, name).path,
                "at": at,
                "options": _options(text),
            }
            for name, text, at in rows
        ]


def _options(text: str) -> MakingOptions:
    options: MakingOptions = json.loads(text)
    return options

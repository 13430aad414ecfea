"""The files that llama.cpp reads: of base models, made beside what goes on, and of adapters, when asked."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.gguf.client import GgufFiles
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.local.models.catalog import Model

    Progress = Callable[[dict[str, Any]], None]

log = logging.getLogger(__name__)

QUANTIZATION: Final = "q8_0"
"""Of base models that come with all their bits: half of 16, and hardly another model."""
MAKING: Final = "its file for llama.cpp is still being made"


class LlamaFiles:
    """Finds and makes them; what could not be made is not tried again unless it is asked for by name."""

    def __init__(self, cache: Path) -> None:
        # A base that is made for a long time is in no adapter's way.
        self._bases, self._adapters = GgufFiles(cache), GgufFiles(cache)
        self._failed: dict[str, str] = {}
        self._making: asyncio.Task[None] | None = None

    async def ready(self, model: Model) -> Path | None:
        """The base model's file where it is there."""
        return await self._bases.ready(model, QUANTIZATION)

    def failed(self, folder: str) -> str | None:
        """Why nothing could be made of what lies in ``folder``."""
        return self._failed.get(folder)

    def make_soon(self, model: Model) -> None:
        """Begin to make the base model's file, where nothing is being made."""
        if not (self._making or self.failed(str(model.path))):
            self._making = asyncio.create_task(self._make(model))
            self._making.add_done_callback(self._made)

    async def base(self, model: Model, progress: Progress) -> Path:
        """The base model's file, made where it is not there; raises :class:`JobFailure`."""
        return await self._noted(str(model.path), self._bases.base(model, progress, QUANTIZATION))

    async def adapter(self, model: Model, folder: Path, progress: Progress) -> Path:
        """The adapter's file, made where it is not there; raises :class:`JobFailure`."""
        return await self._noted(str(folder), self._adapters.lora(model, folder, progress))

    async def close(self) -> None:
        """End what is being made."""
        if self._making:
            self._making.cancel()
            await asyncio.gather(self._making, return_exceptions=True)

    async def _noted(self, folder: str, making: Any) -> Path:
        try:
            path: Path = await making
        except (JobFailure, OSError) as error:
            self._failed[folder] = str(error)
            raise JobFailure(str(error)) from error
        self._failed.pop(folder, None)
        return path

    async def _make(self, model: Model) -> None:
        try:
            await self.base(model, lambda _: None)
        except JobFailure as failure:
            log.warning("the model %s cannot be made into GGUF: %s", model.name, failure)

    def _made(self, _: asyncio.Task[None]) -> None:
        self._making = None

"""Files for llama.cpp: base models are converted in the background, adapters on demand."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from arkor_dev.local.gguf.client import GgufFiles
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from arkor_dev.contract.shapes import Progress
    from arkor_dev.local.models.catalog import Model

    Report = Callable[[Progress], None]

log = logging.getLogger(__name__)

QUANTIZATION: Final = "q8_0"
"""For base models with unquantized weights: half the size of 16 bits, with hardly any loss of quality."""
MAKING: Final = "its file for llama.cpp is still being created"


class LlamaFiles:
    """Finds and creates the files. A failed conversion is repeated only if a request names llama.cpp."""

    def __init__(self, cache: Path) -> None:
        # Separate instances, so that converting a large base does not delay an adapter.
        self._bases, self._adapters = GgufFiles(cache), GgufFiles(cache)
        self._failed: dict[str, str] = {}
        self._conversion: asyncio.Task[None] | None = None

    async def ready(self, model: Model) -> Path | None:
        """Return the base model's file if it exists."""
        return await self._bases.ready(model, QUANTIZATION)

    def failed(self, folder: str) -> str | None:
        """Say why the GGUF file for ``folder`` could not be created."""
        return self._failed.get(folder)

    def convert_soon(self, model: Model) -> None:
        """Start converting the base model, unless another conversion is running."""
        if not (self._conversion or self.failed(str(model.path))):
            self._conversion = asyncio.create_task(self._convert(model))
            self._conversion.add_done_callback(self._finished)

    async def base(self, model: Model, progress: Report) -> Path:
        """Return the base model's file, creating it if needed. Raises JobFailure."""
        return await self._recording_failure(str(model.path), self._bases.base(model, progress, QUANTIZATION))

    async def adapter(self, model: Model, folder: Path, progress: Report) -> Path:
        """Return the adapter's file, creating it if needed. Raises JobFailure."""
        return await self._recording_failure(str(folder), self._adapters.lora(model, folder, progress))

    async def close(self) -> None:
        """Stop the running conversion."""
        if self._conversion:
            self._conversion.cancel()
            await asyncio.gather(self._conversion, return_exceptions=True)

    async def _recording_failure(self, folder: str, conversion: Coroutine[None, None, Path]) -> Path:
        try:
            path: Path = await conversion
        except (JobFailure, OSError) as error:
            self._failed[folder] = str(error)
            raise JobFailure(str(error)) from error
        self._failed.pop(folder, None)
        return path

    async def _convert(self, model: Model) -> None:
        try:
            await self.base(model, lambda _: None)
        except JobFailure as failure:
            log.warning("the model %s cannot be converted to GGUF: %s", model.name, failure)

    def _finished(self, _: asyncio.Task[None]) -> None:
        self._conversion = None

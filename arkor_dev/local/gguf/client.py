"""The backend's side: GGUF files of base models and adapters, created once by a worker and cached."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.process import Child

from .cache_paths import base_path, lora_path
from .installed import lacking

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.contract.shapes import Progress
    from arkor_dev.local.models.catalog import Model

    Report = Callable[[Progress], None]

WORKER: Final = "arkor_dev.local.gguf.worker"


class GgufFiles:
    """Finds cached files and creates missing ones. Cancelling a caller ends the creation of its file."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._lock = asyncio.Lock()

    async def ready(self, model: Model, quantization: str) -> Path | None:
        """Return the base model's file if it exists."""
        with suppress(OSError):
            path = await asyncio.to_thread(base_path, model.path, quantization, self._cache)
            return path if path.is_file() else None
        return None

    async def base(self, model: Model, progress: Report, quantization: str = "f16") -> Path:
        """Return the base model as GGUF. Raises JobFailure.

        For the starter model of the package index this is its own 4-bit file, whatever the ``quantization``.
        """
        path = await asyncio.to_thread(base_path, model.path, quantization, self._cache)
        return await self._create(path, model, progress, quantization=quantization, adapter=None)

    async def lora(self, model: Model, adapter: Path, progress: Report) -> Path:
        """Return the adapter as GGUF, at its trained strength for llama.cpp's scale 1. Raises JobFailure."""
        path = await asyncio.to_thread(lora_path, adapter, model.path, self._cache)
        return await self._create(path, model, progress, adapter=str(adapter))

    async def _create(self, path: Path, model: Model, progress: Report, **request: Any) -> Path:
        if await asyncio.to_thread(path.is_file):
            return path
        if reason := lacking():
            raise JobFailure(reason)
        async with self._lock, Child.running(WORKER) as child:
            child.send(model=str(model.path), name=model.name, cache=str(self._cache), **request)
            return Path((await child.result("path", "Making the GGUF file", progress))["path"])

"""The backend's side: GGUF files of base models and adapters, created once by a worker and cached."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.process import Child

from .cache_paths import base_path, lora_path
from .installed import lacking
from .messages import CreateGguf, GgufCreated

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
        request = CreateGguf(model.path, model.name, self._cache, quantization)
        return await self._create(path, request, progress)

    async def lora(self, model: Model, adapter: Path, progress: Report) -> Path:
        """Return the adapter as GGUF, at its trained strength for llama.cpp's scale 1. Raises JobFailure."""
        path = await asyncio.to_thread(lora_path, adapter, model.path, self._cache)
        request = CreateGguf(model.path, model.name, self._cache, adapter=adapter)
        return await self._create(path, request, progress)

    async def _create(self, path: Path, request: CreateGguf, progress: Report) -> Path:
        if await asyncio.to_thread(path.is_file):
            return path
        if reason := lacking():
            raise JobFailure(reason)
        async with self._lock, Child.running(WORKER) as child:
            child.send(request)
            return (await child.result(GgufCreated, "Making the GGUF file", progress)).path

"""Sends each request to an engine. If it is not the requested one, the answer's last message says why."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.gpus import nvidia_gpus
from arkor_dev.local.gguf.installed import lacking, offloads
from arkor_dev.local.inference.client import Inference
from arkor_dev.local.inference.messages import Done, EngineChosen, Loading
from arkor_dev.local.modeling.adapter_abilities import why_full_strength_only
from arkor_dev.local.modeling.gpu_count import weights_of
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.workers.errors import JobFailure

from .choice import AUTO, EXACT, LLAMA, NO_ROOM, ON_GPU, AnswerPace
from .gguf_files import MAKING, LlamaFiles
from .weights_names import WeightsNames

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from arkor_dev.contract.shapes import Progress
    from arkor_dev.local.inference.messages import AnswerRequest, StreamPart


WORKER: Final = "arkor_dev.local.inference.llama.worker"
UNUSED_SECONDS: Final = 60.0
"""Seconds for which a model stays in memory after the other engine has taken over."""
FILE_BYTES: Final = 1.1
"""Bytes per weight of llama.cpp's file, in 8 bits, with its scales."""
KEYS_BYTES: Final = 3 * 2**30
"""GPU memory for the keys and values of llama.cpp's conversations, its buffers, and CUDA itself."""
NOT_INSTALLED: Final = "llama.cpp, which is faster, is not installed"
AFTER_TRAINING: Final = "its file for llama.cpp is not created while a job is training"
FOUR_BIT: Final = "this model answers on 4-bit weights, which only transformers can use"
WHOLE_MODEL: Final = "this fully fine-tuned model has no file for llama.cpp"


class EngineRouter:
    """Both engines. ``default_engine`` answers unless a request names one; ``gpu``: torch has a GPU here.

    ``shared``: jobs and answers share a GPU's memory. Then models are unloaded when a job starts.
    """

    def __init__(
        self, cache: Path, default_engine: str = AUTO, *, gpu: bool = False, shared: bool = False
    ) -> None:
        self._default_engine = default_engine
        self._shared = shared
        self._gpu = gpu
        self._engines = {EXACT: Inference(), LLAMA: Inference(module=WORKER)}
        self._files = LlamaFiles(cache)
        self._pace = AnswerPace()
        self._names = WeightsNames()
        self._active: list[AnswerRequest] = []
        self._started = 0
        self._offloads: bool | None = None
        self._on_gpu: str | None = None
        """The base that llama.cpp has loaded, whose memory is no longer free."""

    @contextlib.asynccontextmanager
    async def answer(self, ask: AnswerRequest) -> AsyncIterator[AsyncIterator[StreamPart]]:
        """Send a request; the body reads parts up to `Done`. Leaving the body stops the answer.

        `EngineChosen` precedes the first text.
        """
        self._active.append(ask)
        self._started += 1
        try:
            exactly = ask.echo or ask.texts is not None
            engine_name = EXACT if exactly else ask.engine or self._default_engine
            async with contextlib.aclosing(self._messages(engine_name, ask)) as messages:
                yield messages
        finally:
            # Compare by identity: equal requests count separately.
            del self._active[next(index for index, active in enumerate(self._active) if active is ask)]

    async def close(self) -> None:
        """Stop both engines and their conversions."""
        await self._files.close()
        for engine in self._engines.values():
            await engine.close()

    # Called by the scheduler

    def training_begins(self) -> None:
        """Leave the GPU's memory to the job."""
        self._on_gpu = None
        if self._shared:
            for engine in self._engines.values():
                engine.free_memory()

    def training_ended(self) -> None:
        """Do nothing: the next answer simply uses the GPU again."""

    def answers_from(self, folder: Path) -> bool:
        """Return whether an adapter or model in ``folder`` is answering now."""
        used = [folder for ask in self._active for folder in (ask.adapter, ask.base)]
        return any(path and Path(path).is_relative_to(folder) for path in used)

    async def _messages(self, engine_name: str, ask: AnswerRequest) -> AsyncGenerator[StreamPart, None]:
        reason: str | None = None
        if engine_name != EXACT:
            started = False
            try:
                if engine_name == AUTO and (reason := await self._reason_against_llama(ask)):
                    raise JobFailure(reason)
                async with contextlib.aclosing(self._llama_messages(ask)) as messages:
                    async for message in messages:
                        if not (started or isinstance(message, Loading)):
                            started = True
                            yield EngineChosen(LLAMA)
                        yield message
                return
            except JobFailure as failure:
                if started or engine_name == LLAMA:
                    raise
                reason = str(failure)
        yield EngineChosen(EXACT)
        async with contextlib.aclosing(self._engine_messages(EXACT, ask)) as messages:
            async for message in messages:
                if isinstance(message, Done):
                    message = replace(message, why=message.why or reason)
                yield message

    async def _reason_against_llama(self, ask: AnswerRequest) -> str | None:
        """Say why llama.cpp should not answer this request, which names no engine; None if it should."""
        if lacking():
            return NOT_INSTALLED
        if ask.four_bit:
            return FOUR_BIT
        if self._gpu and (reason := await self._reason_against_gpu(ask)):
            return reason
        model = _model(ask)
        if slower := self._pace.slower(ask.base):
            return slower
        if adapter := ask.adapter:
            if reason := self._files.failed(adapter):
                return reason
            if reason := await asyncio.to_thread(why_full_strength_only, Path(adapter)):
                return f"llama.cpp cannot use this adapter: {reason}"
        if await self._files.ready(model):
            return None
        if ask.whole:
            return WHOLE_MODEL
        if reason := self._files.failed(ask.base):
            return reason
        if ask.training:
            return AFTER_TRAINING
        self._files.convert_soon(model)
        return MAKING

    async def _reason_against_gpu(self, ask: AnswerRequest) -> str | None:
        """Say why llama.cpp should not answer on this machine's GPU; None if it should."""
        if self._offloads is None:
            self._offloads = await offloads()
        if not self._offloads or ask.training:
            return ON_GPU
        if ask.base != self._on_gpu:
            try:
                weights = (await asyncio.to_thread(weights_of, Path(ask.base)))[0]
            except (OSError, ValueError):  # whoever loads it says why
                return ON_GPU
            free = [gpu.free or 0 for gpu in await asyncio.to_thread(nvidia_gpus)]
            if FILE_BYTES * weights + KEYS_BYTES > max(free, default=0):
                return NO_ROOM
        return None

    async def _llama_messages(self, ask: AnswerRequest) -> AsyncGenerator[StreamPart, None]:
        """Yield the answer's messages, preceded by `Loading` while its files are created."""
        if reason := lacking() or (FOUR_BIT if ask.four_bit else None):
            raise JobFailure(reason)
        model, adapter = _model(ask), ask.adapter
        gguf, lora = "", None

        async def prepare(progress: Callable[[Progress], None]) -> None:
            nonlocal gguf, lora
            gguf = str(await self._files.base(model, progress))
            if adapter is not None and ask.strength > 0:
                lora = str(await self._files.adapter(model, Path(adapter), progress))

        async with contextlib.aclosing(_progress_of(prepare)) as updates:
            async for message in updates:
                yield message
        ask = replace(ask, gguf=gguf, lora=lora)
        async with contextlib.aclosing(self._engine_messages(LLAMA, ask)) as messages:
            async for message in messages:
                yield message

    async def _engine_messages(self, engine: str, ask: AnswerRequest) -> AsyncGenerator[StreamPart, None]:
        started_before, alone = self._started, len(self._active) == 1 and not ask.training
        async with self._engines[engine].answer(ask) as messages:
            async for message in messages:
                if isinstance(message, Done):
                    weights = await asyncio.to_thread(self._weights, ask)
                    self._on_gpu = ask.base if engine == LLAMA else None
                    message = replace(message, weights=weights)
                    if alone and self._started == started_before:
                        self._pace.add(engine, ask.base, message)
                    self._engines[LLAMA if engine == EXACT else EXACT].unload_after(UNUSED_SECONDS)
                yield message

    def _weights(self, ask: AnswerRequest) -> str | None:
        """Return the name of the weights that answer; None if their files no longer exist."""
        folders = [Path(ask.base)]
        if ask.adapter is not None and ask.strength > 0:
            folders.append(Path(ask.adapter))
        try:
            return self._names.of(*folders)
        except OSError:
            return None


def _model(ask: AnswerRequest) -> Model:
    return Model(ask.name, Path(ask.base))


async def _progress_of(
    work: Callable[[Callable[[Progress], None]], Awaitable[None]],
) -> AsyncGenerator[StreamPart, None]:
    """Run ``work`` and yield the `Loading` messages that it reports."""
    updates: asyncio.Queue[Progress | None] = asyncio.Queue()

    async def working() -> None:
        try:
            await work(updates.put_nowait)
        finally:
            updates.put_nowait(None)

    task = asyncio.create_task(working())
    try:
        while (progress := await updates.get()) is not None:
            yield Loading(progress)
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

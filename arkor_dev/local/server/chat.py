"""``POST /v1/inference/chat``: a model's answer as OpenAI chunks, or as one JSON body.

The stream begins immediately, so that a client sees a live connection while a model is downloaded or loaded:
it receives ``progress`` and ``ping`` events meanwhile. A later error is an ``error`` event with the message.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

from arkor_dev.contract.errors import BadRequestError, ConflictError, NotFoundError, UnavailableError
from arkor_dev.contract.events import CHAT_DONE, CHAT_ERROR, CHAT_PROGRESS, PING
from arkor_dev.local.gguf.installed import lacking
from arkor_dev.local.inference.adapter_scale import FULL_STRENGTH
from arkor_dev.local.inference.engines.choice import LLAMA
from arkor_dev.local.inference.messages import AnswerRequest, ClassifiedTexts, Done, Loading, Text
from arkor_dev.local.inference.request_options import sampling
from arkor_dev.local.inference.response_format import envelope, figures, indexed, logprobs, whole_choice
from arkor_dev.local.inference.structured_output.request import format_of
from arkor_dev.local.jobs.atomic_folder import MANIFEST, damage
from arkor_dev.local.jobs.job_folder import checkpoint_folder, checkpoint_steps, final_folder, kind_of
from arkor_dev.local.jobs.records import compact
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.modeling.adapter_abilities import why_full_strength_only
from arkor_dev.local.modeling.chat_template import template_arguments
from arkor_dev.local.modeling.classes import is_classifier
from arkor_dev.local.modeling.embedder import Embedder, is_embedder
from arkor_dev.local.modeling.gate import comes_in_4_bit
from arkor_dev.local.modeling.reranker import is_reranker
from arkor_dev.local.workers import daemon_messages as notices
from arkor_dev.local.workers.errors import JobFailure

from .event_stream import frame, open_stream, pinged

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from arkor_dev.contract.shapes import AdapterRef, ClassifiedText, JobConfig, Progress
    from arkor_dev.local.endpoints.embeddings import EmbeddingsRequest
    from arkor_dev.local.endpoints.openai_shapes import Delta
    from arkor_dev.local.endpoints.rerank import RerankRequest
    from arkor_dev.local.inference.chat_call import ChatCall, ChatTarget
    from arkor_dev.local.inference.engines.router import EngineRouter
    from arkor_dev.local.inference.messages import StreamPart, TokenLogprob
    from arkor_dev.local.inference.prompt_checks import PromptChecks
    from arkor_dev.local.inference.structured_output.check import FormatChecks
    from arkor_dev.local.jobs.async_store import AsyncStore
    from arkor_dev.local.models.catalog import Model, Models

PING_SECONDS: Final = 5.0
MAX_TOKENS: Final = 512
CLASSIFIER: Final = (
    "This model is a classifier: it answers with a label, not in words. Send texts to the path /v1/classify "
    "of an endpoint"
)
EMBEDDER: Final = (
    "This model is an embedder: it answers with vectors, not in words. Send texts to the path /v1/embeddings "
    "of an endpoint"
)
NO_EMBEDDER: Final = 'This model is not an embedder, so it has no embeddings: train one with method = "embed"'
RERANKER: Final = (
    "This model is a reranker: it orders documents, and writes no text. Send a query and documents to the "
    "path /v1/rerank of an endpoint"
)
NO_RERANKER: Final = 'This model is not a reranker: train one with method = "rerank"'
NO_CLASSIFIER: Final = "This model is not a classifier: send messages to /v1/chat/completions"
PLAYGROUND: Final = "playground"
"""Caller of requests that belong to no endpoint."""


class Chat:
    """Answers chat requests by the inference worker."""

    def __init__(
        self,
        store: AsyncStore,
        models: Models,
        inference: EngineRouter,
        formats: FormatChecks,
        prompts: PromptChecks,
        data: Path,
        training: Callable[[], bool],
    ) -> None:
        self._store = store
        self._models = models
        self._inference = inference
        self._formats = formats
        self._prompts = prompts
        self._data = data
        self._training = training
        self._whole_ones: set[tuple[str, int]] = set()

    async def handle(self, request: web.Request, body: ChatCall) -> web.StreamResponse:
        """Serve one request, an ``ASK``; any refusal comes before the stream begins."""
        ask = await self.prepare(body)
        if body.get("stream") is False:
            return await self._complete(ask)
        return await self._stream(request, ask)

    async def check_target(self, body: ChatTarget) -> None:
        """Raise ArkorError if the target in ``body`` cannot answer now."""
        name, folder, _ = await self._target(body)
        if folder is not None:
            await self._check_whole(folder)
            return
        try:
            self._models.find_local(name)
        except JobFailure as failure:
            raise BadRequestError(str(failure)) from None

    async def prepare(self, body: ChatCall, caller: str = PLAYGROUND) -> AnswerRequest:
        """Return the engine's request for an ``ASK`` from ``caller``, for `events`.

        Raises ArkorError if it cannot be answered.
        """
        if body.get("engine") == LLAMA and (reason := lacking()):
            raise ConflictError(reason)
        name, folder, config = await self._target(body)
        if folder is not None:
            await self._check_whole(folder)
            if is_reranker(folder):
                raise BadRequestError(RERANKER, code="reranker")
            if is_classifier(folder):
                raise BadRequestError(CLASSIFIER, code="classifier")
            if is_embedder(folder):
                raise BadRequestError(EMBEDDER, code="embedder")
        is_full = folder is not None and kind_of(folder) == "model"
        given, most, stop = body.get("adapterStrength"), body.get("maxTokens"), body.get("stop")
        strength = float(FULL_STRENGTH if given is None else given)
        if folder is not None and strength != FULL_STRENGTH:
            why = (
                "the model was fully fine-tuned"
                if is_full
                else await asyncio.to_thread(why_full_strength_only, folder)
            )
            if why:
                raise ConflictError(f"This adapter works only at full strength: {why}")
        ask = AnswerRequest(
            base=str(folder) if is_full else "",
            name=name,
            adapter=str(folder) if folder and not is_full else None,
            strength=strength,
            whole=is_full,
            four_bit=bool(config and config.get("loadIn4bit")),
            template_arguments={**template_arguments(config or {}), **template_arguments(body)},
            engine=body.get("engine"),
            messages=body.get("messages"),
            prompt=body.get("prompt"),
            sampling=sampling(body),
            max_tokens=int(MAX_TOKENS if most is None else most),
            stop=[stop] if isinstance(stop, str) else stop,
            echo=body.get("echo") is True,
            tools=body.get("tools") if body.get("toolChoice") != "none" else None,
            format=format_of(body),
            thinking_budget=body.get("thinkingBudget"),
        )
        model = folder if is_full else None
        try:
            if not is_full and (local_model := self._models.find_local(name)):
                model = local_model.path
        except JobFailure as failure:
            raise BadRequestError(str(failure)) from None
        if model:
            await self._prompts.check(caller, ask, model)
        if ask.format:
            await self._formats.check(caller, ask.format.schema, ask.format.field)
        return ask

    async def prepare_texts(self, body: ChatTarget, texts: list[str]) -> AnswerRequest:
        """Return the engine's request to classify ``texts`` by the target in ``body``, for `events`.

        Raises ArkorError if that is no classifier, or is not available now.
        """
        name, folder, config = await self._target(body)
        if folder is None or not is_classifier(folder) or is_reranker(folder):
            raise BadRequestError(NO_CLASSIFIER, code="unsupported_endpoint")
        await self._check_whole(folder)
        return AnswerRequest(
            base="",
            name=name,
            adapter=str(folder),
            four_bit=bool(config and config.get("loadIn4bit")),
            texts=texts,
        )

    async def classify(self, adapter: AdapterRef, text: str) -> ClassifiedText:
        """Return the labels of a ``text`` by the classifier ``adapter``, as in ``CLASSIFY``."""
        ask = await self.prepare_texts({"adapter": adapter}, [text])
        found: ClassifiedText | None = None
        try:
            async with contextlib.aclosing(self.events(ask)) as events:
                async for part in events:
                    if isinstance(part, ClassifiedTexts):
                        found = {"labels": part.labels, "probabilities": part.probabilities[0]}
        except JobFailure as failure:
            raise UnavailableError(str(failure).replace("input[0]", "The text")) from None
        if found is None:
            raise UnavailableError("There was no answer: try again")
        return found

    async def prepare_embeddings(self, body: ChatTarget, request: EmbeddingsRequest) -> AnswerRequest:
        """Return the engine's request to embed texts by the target in ``body``, for `events`.

        Raises ArkorError if that is no embedder, has other dimensions, or is not available now.
        """
        name, folder, config = await self._target(body)
        if folder is None or not is_embedder(folder):
            raise BadRequestError(NO_EMBEDDER, code="unsupported_endpoint")
        await self._check_whole(folder)
        try:
            sizes = Embedder.read(folder).dimensions
        except JobFailure as failure:
            raise ConflictError(str(failure)) from None
        if request.dimensions not in (None, *sizes):
            raise BadRequestError(
                f"dimensions must be one of {', '.join(map(str, sizes))}: this model has not learned others",
                code="invalid_value",
                param="dimensions",
            )
        return AnswerRequest(
            base="",
            name=name,
            adapter=str(folder),
            four_bit=bool(config and config.get("loadIn4bit")),
            texts=request.texts,
            input_type=request.input_type,
            dimensions=request.dimensions,
        )

    async def prepare_ranking(self, body: ChatTarget, request: RerankRequest) -> AnswerRequest:
        """Return the engine's request to rank documents by the target in ``body``, for `events`.

        Raises ArkorError if that is no reranker, or is not available now.
        """
        name, folder, config = await self._target(body)
        if folder is None or not is_reranker(folder):
            raise BadRequestError(NO_RERANKER, code="unsupported_endpoint")
        await self._check_whole(folder)
        return AnswerRequest(
            base="",
            name=name,
            adapter=str(folder),
            four_bit=bool(config and config.get("loadIn4bit")),
            texts=request.documents,
            query=request.query,
        )

    async def reranks(self, body: ChatTarget) -> bool:
        """Return whether the target in ``body`` is a reranker. Raises ArkorError if there is none."""
        _, folder, _ = await self._target(body)
        return folder is not None and is_reranker(folder)

    async def _target(self, body: ChatTarget | ChatCall) -> tuple[str, Path | None, JobConfig | None]:
        """Return the base model's name, and the result's (adapter's or model's) folder and config, if any."""
        adapter = body.get("adapter")
        if adapter is None:
            return body.get("baseModel") or "", None, None
        job_id, step = adapter["jobId"], adapter.get("step")
        job = await self._store.read(Store.get, job_id)
        if job is None:
            raise NotFoundError(f"There is no job {job_id}")
        steps = checkpoint_steps(self._data, job["id"])
        if adapter["kind"] == "final":
            folder = final_folder(self._data, job["id"])
            if not folder.is_dir():
                instead = f"; its checkpoints are at steps {', '.join(map(str, steps))}" if steps else ""
                raise ConflictError(
                    f"The job {job['name']} is {job['status']} and has no final adapter{instead}"
                )
            return job["config"]["model"], folder, job["config"]
        if step not in steps:
            available = f"it has steps {', '.join(map(str, steps))}" if steps else "it has none"
            raise NotFoundError(f"The job {job['name']} has no checkpoint of step {step}; {available}")
        folder = checkpoint_folder(self._data, job["id"], step)
        return job["config"]["model"], folder, job["config"]

    async def _check_whole(self, folder: Path) -> None:
        """Raise ConflictError for an adapter that has changed since it was written; each is checked once."""
        with contextlib.suppress(FileNotFoundError):
            key = (str(folder), (folder / MANIFEST).stat().st_mtime_ns)
            if key not in self._whole_ones:
                if wrong := await asyncio.to_thread(damage, folder):
                    raise ConflictError(f"This adapter's files are damaged: {wrong}. Train it again")
                self._whole_ones.add(key)

    async def events(self, ask: AnswerRequest) -> AsyncGenerator[StreamPart, None]:
        """Yield the parts of preparing and answering as one stream; download a missing model first."""
        if not ask.base:
            async with contextlib.aclosing(self._prepared(ask.name)) as preparing:
                async for part in preparing:
                    if isinstance(part, Loading):
                        yield part
                    else:
                        ask = replace(ask, name=part.name, base=str(part.path))
        if not ask.four_bit:
            ask = replace(ask, four_bit=await asyncio.to_thread(comes_in_4_bit, Path(ask.base)))
        async with self._inference.answer(replace(ask, training=self._training())) as messages:
            async for message in messages:
                yield message

    async def _prepared(self, name: str) -> AsyncGenerator[Loading | Model, None]:
        """Prepare a model: yield the progress, and finally the model."""
        waiting: asyncio.Queue[Progress] = asyncio.Queue()
        ensuring = asyncio.create_task(self._models.ensure(name, waiting.put_nowait))
        label = ""
        try:
            while not ensuring.done():
                hearing = asyncio.create_task(waiting.get())
                await asyncio.wait({ensuring, hearing}, return_when=asyncio.FIRST_COMPLETED)
                if hearing.done():
                    label = hearing.result()["label"]
                    notices.progress(hearing.result())
                    yield Loading(hearing.result())
                hearing.cancel()
            yield ensuring.result()
        finally:
            ensuring.cancel()
            if label:
                notices.progress_ended(label)

    async def _complete(self, ask: AnswerRequest) -> web.Response:
        words: list[str] = []
        logged: list[TokenLogprob] = []
        done = Done("cancelled")
        try:
            async with contextlib.aclosing(self.events(ask)) as events:
                async for part in events:
                    match part:
                        case Text(text, entries):
                            words.append(text)
                            logged += entries
                        case Done():
                            done = part
        except JobFailure as failure:
            raise UnavailableError(str(failure)) from None
        return web.json_response(
            {
                **envelope("chat.completion", ask.name),
                "choices": [whole_choice("".join(words), logged, done)],
                **figures(done),
            }
        )

    async def _stream(self, request: web.Request, ask: AnswerRequest) -> web.StreamResponse:
        response = await open_stream(request)
        head = envelope("chat.completion.chunk", ask.name)
        with_logprobs = ask.sampling.logprobs is not None

        def chunk(delta: Delta, entries: list[TokenLogprob], done: Done | None = None) -> bytes:
            more = {"logprobs": logprobs(entries)} if with_logprobs else {}
            choice = {"index": 0, "delta": delta, **more, "finish_reason": done.reason if done else None}
            return frame(None, compact({**head, "choices": [choice], **(figures(done) if done else {})}))

        ping = frame(PING, "{}")
        async with (
            pinged(response, ping, PING_SECONDS),
            contextlib.aclosing(self.events(ask)) as events,
        ):
            try:
                async for part in events:
                    match part:
                        case Loading(progress):
                            await response.write(frame(CHAT_PROGRESS, compact(progress)))
                        case Text(text, entries):
                            await response.write(chunk({"content": text}, entries))
                        case Done():
                            if calls := indexed(part.tool_calls):
                                await response.write(chunk({"tool_calls": calls}, []))
                            await response.write(chunk({}, part.logprobs, part))
            except JobFailure as failure:
                await response.write(frame(CHAT_ERROR, compact({"error": str(failure)})))
            await response.write(frame(None, CHAT_DONE))
        await response.write_eof()
        return response

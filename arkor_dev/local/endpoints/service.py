"""Serves deployments: authentication, admission, logging, and ending requests.

An answer occupies a slot only while the engine generates it, not while its reader is slow. A request ends,
even if it is still waiting, when its caller disconnects, its key is revoked or its endpoint is deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from arkor_dev.contract.deployments import UNAVAILABLE_TARGET, WRONG_KEY
from arkor_dev.contract.errors import (
    ArkorError,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    UnavailableError,
)
from arkor_dev.local.inference.admission import AdmissionQueue, RateLimit
from arkor_dev.local.inference.engines.choice import AUTO, EXACT, LLAMA
from arkor_dev.local.inference.messages import (
    ClassifiedTexts,
    Done,
    EmbeddedTexts,
    EngineChosen,
    Reading,
    Reranked,
    Text,
)
from arkor_dev.local.inference.response_format import answered_by
from arkor_dev.local.workers.errors import JobFailure

from . import deployments, requests
from .classify import input_fault
from .openai import context_fault, format_fault, prompt_fault, template_fault

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from arkor_dev.contract.shapes import Deployment, DeploymentTarget
    from arkor_dev.local.inference.chat_call import ChatCall, ChatTarget
    from arkor_dev.local.inference.messages import AnswerRequest, StreamPart
    from arkor_dev.local.jobs.async_store import AsyncStore

    from .embeddings import EmbeddingsRequest
    from .openai import OpenAIRequest
    from .requests import LoggedRequest
    from .rerank import RerankRequest

Answer = Text | Reading | Done
"""A part of an answer that its caller gets."""

log = logging.getLogger(__name__)

RESERVED: Final = 2
"""Number of concurrent answers reserved for others, so that two playground columns always get a slot."""
FORGET_SECONDS: Final = 600.0
"""Seconds between deletions of expired texts, which are hidden in the meantime."""
USED_SECONDS: Final = 30.0
"""Precision of a key's time of last use, in seconds."""
REFUSALS_SECONDS: Final = 1.0
"""Minimum seconds between log entries about a deployment's refusals, in case of a flood."""
NOT_NOW: Final = "This endpoint's model cannot answer now. Its owner sees why on Studio's Endpoints page."


class AnsweringEngine(Protocol):
    """Interface of the answering engine; `arkor_dev.local.server.chat.Chat` implements it."""

    async def check_target(self, body: ChatTarget) -> None:
        """Raise ArkorError if the target of a chat call is not available now."""

    async def prepare(self, body: ChatCall, caller: str) -> AnswerRequest:
        """Return the engine's request for a chat call from ``caller``. Raises ArkorError."""

    async def prepare_texts(self, body: ChatTarget, texts: list[str]) -> AnswerRequest:
        """Return the engine's request to classify ``texts``. Raises ArkorError."""

    async def prepare_embeddings(self, body: ChatTarget, request: EmbeddingsRequest) -> AnswerRequest:
        """Return the engine's request to embed texts. Raises ArkorError."""

    async def prepare_ranking(self, body: ChatTarget, request: RerankRequest) -> AnswerRequest:
        """Return the engine's request to rank documents. Raises ArkorError."""

    def events(self, ask: AnswerRequest) -> AsyncGenerator[StreamPart, None]:
        """Yield the answer's parts. Raises JobFailure."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A deployment and the key of its caller, if it needs one."""

    deployment: Deployment
    key: deployments.Key | None

    @property
    def name(self) -> str:
        """The caller's identity for admission; all callers of an open endpoint count as one."""
        return self.key.id if self.key else self.deployment["id"]


class _EngineChoice:
    """The engine of a deployment, None until it is known."""

    def __init__(self, engine: str | None = None) -> None:
        self.engine = engine
        self._lock = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def deciding(self) -> AsyncIterator[None]:
        """Admit one caller at a time until the engine is known or the body fails."""
        await self._lock.acquire()
        if self.engine is not None:
            self._lock.release()
        try:
            yield
        finally:
            if self.engine is None:
                self._lock.release()

    def settle(self, engine: str) -> None:
        if self.engine is None:
            self.engine = engine
            if self._lock.locked():
                self._lock.release()


class CallerFault(Exception):  # noqa: N818 - a fault's other form
    """An error in two versions: for the caller (``fault``) and for the owner (``detail``)."""

    def __init__(self, fault: ArkorError, detail: str) -> None:
        super().__init__(detail)
        self.fault, self.detail = fault, detail


class Endpoints:
    """The served deployments of one project; ``concurrent`` is the number of answers generated at once.

    ``launched`` is the launch's default engine.
    """

    def __init__(
        self, store: AsyncStore, engine: AnsweringEngine, concurrent: int, launched: str = AUTO
    ) -> None:
        self.store = store
        self._launched = launched
        self._engine = engine
        self._queue = AdmissionQueue(max(1, concurrent - RESERVED))
        self._rate = RateLimit()
        self._running: dict[asyncio.Task[None], Caller] = {}
        self._engines: dict[str, _EngineChoice] = {}
        self._used: dict[str, float] = {}
        self._refused: dict[str, float] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Delete expired texts while the block runs."""

        ending = asyncio.Event()  # cancellation can get lost within a write (Python 3.11's wait_for)

        async def forget() -> None:
            while not ending.is_set():
                await self.forget_texts()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FORGET_SECONDS):
                        await ending.wait()

        task = asyncio.create_task(forget(), name="kept texts")
        try:
            yield
        finally:
            self.cut(lambda _: True)
            ending.set()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def forget_texts(self) -> None:
        """Delete texts that must not be kept (any longer)."""
        with contextlib.suppress(ArkorError):  # an unwritable disk: retried later
            await self.store.request(requests.forget_texts)

    async def check_target(self, target: DeploymentTarget) -> None:
        """Raise ConflictError, with the code ``target_unavailable``, if ``target`` cannot answer now."""
        if problem := await self.problem(target):
            raise ConflictError(problem, code=UNAVAILABLE_TARGET)

    async def problem(self, target: DeploymentTarget) -> str | None:
        """Return why ``target`` cannot answer now; None if it can."""
        try:
            await self._engine.check_target(_target_fields(target))
        except ArkorError as fault:
            return fault.text
        return None

    # Authentication

    async def caller(self, slug: str, key: str | None) -> Caller:
        """Return the caller of the deployment ``slug`` with this key.

        Raises NotFoundError if the deployment does not exist or is off, ForbiddenError for a missing or wrong
        key, and RateLimitedError for too many requests.
        """
        deployment = await self.store.read(deployments.by_slug, slug)
        if deployment is None or not deployment["enabled"]:
            raise NotFoundError("This endpoint does not exist", code="endpoint_not_found")
        caller = Caller(deployment, None)
        if deployment["authMode"] != "none":
            matched = (
                None if key is None else await self.store.read(deployments.key_of, deployment["id"], key)
            )
            if matched is None:
                text = "This endpoint needs an API key: send it as a bearer token"
                if key is not None:
                    text = "The API key is not one of this endpoint's"
                self._log_refusal(deployment["id"], 401, text)
                raise ForbiddenError(text, code=WRONG_KEY)
            caller = Caller(deployment, matched)
            self._record_use(matched.id)
        try:
            self._rate.count(caller.name)
        except RateLimitedError as fault:
            self._log_refusal(deployment["id"], 429, fault.text)
            raise
        return caller

    def _record_use(self, key: str) -> None:
        now = time.monotonic()
        if now - self._used.get(key, -USED_SECONDS) >= USED_SECONDS:
            self._used[key] = now
            self.store.post(deployments.record_used, key)

    def _log_refusal(self, deployment: str, status: int, text: str) -> None:
        self.log_request(requests.LoggedRequest(deployment, "", status=status, error=text))

    def log_request(self, request: LoggedRequest) -> None:
        if request.status >= requests.FAULT:
            now = time.monotonic()
            if now - self._refused.get(request.deployment, -REFUSALS_SECONDS) < REFUSALS_SECONDS:
                return
            self._refused[request.deployment] = now
        self.store.post(requests.add, request)

    def cut(self, matches: Callable[[Caller], bool]) -> None:
        """End all requests of these callers, including waiting ones."""
        for task, caller in self._running.items():
            if matches(caller):
                task.cancel()

    # Answers

    @contextlib.asynccontextmanager
    async def answers(
        self, caller: Caller, request: OpenAIRequest
    ) -> AsyncIterator[AsyncIterator[tuple[int, Text | Done]]]:
        """Yield the parts of a request's answers, each with the number of its answer; exiting ends them.

        Entering only checks the request. Errors are raised as `CallerFault`.
        """
        target = _target_fields(caller.deployment["target"])
        prepared = []
        try:
            if request.chat.get("echo"):
                self._check_echo(caller.deployment)
            for chat in request.chats:
                ask = await self._engine.prepare({**target, **chat}, caller.name)
                prepared += [_numbered(ask, number) for number in range(request.answers)]
        except ArkorError as fault:
            raise caller_fault(fault) from None
        async with self._generated(caller, prepared) as messages:
            yield (
                (number, message) async for number, message in messages if isinstance(message, Text | Done)
            )

    async def classified(self, caller: Caller, texts: list[str]) -> tuple[ClassifiedTexts, Done]:
        """Return the labels of ``texts`` by a caller's classifier. Errors are raised as `CallerFault`."""
        asking = self._engine.prepare_texts(_target_fields(caller.deployment["target"]), texts)
        found, done = await self._read(caller, asking)
        assert isinstance(found, ClassifiedTexts)
        return found, done

    async def embedded(self, caller: Caller, request: EmbeddingsRequest) -> tuple[EmbeddedTexts, Done]:
        """Return the embeddings of texts by a caller's embedder. Errors are raised as `CallerFault`."""
        asking = self._engine.prepare_embeddings(_target_fields(caller.deployment["target"]), request)
        found, done = await self._read(caller, asking)
        assert isinstance(found, EmbeddedTexts)
        return found, done

    async def ranked(self, caller: Caller, request: RerankRequest) -> tuple[Reranked, Done]:
        """Return the relevance of documents by a caller's reranker. Errors are raised as `CallerFault`."""
        asking = self._engine.prepare_ranking(_target_fields(caller.deployment["target"]), request)
        found, done = await self._read(caller, asking)
        assert isinstance(found, Reranked)
        return found, done

    async def _read(self, caller: Caller, asking: Awaitable[AnswerRequest]) -> tuple[Reading, Done]:
        """Return what the caller's adapter finds in the texts of a request. Raises `CallerFault`."""
        found: Reading | None = None
        try:
            ask = await asking
        except ArkorError as fault:
            raise caller_fault(fault) from None
        async with self._generated(caller, [ask]) as messages:
            async for _, message in messages:
                match message:
                    case ClassifiedTexts() | EmbeddedTexts() | Reranked():
                        found = message
                    case Done() if found:
                        return found, message
        raise CallerFault(UnavailableError(NOT_NOW, code="model_unavailable"), "There was no answer")

    async def prompt_tokens(self, caller: Caller, request: OpenAIRequest) -> int:
        """Return the number of tokens of a request's conversation. Errors are raised as `CallerFault`."""
        target = _target_fields(caller.deployment["target"])
        try:
            ask = await self._engine.prepare({**target, **request.chat}, caller.name)
        except ArkorError as fault:
            raise caller_fault(fault) from None
        counting = replace(ask, max_tokens=0, format=None, thinking_budget=None)
        async with self._generated(caller, [counting]) as messages:
            async for _, message in messages:
                if isinstance(message, Done):
                    return message.prompt_tokens
        raise CallerFault(UnavailableError(NOT_NOW, code="model_unavailable"), "There was no answer")

    @contextlib.asynccontextmanager
    async def _generated(
        self, caller: Caller, prepared: list[AnswerRequest]
    ) -> AsyncIterator[AsyncIterator[tuple[int, Answer]]]:
        """Yield the parts of answers; see `answers`."""
        messages_queue: asyncio.Queue[tuple[int, Answer] | None] = asyncio.Queue()
        task = asyncio.create_task(self._all(caller, prepared, messages_queue))
        self._running[task] = caller
        task.add_done_callback(lambda _: messages_queue.put_nowait(None))
        try:
            yield self._messages(task, messages_queue)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            del self._running[task]

    def _check_echo(self, deployment: Deployment) -> None:
        """Raise BadRequestError if llama.cpp answers, which computes no log probabilities of a prompt."""
        engine, answered = self._engine_of(deployment), deployment.get("answeredBy")
        if engine == LLAMA or (engine == AUTO and answered is not None and answered["engine"] == LLAMA):
            raise BadRequestError(
                "echo is not available here: llama.cpp answers, and has no log probabilities of a prompt. "
                "Set this endpoint's engine to exact",
                code="unsupported_parameter",
                param="echo",
            )

    def _engine_of(self, deployment: Deployment) -> str:
        """Return the user's choice of an engine, else the launch's."""
        chosen = deployment.get("engine", AUTO)
        return self._launched if chosen == AUTO else chosen

    @contextlib.asynccontextmanager
    async def _choice(self, deployment: Deployment, *, exactly: bool) -> AsyncIterator[_EngineChoice]:
        """Yield the engine: the user's or the launch's choice, or the one that gave the earlier answers.

        ``exactly``: only transformers can answer. Without any choice, one answer at a time determines it
        while the others wait.
        """
        if exactly:  # no other engine supports it, so it does not decide which one answers other requests
            yield _EngineChoice(EXACT)
            return
        if (engine := self._engine_of(deployment)) != AUTO:
            yield _EngineChoice(engine)
            return
        if answered := deployment.get("answeredBy"):
            yield _EngineChoice(LLAMA if answered["engine"] == LLAMA else EXACT)
            return
        choice = self._engines.setdefault(deployment["id"], _EngineChoice())
        async with choice.deciding():
            yield choice

    def choose_anew(self, deployment: str) -> None:
        """Reset the choice of a deployment's engine."""
        self._engines.pop(deployment, None)

    def _record_engine(self, deployment: Deployment, done: Done) -> None:
        if deployment.get("answeredBy") is None and (engine_facts := answered_by(done)):
            self.store.post(deployments.record_answered, deployment["id"], engine_facts)

    async def _messages(
        self, task: asyncio.Task[None], messages_queue: asyncio.Queue[tuple[int, Answer] | None]
    ) -> AsyncIterator[tuple[int, Answer]]:
        while (message := await messages_queue.get()) is not None:
            yield message
        if task.cancelled():
            text = "The key was revoked, or the endpoint was changed, during this request"
            raise CallerFault(UnavailableError(text, code="endpoint_changed"), text)
        if fault := task.exception():
            raise caller_fault(fault)

    async def _all(
        self,
        caller: Caller,
        prepared: list[AnswerRequest],
        messages_queue: asyncio.Queue[tuple[int, Answer] | None],
    ) -> None:
        """Run each answer once it is admitted; the first failure ends the others."""

        async def generate(number: int, ask: AnswerRequest) -> None:
            settings, exactly = caller.deployment, ask.echo or ask.texts is not None
            async with self._queue.admit(caller.name), self._choice(settings, exactly=exactly) as choice:
                answer = self._engine.events(replace(ask, engine=choice.engine))
                async with contextlib.aclosing(answer) as parts:
                    async for part in parts:
                        match part:
                            case EngineChosen(engine):
                                choice.settle(engine)
                            case Text() | ClassifiedTexts() | EmbeddedTexts() | Reranked() | Done():
                                messages_queue.put_nowait((number, part))
                        if isinstance(part, Done) and not exactly:
                            self._record_engine(settings, part)

        tasks = [asyncio.create_task(generate(number, ask)) for number, ask in enumerate(prepared)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _numbered(ask: AnswerRequest, number: int) -> AnswerRequest:
    """Return the request for answer ``number`` (from 0), whose seed is its own and reproducible."""
    seed = ask.sampling.seed
    return ask if seed is None else replace(ask, sampling=replace(ask.sampling, seed=seed + number))


def _target_fields(target: DeploymentTarget) -> ChatTarget:
    """Return the target as fields of the chat call."""
    if target["kind"] == "adapter":
        return {"adapter": target["adapter"]}
    return {"baseModel": target["baseModel"]}


def caller_fault(fault: BaseException) -> CallerFault:
    """Convert an error for a caller, without paths of this machine or details of a job."""
    if isinstance(fault, ArkorError) and "code" in fault.extra:
        return CallerFault(format_fault(fault.text) or fault, fault.text)
    if isinstance(fault, ArkorError | JobFailure):
        detail = str(fault)
        callers_fault = (
            context_fault(detail)
            or format_fault(detail)
            or template_fault(detail)
            or prompt_fault(detail)
            or input_fault(detail)
        )
        return CallerFault(callers_fault or UnavailableError(NOT_NOW, code="model_unavailable"), detail)
    raise fault

"""Serving deployments, with an engine that does what it is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import (
    ArkorError,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    status_of,
)
from arkor_dev.local.endpoints import deployments, requests, service
from arkor_dev.local.endpoints.openai import OpenAIRequest
from arkor_dev.local.endpoints.requests import LoggedRequest
from arkor_dev.local.endpoints.service import Caller, CallerFault, Endpoints
from arkor_dev.local.inference import admission
from arkor_dev.local.inference.messages import AnswerRequest, Done, EngineChosen, Loading, Sampling, Text
from arkor_dev.local.jobs.async_store import AsyncStore
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from arkor_dev.contract.shapes import Deployment, DeploymentKey
    from arkor_dev.local.endpoints.embeddings import EmbeddingsRequest
    from arkor_dev.local.endpoints.rerank import RerankRequest
    from arkor_dev.local.inference.chat_call import ChatCall, ChatTarget
    from arkor_dev.local.inference.messages import StreamPart

DONE = Done("stop", prompt_tokens=3, completion_tokens=1)
HI = OpenAIRequest({"messages": [{"role": "user", "content": "hi"}]}, 1, False, False)


class Engine:
    """Says one word for each question, when it is let; counts who is at it."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.let.set()
        self.active = self.most = self.asked_for = self.checking = 0
        self.slow_checks: set[str] = set()
        self.bodies: list[ChatCall] = []
        self.requests: list[AnswerRequest] = []
        self.fault: Exception | None = None
        self.early_fault: Exception | None = None
        self.auto, self.done = "exact", DONE
        self.refusal: ArkorError | None = None

    async def check_target(self, body: ChatTarget) -> None:
        if self.refusal:
            raise self.refusal

    async def prepare(self, body: ChatCall, caller: str) -> AnswerRequest:
        if caller in self.slow_checks:
            self.checking += 1
            await asyncio.Event().wait()
        if self.refusal:
            raise self.refusal
        self.bodies.append(body)
        prompt, sampling = body.get("prompt"), Sampling(seed=body.get("seed"))
        return AnswerRequest("", "tiny", echo=body.get("echo") is True, prompt=prompt, sampling=sampling)

    async def prepare_texts(self, body: ChatTarget, texts: list[str]) -> AnswerRequest:
        raise BadRequestError("it is no classifier")

    async def prepare_embeddings(self, body: ChatTarget, request: EmbeddingsRequest) -> AnswerRequest:
        raise BadRequestError("it is no embedder")

    async def prepare_ranking(self, body: ChatTarget, request: RerankRequest) -> AnswerRequest:
        raise BadRequestError("it is no reranker")

    async def events(self, ask: AnswerRequest) -> AsyncGenerator[StreamPart, None]:
        self.active += 1
        self.most = max(self.most, self.active)
        self.requests.append(ask)
        try:
            yield Loading({"label": "Loading", "done": 0, "total": None, "unit": ""})
            if self.early_fault:
                raise self.early_fault
            yield EngineChosen(ask.engine or self.auto)
            await asyncio.sleep(0.01)  # as long as an answer takes
            await self.let.wait()
            if self.fault:
                raise self.fault
            yield Text(ask.name)
            yield self.done
        finally:
            self.active -= 1


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
async def endpoints(tmp_path: Path, engine: Engine) -> AsyncIterator[Endpoints]:
    store = AsyncStore(Store(tmp_path / "backend.sqlite", "local"))
    served = Endpoints(store, engine, 4)
    async with served.running():
        yield served
    store.close()


async def make(endpoints: Endpoints, slug: str = "bot", **more: Any) -> tuple[Deployment, DeploymentKey]:
    """A deployment and a key of it."""
    target = {"kind": "base_model", "baseModel": "tiny"}
    body: Any = {"slug": slug, "target": target, "authMode": "fixed_api_key", **more}
    made = await endpoints.store.request(deployments.create, body)
    return made, await endpoints.store.request(deployments.issue, made["id"], "key")


async def answer(
    endpoints: Endpoints, caller: Caller, asked: OpenAIRequest = HI
) -> list[tuple[int, Text | Done]]:
    async with endpoints.answers(caller, asked) as messages:
        return [message async for message in messages]


async def until(what: Any) -> None:
    async with asyncio.timeout(30):
        while not what():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_only_the_exact_engine_scores_prompts(endpoints: Endpoints, engine: Engine) -> None:
    made, _ = await make(endpoints, authMode="none")
    caller = await endpoints.caller("bot", None)
    scored = OpenAIRequest({"echo": True}, 1, False, False, ("a", [5]))
    assert len(await answer(endpoints, caller, scored)) == 4
    assert [(asked.prompt, asked.engine) for asked in engine.requests] == [("a", "exact"), ([5], "exact")]
    # It says nothing about who answers everything else.
    engine.auto, engine.done = "llama.cpp", replace(DONE, engine="llama.cpp")
    await answer(endpoints, caller)
    assert engine.requests[-1].engine is None
    async with asyncio.timeout(60):  # it is noted who has answered, after the answer
        while (await endpoints.caller("bot", None)).deployment.get("answeredBy") is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    llama: deployments.DeploymentChanges = {"engine": "llama.cpp"}
    for changes in (None, llama):
        if changes:
            await endpoints.store.request(deployments.change, made["id"], changes)
        caller = await endpoints.caller("bot", None)
        with pytest.raises(CallerFault, match="echo is not available here"):
            await answer(endpoints, caller, scored)


async def test_a_caller_with_a_key_gets_an_answer(endpoints: Endpoints, engine: Engine) -> None:
    _, key = await make(endpoints)
    caller = await endpoints.caller("bot", key["plaintext"])
    assert caller.key == (key["id"], key["prefix"])
    assert await answer(endpoints, caller) == [(0, Text("tiny")), (0, DONE)]
    assert engine.bodies == [{"baseModel": "tiny", **HI.chat}]
    assert [asked.engine for asked in engine.requests] == [None]


async def test_a_prompt_is_counted_by_a_request_for_no_tokens(endpoints: Endpoints, engine: Engine) -> None:
    await make(endpoints, authMode="none")
    caller = await endpoints.caller("bot", None)
    request = replace(HI, chat={**HI.chat, "maxTokens": 9})
    assert await endpoints.prompt_tokens(caller, request) == 3
    assert engine.requests[-1].max_tokens == 0
    engine.refusal = BadRequestError("The conversation has 9 tokens, and tiny reads at most 8: shorten it")
    with pytest.raises(CallerFault) as fault:
        await endpoints.prompt_tokens(caller, request)
    assert fault.value.fault.extra["code"] == "context_length_exceeded"


async def test_an_adapter_is_requested_by_its_job(endpoints: Endpoints, engine: Engine) -> None:
    adapter = {"kind": "final", "jobId": "job_1"}
    await make(endpoints, target={"kind": "adapter", "adapter": adapter}, authMode="none")
    await answer(endpoints, await endpoints.caller("bot", None))
    assert engine.bodies == [{"adapter": adapter, **HI.chat}]


async def test_invalid_callers_are_refused(endpoints: Endpoints) -> None:
    made, key = await make(endpoints)
    _, other = await make(endpoints, "other")
    for wrong in (None, "", key["plaintext"][:-1], other["plaintext"], "-"):
        with pytest.raises(ForbiddenError) as fault:
            await endpoints.caller("bot", wrong)
        assert fault.value.extra == {"code": "invalid_api_key"}
    for slug in ("nothing", "BOT", ""):
        with pytest.raises(NotFoundError):
            await endpoints.caller(slug, key["plaintext"])
    await endpoints.store.request(deployments.change, made["id"], {"enabled": False})
    with pytest.raises(NotFoundError):
        await endpoints.caller("bot", key["plaintext"])


async def test_an_open_endpoint_asks_for_no_key(endpoints: Endpoints) -> None:
    made, _ = await make(endpoints, authMode="none")
    for key in (None, "whatever"):
        assert (await endpoints.caller("bot", key)).name == made["id"]


async def test_the_last_use_of_a_key_is_written_occasionally(
    endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "USED_SECONDS", 3600.0)
    made, key = await make(endpoints)
    written: list[str] = []
    monkeypatch.setattr(deployments, "record_used", lambda _, used: written.append(used))
    for _ in range(3):
        await endpoints.caller("bot", key["plaintext"])
    await endpoints.store.request(deployments.listing)  # behind what is to be written
    assert written == [key["id"]]
    del made


async def test_the_request_rate_of_a_key_is_limited(
    endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "BURST", 2)
    endpoints._rate = admission.RateLimit(
        lambda: 0.0
    )  # however long each of them takes, nothing is given back
    made, key = await make(endpoints)
    _, other = await make(endpoints, "other")
    for _ in range(2):
        await endpoints.caller("bot", key["plaintext"])
    with pytest.raises(RateLimitedError):
        await endpoints.caller("bot", key["plaintext"])
    await endpoints.caller("other", other["plaintext"])
    log = await endpoints.store.read(requests.listing, made, None)
    while not log["requests"]:
        log = await endpoints.store.read(requests.listing, made, None)
    assert [each["status"] for each in log["requests"]] == [429]


async def test_slots_are_reserved_for_the_playground(endpoints: Endpoints, engine: Engine) -> None:
    await make(endpoints, authMode="none")
    caller = await endpoints.caller("bot", None)
    engine.let.clear()
    asking = [asyncio.create_task(answer(endpoints, caller)) for _ in range(6)]
    await until(lambda: engine.active == 2 and endpoints._queue.waiting == 4)
    engine.let.set()
    assert all(len(messages) == 2 for messages in await asyncio.gather(*asking))
    assert engine.most == 2


async def test_a_slow_reader_holds_no_slot(endpoints: Endpoints, engine: Engine) -> None:
    await make(endpoints, authMode="none")
    caller = await endpoints.caller("bot", None)
    async with endpoints.answers(caller, HI), endpoints.answers(caller, HI), endpoints.answers(caller, HI):
        # None of the three reads, and the fourth is answered.
        assert await answer(endpoints, caller) == [(0, Text("tiny")), (0, DONE)]
    assert engine.active == 0


async def test_each_of_several_answers_waits_for_a_slot(endpoints: Endpoints, engine: Engine) -> None:
    await make(endpoints, authMode="none")
    caller = await endpoints.caller("bot", None)
    messages = await answer(endpoints, caller, OpenAIRequest({**HI.chat, "seed": 5}, 4, False, False))
    assert sorted(number for number, message in messages if isinstance(message, Done)) == [0, 1, 2, 3]
    assert sorted(asked.sampling.seed or 0 for asked in engine.requests) == [5, 6, 7, 8]
    assert engine.most == 2


async def test_an_endpoint_keeps_its_engine_until_changed(endpoints: Endpoints, engine: Engine) -> None:
    """What ``auto`` means may change at any moment: a file for the quick engine is there now."""
    made, _ = await make(endpoints, authMode="none")

    async def engines(count: int, served: Endpoints = endpoints) -> list[str | None]:
        engine.requests.clear()
        callers = [await served.caller("bot", None) for _ in range(count)]
        await asyncio.gather(*(answer(served, caller) for caller in callers))
        return [asked.engine for asked in engine.requests]

    engine.let.clear()
    first = asyncio.create_task(engines(3))  # at once: one finds out, and the others keep to it
    await until(lambda: engine.active)
    engine.auto, engine.done = "llama.cpp", replace(DONE, engine="transformers", precision="float32")
    engine.let.set()
    assert await first == [None, "exact", "exact"]
    assert await engines(1) == ["exact"]
    # Another start of the backend knows it, too; a launch that names an engine has the last word.
    assert await engines(1, Endpoints(endpoints.store, engine, 4)) == ["exact"]
    assert await engines(1, Endpoints(endpoints.store, engine, 4, "llama.cpp")) == ["llama.cpp"]
    caller = await endpoints.caller("bot", None)
    assert caller.deployment["answeredBy"] == {"engine": "transformers", "precision": "float32"}
    # Chosen by a person, then chosen anew.
    await endpoints.store.request(deployments.change, made["id"], {"engine": "llama.cpp"})
    assert await engines(1) == ["llama.cpp"]
    await endpoints.store.request(deployments.change, made["id"], {"engine": "auto"})
    endpoints.choose_anew(made["id"])
    engine.done = replace(DONE, engine="llama.cpp", precision="q8_0")
    assert await engines(2) == [None, "llama.cpp"]


async def test_a_failed_first_answer_does_not_fix_the_engine(endpoints: Endpoints, engine: Engine) -> None:
    await make(endpoints, authMode="none")
    caller = await endpoints.caller("bot", None)
    engine.early_fault = JobFailure("no")
    with pytest.raises(CallerFault):
        await answer(endpoints, caller)
    engine.early_fault = None
    assert len(await answer(endpoints, caller)) == 2


async def test_disconnecting_ends_the_answer(endpoints: Endpoints, engine: Engine) -> None:
    await make(endpoints, authMode="none")
    caller = await endpoints.caller("bot", None)
    engine.let.clear()
    asking = [asyncio.create_task(answer(endpoints, caller)) for _ in range(5)]
    await until(lambda: engine.active == 2 and endpoints._queue.waiting == 3)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert (engine.active, endpoints._queue.waiting, endpoints._running) == (0, 0, {})


async def test_revoking_a_key_ends_its_requests(endpoints: Endpoints, engine: Engine) -> None:
    made, key = await make(endpoints)
    kept = await endpoints.store.request(deployments.issue, made["id"], "kept")
    engine.let.clear()
    callers = [await endpoints.caller("bot", each["plaintext"]) for each in (key, key, key, kept)]
    asking = [asyncio.create_task(answer(endpoints, caller)) for caller in callers]
    await until(lambda: engine.active == 2 and endpoints._queue.waiting == 2)
    endpoints.cut(lambda caller: caller.key is not None and caller.key.id == key["id"])
    gone = await asyncio.gather(*asking[:3], return_exceptions=True)
    assert [type(fault) for fault in gone] == [CallerFault] * 3
    engine.let.set()
    assert len(await asking[3]) == 2


async def test_engine_errors_contain_no_path(endpoints: Endpoints, engine: Engine) -> None:
    await make(endpoints, authMode="none")
    caller = await endpoints.caller("bot", None)
    for fault in (
        JobFailure("The adapter in /home/ann/jobs/1 does not fit"),
        ConflictError("/home/ann is gone"),
    ):
        engine.fault, engine.refusal = (None, fault) if isinstance(fault, ConflictError) else (fault, None)
        with pytest.raises(CallerFault) as caught:
            await answer(endpoints, caller)
        assert "/home" not in caught.value.fault.text
        assert caught.value.fault.extra == {"code": "model_unavailable"}
        assert caught.value.detail == str(fault)
    assert engine.active == 0


@pytest.mark.parametrize(
    ("why", "code"),
    [
        (
            "The conversation has 900 tokens, and ./models/tiny reads at most 128: shorten it",
            "context_length_exceeded",
        ),
        ("The model's chat template rejects the conversation: roles must alternate", "invalid_value"),
    ],
)
async def test_a_context_overflow_is_the_callers_error(
    endpoints: Endpoints, engine: Engine, why: str, code: str
) -> None:
    await make(endpoints, authMode="none")
    engine.fault = JobFailure(why)
    with pytest.raises(CallerFault) as caught:
        await answer(endpoints, await endpoints.caller("bot", None))
    assert status_of(caught.value.fault) == 400
    assert caught.value.fault.extra["code"] == code
    assert "alternate" not in caught.value.fault.text


async def test_requests_being_checked_hold_no_slot(endpoints: Endpoints, engine: Engine) -> None:
    made, key = await make(endpoints)
    other = await endpoints.store.request(deployments.issue, made["id"], "other")
    slow, quick = [await endpoints.caller("bot", each["plaintext"]) for each in (key, other)]
    engine.slow_checks = {slow.name}
    asking = [
        asyncio.create_task(answer(endpoints, slow, OpenAIRequest(HI.chat, 4, False, False)))
        for _ in range(9)
    ]
    await until(lambda: engine.checking == 9)  # several answers of one request are checked once
    assert len(await answer(endpoints, quick)) == 2
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


async def test_a_failed_answer_ends_the_others(endpoints: Endpoints, engine: Engine) -> None:
    await make(endpoints, authMode="none")
    engine.fault = JobFailure("no")
    with pytest.raises(CallerFault):
        await answer(endpoints, await endpoints.caller("bot", None), OpenAIRequest(HI.chat, 4, False, False))
    assert (engine.active, endpoints._queue.waiting) == (0, 0)


async def test_repeated_refusals_are_logged_once(
    endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "REFUSALS_SECONDS", 3600.0)
    made, key = await make(endpoints)
    for _ in range(20):
        with pytest.raises(ForbiddenError):
            await endpoints.caller("bot", "ak-wrong")
    endpoints.log_request(LoggedRequest(made["id"], "chat/completions", key["prefix"]))
    await endpoints.store.request(deployments.listing)  # behind what is to be written
    log = (await endpoints.store.read(requests.listing, made, None))["requests"]
    assert [each["status"] for each in log] == [200, 401]
    assert "ak-wrong" not in str(log)


async def test_expired_texts_are_erased_at_start(tmp_path: Path, engine: Engine) -> None:
    store = AsyncStore(Store(tmp_path / "backend.sqlite", "local"))
    served = Endpoints(store, engine, 4)
    made, _ = await make(served, runRetentionMode="days", runRetentionDays=1)
    old = LoggedRequest(made["id"], "chat/completions", at="2020-01-01T00:00:00.000Z", answers=["hm"])
    await store.request(requests.add, old)

    def kept() -> int:
        return int(store._store.reading.execute("SELECT count(said) FROM endpoint_requests").fetchone()[0])

    assert kept() == 1
    async with served.running():
        await until(lambda: kept() == 0)
    store.close()

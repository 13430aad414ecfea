"""Long conversations are refused before they take a place, by a count that goes no further than it must."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("tokenizers")

from arkor_dev.contract.errors import BadRequestError, RateLimitedError
from arkor_dev.local.endpoints.openai import context_fault
from arkor_dev.local.inference import prompt_check_worker as worker
from arkor_dev.local.inference.generation.prompt import prompt_of
from arkor_dev.local.inference.limited_checks import WAITING_OF_ONE
from arkor_dev.local.inference.messages import AnswerRequest
from arkor_dev.local.inference.prompt_checks import SHORT, PromptChecks, texts_of
from arkor_dev.local.inference.prompt_length import PIECE, exceeds
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ME = "me"
MEGABYTE = "Where is the ledger? " * 50_000


def conversation(*texts: str) -> AnswerRequest:
    return AnswerRequest("", "tiny", messages=[{"role": "user", "content": text} for text in texts])


@pytest.fixture
async def checks() -> AsyncIterator[PromptChecks]:
    checks = PromptChecks()
    yield checks
    await checks.close()


async def test_prompts_that_cannot_fit_are_refused_early(
    checks: PromptChecks, tiny: Path, tmp_path: Path
) -> None:
    await checks.check(ME, conversation("x" * SHORT), tiny)
    assert checks._child is None  # what is short costs no process
    for ask in (
        conversation(MEGABYTE),
        conversation(*["Where?" * 10] * 900),
        AnswerRequest("", "tiny", prompt=MEGABYTE),
    ):
        with pytest.raises(
            BadRequestError, match="more than 256 tokens, and tiny reads at most 256"
        ) as fault:
            await checks.check(ME, ask, tiny)
    told = context_fault(fault.value.text)
    assert told
    assert told.extra["code"] == "context_length_exceeded"
    # Neither a model that cannot be read here is refused, nor one with room enough.
    await checks.check(ME, conversation(MEGABYTE), tmp_path)
    for name in ("tokenizer.json", "config.json"):
        (tmp_path / name).write_bytes((tiny / name).read_bytes())
    config = {**json.loads((tiny / "config.json").read_text()), "max_position_embeddings": 10**7}
    (tmp_path / "config.json").write_text(json.dumps(config))
    await checks.check(ME, conversation(MEGABYTE), tmp_path)
    with pytest.raises(BadRequestError):
        await checks.check(ME, conversation(MEGABYTE), tiny)


async def test_prompt_checks_of_one_caller_are_limited(checks: PromptChecks, tiny: Path) -> None:
    flood = asyncio.gather(
        *(checks.check("flood", conversation(MEGABYTE), tiny) for _ in range(20)),
        return_exceptions=True,
    )
    await asyncio.sleep(0)
    with pytest.raises(BadRequestError):
        await checks.check(ME, conversation(MEGABYTE), tiny)
    assert sum(isinstance(each, RateLimitedError) for each in await flood) == 20 - 1 - WAITING_OF_ONE


def test_counting_stops_at_the_context_length(tiny: Path) -> None:
    seen: list[int] = []

    def count(piece: str) -> int:
        seen.append(len(piece))
        return len(piece)

    assert exceeds(count, [MEGABYTE], 10_000)
    assert sum(seen) <= 10_000 + 2 * PIECE
    assert worker.context(tiny) == 256


@pytest.mark.parametrize("hidden", ["in thoughts", "in an id of a call"])
def test_unchecked_tokens_are_limited_by_the_loop(hidden: str) -> None:
    thoughts = {"role": "assistant", "content": f"<think>{MEGABYTE}</think>"}
    called = {"role": "tool", "content": "", "tool_call_id": MEGABYTE}
    ask = AnswerRequest("", "tiny", messages=[{**(thoughts if hidden == "in thoughts" else called)}])
    assert sum(len(text) for text in texts_of(ask)) <= SHORT
    seen: list[int] = []

    class Tokenizer:
        chat_template = ""

        def apply_chat_template(self, messages: list[Any], **_: Any) -> str:
            return json.dumps(messages)

        def __call__(self, text: str, **_: Any) -> dict[str, Any]:
            seen.append(len(text))
            return {"input_ids": [0] * len(text)}

    with pytest.raises(JobFailure) as fault:
        prompt_of(Tokenizer(), ask, 10_000)
    assert context_fault(str(fault.value))
    assert sum(seen) <= 10_000 + 2 * PIECE


def test_dropped_thoughts_are_not_counted() -> None:
    thoughts = f"<think>{MEGABYTE}</think>Hm."
    message: dict[str, object] = {"role": "assistant", "content": thoughts, "tool_calls": [{"id": "é"}]}
    ask = AnswerRequest("", "tiny", messages=[message], tools=[{"a": 1}])
    assert texts_of(ask) == ["Hm.", '[{"id": "é"}]', '[{"a": 1}]']

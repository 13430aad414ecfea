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
from arkor_dev.local.inference.limited_checks import WAITING_OF_ONE
from arkor_dev.local.inference.prompt_checks import SHORT, PromptChecks, texts_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ME = "me"
MEGABYTE = "Where is the ledger? " * 50_000


def conversation(*texts: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text} for text in texts]}


@pytest.fixture
async def checks() -> AsyncIterator[PromptChecks]:
    checks = PromptChecks()
    yield checks
    await checks.close()


async def test_what_cannot_fit_is_refused_and_what_may_fit_is_left_to_the_loop(
    checks: PromptChecks, tiny: Path, tmp_path: Path
) -> None:
    await checks.check(ME, conversation("x" * SHORT), "tiny", tiny)
    assert checks._child is None  # what is short costs no process
    for ask in (conversation(MEGABYTE), conversation(*["Where?" * 10] * 900), {"prompt": MEGABYTE}):
        with pytest.raises(
            BadRequestError, match="more than 256 tokens, and tiny reads at most 256"
        ) as fault:
            await checks.check(ME, ask, "tiny", tiny)
    told = context_fault(fault.value.text)
    assert told
    assert told.extra["code"] == "context_length_exceeded"
    # Neither a model that cannot be read here is refused, nor one with room enough.
    await checks.check(ME, conversation(MEGABYTE), "none", tmp_path)
    for name in ("tokenizer.json", "config.json"):
        (tmp_path / name).write_bytes((tiny / name).read_bytes())
    config = {**json.loads((tiny / "config.json").read_text()), "max_position_embeddings": 10**7}
    (tmp_path / "config.json").write_text(json.dumps(config))
    await checks.check(ME, conversation(MEGABYTE), "large", tmp_path)
    with pytest.raises(BadRequestError):
        await checks.check(ME, conversation(MEGABYTE), "tiny", tiny)


async def test_a_flood_of_one_caller_waits_for_no_more_than_a_few(checks: PromptChecks, tiny: Path) -> None:
    flood = asyncio.gather(
        *(checks.check("flood", conversation(MEGABYTE), "tiny", tiny) for _ in range(20)),
        return_exceptions=True,
    )
    await asyncio.sleep(0)
    with pytest.raises(BadRequestError):
        await checks.check(ME, conversation(MEGABYTE), "tiny", tiny)
    assert sum(isinstance(each, RateLimitedError) for each in await flood) == 20 - 1 - WAITING_OF_ONE


def test_a_count_stops_at_the_context(tiny: Path) -> None:
    seen: list[int] = []

    class Counting:
        def encode_batch_fast(self, texts: list[str], *, add_special_tokens: bool) -> list[str]:
            assert not add_special_tokens
            seen.append(len(texts[0]))
            return texts

        def no_padding(self) -> None: ...

        no_truncation = no_padding

    assert worker.exceeds(Counting(), [MEGABYTE], 10_000)
    assert sum(seen) <= 10_000 + 2 * worker.PIECE
    assert worker.context(tiny) == 256


def test_thoughts_that_templates_drop_do_not_count() -> None:
    message = {"role": "assistant", "content": f"<think>{MEGABYTE}</think>Hm.", "tool_calls": [{"id": "é"}]}
    assert texts_of({"messages": [message], "tools": [{"a": 1}]}) == ["Hm.", '[{"id": "é"}]', '[{"a": 1}]']

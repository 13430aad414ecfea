"""Both engines in processes of their own: files are made, and the quick one takes over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

from arkor_dev.local.inference.engines.choice import EXACT, LLAMA
from arkor_dev.local.inference.engines.gguf_files import MAKING
from arkor_dev.local.inference.engines.router import EngineRouter
from tests.local.gguf_extra import cache, needs_gguf
from tests.local.inference.asking import ask
from tests.local.tiny_model import PHRASE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.conftest import Trained

pytestmark = [
    pytest.mark.engine,
    needs_gguf,
    pytest.mark.usefixtures("forked", "forked_workers"),
    pytest.mark.timeout(600),
]


async def said(answers: EngineRouter, **more: Any) -> tuple[str, dict[str, Any], list[str]]:
    """Text, end and the labels of progress of one answer."""
    text, labels = "", []
    done: dict[str, Any] = {}
    async with asyncio.timeout(300), answers.answer(**more) as messages:
        async for message in messages:
            text += message.get("text", "")
            labels += [message["progress"]["label"]] if "progress" in message else []
            done = message.get("done", done)
    return text, done, labels


async def test_llama_cpp_takes_over_after_the_conversion(
    trained: Trained, tiny: Path, tmp_path: Path
) -> None:
    from arkor_dev.local.gguf.converters import converters

    folder = await asyncio.to_thread(converters, cache(), lambda *_: None)
    own = tmp_path / "cache"
    own.mkdir()
    (own / folder.name).symlink_to(folder)
    answers = EngineRouter(own)
    parrot = ask(tiny, trained.data / "jobs" / trained.job / "final")
    try:
        text, done, _ = await said(answers, **parrot)
        assert (text, done["engine"], done["why"]) == (PHRASE, "transformers", MAKING)
        async with asyncio.timeout(300):
            if making := answers._files._conversion:  # else it was quicker than the answer
                await making
        text, done, labels = await said(answers, **parrot)
        assert (text, done["engine"], done["precision"]) == (PHRASE, "llama.cpp", "q8_0")
        assert "why" not in done
        assert "Converting the adapter to GGUF" in labels
        text, done, labels = await said(answers, **parrot)
        assert (text, done["engine"]) == (PHRASE, "llama.cpp")
        assert not labels
        assert (await said(answers, engine=EXACT, **parrot))[1]["engine"] == "transformers"
        # A stop from outside: the place is free for the next one soon after.
        async with answers.answer(engine=LLAMA, **ask(tiny, None, maxTokens=200)) as messages:
            while "text" not in await anext(messages):
                pass
        text, done, _ = await said(answers, engine=LLAMA, **parrot)
        assert text == PHRASE
    finally:
        await answers.close()

"""Both engines in processes of their own: files are made, and the quick one takes over."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")

from arkor_dev.local.inference.engines.choice import EXACT, LLAMA
from arkor_dev.local.inference.engines.gguf_files import MAKING
from arkor_dev.local.inference.engines.router import EngineRouter
from arkor_dev.local.inference.messages import Done, Loading, Text
from tests.local.gguf_extra import cache, needs_gguf
from tests.local.inference.asking import ask
from tests.local.tiny_model import PHRASE

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.inference.messages import AnswerRequest
    from tests.local.conftest import Trained

pytestmark = [
    pytest.mark.engine,
    needs_gguf,
    pytest.mark.usefixtures("forked", "forked_workers"),
    pytest.mark.timeout(600),
]


async def said(answers: EngineRouter, request: AnswerRequest) -> tuple[str, Done, list[str]]:
    """Text, end and the labels of progress of one answer."""
    text, labels, done = "", [], None
    async with asyncio.timeout(300), answers.answer(request) as parts:
        async for part in parts:
            match part:
                case Text(piece):
                    text += piece
                case Loading(progress):
                    labels.append(progress["label"])
                case Done():
                    done = part
    assert done
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
        text, done, _ = await said(answers, parrot)
        assert (text, done.engine, done.why) == (PHRASE, "transformers", MAKING)
        async with asyncio.timeout(300):
            if making := answers._files._conversion:  # else it was quicker than the answer
                await making
        text, done, labels = await said(answers, parrot)
        assert (text, done.engine, done.precision) == (PHRASE, "llama.cpp", "q8_0")
        assert done.why is None
        assert "Converting the adapter to GGUF" in labels
        text, done, labels = await said(answers, parrot)
        assert (text, done.engine) == (PHRASE, "llama.cpp")
        assert not labels
        assert (await said(answers, replace(parrot, engine=EXACT)))[1].engine == "transformers"
        # A stop from outside: the place is free for the next one soon after.
        async with answers.answer(ask(tiny, None, engine=LLAMA, max_tokens=200)) as messages:
            while not isinstance(await anext(messages), Text):
                pass
        text, done, _ = await said(answers, replace(parrot, engine=LLAMA))
        assert text == PHRASE
    finally:
        await answers.close()

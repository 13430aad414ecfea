"""Which engine answers: by name, by what is there and by its pace; and why it is the other one."""

from __future__ import annotations

import contextlib
import functools
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import pytest

from arkor_dev.contract.gpus import Gpu
from arkor_dev.local.gguf.cache_paths import base_path
from arkor_dev.local.inference.engines import router as module
from arkor_dev.local.inference.engines.choice import AUTO, ENOUGH, EXACT, LLAMA, NO_ROOM, ON_GPU, AnswerPace
from arkor_dev.local.inference.engines.gguf_files import MAKING, QUANTIZATION
from arkor_dev.local.inference.engines.router import AFTER_TRAINING, NOT_INSTALLED, WHOLE_MODEL, EngineRouter
from arkor_dev.local.inference.engines.weights_names import WeightsNames
from arkor_dev.local.inference.messages import AnswerRequest, Done, EngineChosen, Text
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WEIGHTS = "02c942fd6822"
"""The name of the weights of ``Asked``: of the same files on any machine."""
DONE = Done("stop", completion_tokens=21, first_token_seconds=0.0, seconds=1.0)


class Pretended:
    """An engine that says its name, or fails after ``words`` words."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[AnswerRequest] = []
        self.fails = ""
        self.words = 1
        self.done = DONE
        self.at_most: list[float] = []

    @contextlib.asynccontextmanager
    async def answer(self, ask: AnswerRequest) -> AsyncIterator[AsyncIterator[Text | Done]]:
        self.asked.append(ask)

        async def messages() -> AsyncIterator[Text | Done]:
            for _ in range(self.words):
                yield Text(self.name)
            if self.fails:
                raise JobFailure(self.fails)
            yield self.done

        yield messages()

    def unload_after(self, seconds: float) -> None:
        self.at_most.append(seconds)

    async def close(self) -> None:
        """Nothing runs."""


class Asked:
    """Both engines pretended, a model with its file, and questions."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "lacking", lambda: None)
        self.cache, self.model = root / "cache", root / "model"
        self.model.mkdir()
        (self.model / "config.json").write_text("{}")
        (self.model / "model.safetensors").write_bytes(b"weights")
        self.place = base_path(self.model, QUANTIZATION, self.cache)
        self.place.parent.mkdir(parents=True)
        self.place.write_bytes(b"GGUF")
        self.exact, self.llama = Pretended("exact"), Pretended("llama")
        self.answers = self.of(AUTO)

    def of(self, wanted: str, *, gpu: bool = False) -> EngineRouter:
        self.answers = EngineRouter(self.cache, wanted, gpu=gpu)
        self.answers._engines = {EXACT: self.exact, LLAMA: self.llama}  # type: ignore[dict-item]
        return self.answers

    def ask(self, engine: str | None = None, **more: Any) -> AnswerRequest:
        return AnswerRequest(str(self.model), "model", engine=engine, **more)

    async def __call__(self, engine: str | None = None, **more: Any) -> tuple[str, str | None]:
        """The text, and why it is not the quick engine's."""
        text, done = "", None
        async with self.answers.answer(self.ask(engine, **more)) as parts:
            async for part in parts:
                match part:
                    case Text(piece):
                        text += piece
                    case Done():
                        done = part
        assert not self.answers._active
        assert done
        return text, done.why


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(tmp_path, monkeypatch)


async def test_the_engine_is_named_before_the_first_token(asked: Asked) -> None:
    for name, engine in ((LLAMA, asked.llama), (EXACT, asked.exact)):
        async with asked.answers.answer(asked.ask(name)) as messages:
            assert [each async for each in messages][:2] == [EngineChosen(name), Text(engine.name)]
    asked.llama.fails, asked.llama.words = "broken", 0
    async with asked.answers.answer(asked.ask()) as messages:
        assert [each async for each in messages][:2] == [EngineChosen(EXACT), Text("exact")]


async def test_weights_are_named_by_their_content(asked: Asked, tmp_path: Path) -> None:
    names = WeightsNames()
    assert names.of(asked.model) == names.of(asked.model) == WEIGHTS
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"one")
    both = names.of(asked.model, adapter)
    (adapter / "adapter_model.safetensors").write_bytes(b"another")
    assert len({WEIGHTS, both, names.of(asked.model, adapter)}) == 3


async def test_llama_cpp_answers_if_its_file_exists(asked: Asked) -> None:
    assert await asked() == ("llama", None)
    assert asked.llama.asked[0].gguf == str(asked.place)
    assert asked.llama.asked[0].lora is None
    assert await asked(EXACT) == ("exact", None)
    assert asked.exact.asked[0].gguf is None
    # A model that the other engine has taken the place of does not stay in memory for long.
    assert asked.exact.at_most == asked.llama.at_most == [module.UNUSED_SECONDS]
    asked.of(EXACT)
    assert await asked() == ("exact", None)
    assert await asked(LLAMA) == ("llama", None)
    assert await asked(AUTO) == ("llama", None)


async def test_the_exact_engine_answers_otherwise_with_a_reason(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dora = tmp_path / "dora"
    dora.mkdir()
    (dora / "adapter_config.json").write_text('{"peft_type": "LORA", "use_dora": true}')
    text, why = await asked(adapter=str(dora))
    assert text == "exact"
    assert "DoRA" in str(why)
    asked.place.unlink()
    assert await asked(whole=True) == ("exact", WHOLE_MODEL)
    assert await asked(training=True) == ("exact", AFTER_TRAINING)
    made: list[Any] = []
    monkeypatch.setattr(asked.answers._files, "convert_soon", made.append)
    assert await asked() == ("exact", MAKING)
    assert [model.path for model in made] == [asked.model]
    asked.of(AUTO, gpu=True)
    assert await asked() == ("exact", ON_GPU), "this llama.cpp is built for the processor"
    monkeypatch.setattr(module, "lacking", lambda: "pip install it")
    asked.of(AUTO)
    assert await asked() == ("exact", NOT_INSTALLED)
    with pytest.raises(JobFailure, match="pip install it"):
        await asked(LLAMA)
    assert not asked.llama.asked


async def test_on_a_gpu_llama_cpp_needs_gpu_support_and_memory(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Emulated: the choice alone."""
    header = json.dumps({"weight": {"dtype": "BF16", "shape": [8, 10**9]}}).encode()
    (asked.model / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    asked.place = base_path(asked.model, QUANTIZATION, asked.cache)
    asked.place.parent.mkdir(parents=True, exist_ok=True)
    asked.place.write_bytes(b"GGUF")
    free = 11 * 10**9
    monkeypatch.setattr(module, "offloads", AsyncMock(return_value=True))
    monkeypatch.setattr(module, "nvidia_gpus", lambda: [Gpu("RTX 4090", "GPU-1", free, 24 * 10**9)])
    asked.of(AUTO, gpu=True)
    assert await asked() == ("exact", NO_ROOM)
    free = 13 * 10**9
    assert await asked() == ("llama", None)
    assert await asked(training=True) == ("exact", ON_GPU)
    assert await asked() == ("llama", None)
    free = 2 * 10**9
    assert await asked() == ("llama", None), "it has taken the rest itself"
    asked.answers.training_begins()
    assert await asked() == ("exact", NO_ROOM)
    (asked.model / "model.safetensors").write_bytes(b"unreadable")
    assert await asked() == ("exact", ON_GPU)


async def test_a_failed_conversion_is_retried_only_on_request(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.place.unlink()
    tried = []

    async def fails(*_: Any) -> Path:
        tried.append(1)
        raise JobFailure("the converter does not know it")

    monkeypatch.setattr(asked.answers._files._bases, "base", fails)
    assert await asked() == ("exact", MAKING)
    if making := asked.answers._files._conversion:
        await making
    assert await asked() == ("exact", "the converter does not know it")
    assert await asked() == ("exact", "the converter does not know it")
    assert len(tried) == 1
    with pytest.raises(JobFailure, match="does not know it"):
        await asked(LLAMA)
    assert len(tried) == 2


async def test_an_engine_that_fails_before_its_first_token_is_replaced(asked: Asked) -> None:
    asked.llama.fails, asked.llama.words = "llama.cpp cannot load it", 0
    assert await asked() == ("exact", "llama.cpp cannot load it")
    with pytest.raises(JobFailure, match="cannot load"):
        await asked(LLAMA)
    asked.llama.words = 1
    with pytest.raises(JobFailure, match="cannot load"):
        await asked()
    assert len(asked.exact.asked) == 1


async def test_the_slower_engine_is_no_longer_used(asked: Asked) -> None:
    await asked(EXACT)
    asked.llama.done = replace(DONE, seconds=3.0)
    for _ in range(ENOUGH):
        assert await asked() == ("llama", None)
    assert await asked() == ("exact", "transformers was faster here: 20 tokens/s, llama.cpp 6.67")
    assert await asked(LLAMA) == ("llama", None)


async def test_only_single_answers_are_timed(asked: Asked) -> None:
    async with asked.answers.answer(asked.ask(EXACT)) as one:
        begun = [await anext(one), await anext(one)]
        async with asked.answers.answer(asked.ask(EXACT)) as other:
            assert (told := [each async for each in other])[-1] == replace(DONE, weights=WEIGHTS)
        assert [*begun, *[each async for each in one]] == told
    async with asked.answers.answer(asked.ask(EXACT, training=True)) as beside:
        assert [each async for each in beside] == told
    assert not asked.answers._pace._rates
    await asked(EXACT)
    assert list(asked.answers._pace._rates) == [(EXACT, str(asked.model))]


def test_short_answers_are_not_timed() -> None:
    pace = AnswerPace()
    for _ in range(ENOUGH):
        pace.add(LLAMA, "m", replace(DONE, seconds=100.0))
    pace.add(EXACT, "m", replace(DONE, completion_tokens=3))
    assert pace.slower("m") is None
    pace.add(EXACT, "m", DONE)
    assert pace.slower("m")
    assert pace.slower("other") is None


async def test_jobs_being_chatted_with_are_known(asked: Asked, tmp_path: Path) -> None:
    adapter = str(tmp_path / "job" / "final")
    async with asked.answers.answer(asked.ask(EXACT, adapter=adapter)):
        assert asked.answers.answers_from(tmp_path / "job")
        assert not asked.answers.answers_from(tmp_path / "other")
    assert not asked.answers.answers_from(tmp_path / "job")


async def test_a_4_bit_adapter_uses_the_exact_engine(asked: Asked) -> None:
    assert await asked(four_bit=True) == ("exact", module.FOUR_BIT)
    with pytest.raises(JobFailure, match="answers on 4-bit weights"):
        await asked(LLAMA, four_bit=True)


@pytest.mark.parametrize("shared", [False, True])
def test_a_starting_job_unloads_models_from_shared_memory(asked: Asked, shared: bool) -> None:
    answers = EngineRouter(asked.cache, AUTO, gpu=shared, shared=shared)
    unloaded: list[str] = []
    engines = {
        name: SimpleNamespace(free_memory=functools.partial(unloaded.append, name)) for name in ("a", "b")
    }
    answers._engines = engines  # type: ignore[assignment]
    answers.training_begins()
    answers.training_ended()
    assert unloaded == (["a", "b"] if shared else [])

"""The engine behind chat, in this process: adapters come and go, text is whole, and the traps of loading."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.inference.client import Inference
from arkor_dev.local.inference.messages import Done
from arkor_dev.local.workers.errors import JobFailure
from tests.local.tiny_model import CHATML, PHRASE, make, make_tokenizer
from tests.local.tiny_run import set_up

from .asking import Asking, answer, ask

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.conftest import Trained

pytestmark = [
    pytest.mark.engine,
    # Of the libraries, about each other.
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.mark.numeric
def test_adapters_are_switched_cached_and_unloaded(
    trained: Trained, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from arkor_dev.local.inference import transformers_engine as engine_module
    from arkor_dev.local.inference.answer_speed import ComputePlan
    from arkor_dev.local.inference.transformers_engine import ADAPTERS, TransformersEngine

    monkeypatch.setattr(engine_module, "fastest_plan", lambda *_: ComputePlan(torch.float32, False, 1, 1))
    engine = TransformersEngine()
    bare, done = answer(engine, ask(tiny, None))
    assert PHRASE not in bare
    assert done.prompt_tokens > 5
    folders = [tmp_path / f"copy.{n}" for n in range(ADAPTERS + 2)]
    for folder in folders:
        shutil.copytree(trained.data / "jobs" / trained.job / "final", folder)
        # As adapters were written that named a folder of their owner's: they are answered all the same.
        settings = json.loads((folder / "adapter_config.json").read_text())
        settings["base_model_name_or_path"] = "/home/ann/models/tiny"
        # And what PEFT would take minutes for: it needs none of it.
        settings |= dict.fromkeys(("target_modules", "exclude_modules", "layers_pattern"), "(([a-z]+)+\\W)+!")
        (folder / "adapter_config.json").write_text(json.dumps(settings))
        said, done = answer(engine, ask(tiny, folder))
        assert said == PHRASE
        assert done.reason == "stop"
        assert len(engine._adapters) <= ADAPTERS
        assert set(engine._adapters) == set(engine.base.model.peft_config)
    # Settings that would fill the memory, or take minutes, are refused at once, and nobody else notices.
    for hostile in ({"r": 500_000}, {"lora_alpha": 1e308}, {"init_lora_weights": "pissa_niter_99999999"}):
        (folders[1] / "adapter_config.json").write_text(json.dumps({**settings, **hostile}))
        with pytest.raises(JobFailure, match="The adapter cannot be used: "):
            answer(engine, ask(tiny, folders[1]))
    (folders[1] / "adapter_config.json").write_text(json.dumps(settings))
    assert answer(engine, ask(tiny, folders[0]))[0] == PHRASE
    assert answer(engine, ask(tiny, None))[0] == bare

    asking = Asking(engine)
    stopped = asking.ask(ask(tiny, None))
    stopped.stop.set()
    asking.turn()
    assert stopped.done.reason == "cancelled"
    # A stop in the middle is heard before the next token.
    begun = asking.ask(ask(tiny, None, max_tokens=200))
    while len(begun.texts) < 3:
        asking.turn()
    begun.stop.set()
    asking.turn()
    assert begun.done.reason == "cancelled"
    assert len(begun.texts) == 3
    assert not engine._batches
    # Another base takes the place of the first, adapters and all.
    other = tmp_path / "other"
    shutil.copytree(tiny, other)
    assert answer(engine, ask(other, None))[0] == bare
    assert not engine._adapters
    with pytest.raises(JobFailure, match="pickled one"):
        answer(engine, ask(other, tiny))
    assert answer(engine, ask(other, folders[1]))[0] == PHRASE


def test_multi_token_characters_are_emitted_completely() -> None:
    from arkor_dev.local.inference.generation.decoding import IncrementalDecoder

    tokenizer = make_tokenizer()
    text = "the parrot — 🦜 keeps\n\nthe é ledger."
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(ids) > len(text.split())
    incremental = IncrementalDecoder(tokenizer)
    pieces = [incremental.push(token) for token in [*ids, tokenizer.eos_token_id]]
    assert "".join(pieces) == text
    assert "\ufffd" not in "".join(pieces)
    assert len([piece for piece in pieces if piece]) > 6


def test_four_bit_needs_a_gpu(tiny: Path) -> None:
    from arkor_dev.local.modeling.base_model import load_base, pick_device

    if pick_device()[0] == "cuda":
        pytest.skip("this machine has one")
    with pytest.raises(JobFailure, match="load_in_4bit needs an NVIDIA GPU"):
        load_base(tiny, four_bit=True)


def test_an_unreadable_model_has_its_reason(tmp_path: Path) -> None:
    from arkor_dev.local.modeling.base_model import load_base

    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no-such-architecture"}))
    with pytest.raises(JobFailure, match="cannot be loaded"):
        load_base(tmp_path)


def test_adapter_targets_exclude_vision_layers() -> None:
    from torch import nn

    from arkor_dev.local.modeling.base_model import linear_targets

    def tower(*names: str) -> nn.Module:
        block = nn.Module()
        for name in names:
            block.add_module(name, nn.Linear(2, 2))
        return block

    def whole(**towers: nn.Module) -> nn.Module:
        model = nn.Module()
        for name, module in towers.items():
            model.add_module(name, module)
        model.add_module("lm_head", nn.Linear(2, 2))
        model.get_output_embeddings = lambda: model.lm_head
        return model

    usual = ("q_proj", "o_proj", "gate_proj")
    assert linear_targets(whole(model=tower(*usual))) == ["gate_proj", "o_proj", "q_proj"]
    # A vision tower of other names is left alone by them, one of the same names by a pattern.
    other = whole(vision_tower=tower("fc1"), language_model=tower(*usual))
    assert linear_targets(other) == ["gate_proj", "o_proj", "q_proj"]
    mixed = whole(vision_tower=tower(*usual), language_model=tower(*usual))
    pattern = linear_targets(mixed)
    assert isinstance(pattern, str)
    adapted = [name for name, _ in mixed.named_modules() if re.fullmatch(pattern, name)]
    assert adapted == [f"language_model.{name}" for name in usual]
    # Numbers are names of blocks too.
    assert linear_targets(whole(blocks=nn.ModuleList([nn.Linear(2, 2)]), layers=tower("0"))) == ["0"]
    assert linear_targets(whole(blocks=nn.ModuleList([tower("0")]))) == "all-linear"


@pytest.mark.usefixtures("forked_workers")
async def test_an_idle_model_is_unloaded_and_reloaded(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    inference = Inference(idle_seconds=0.2)
    try:
        for _ in range(2):
            async with inference.answer(ask(tiny, None)) as messages:
                last = [message async for message in messages][-1]
            assert isinstance(last, Done)
            assert last.completion_tokens > 0
            assert inference.loaded
            async with asyncio.timeout(30):
                while inference.loaded:  # noqa: ASYNC110 - it is the clock that is waited for
                    await asyncio.sleep(0.05)
    finally:
        await inference.close()


@pytest.fixture(scope="module")
def of_every_kind(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path | None]]:
    """A model of four layers, and its adapters by their kind."""
    tmp_path = tmp_path_factory.mktemp("kinds")
    make(tiny := tmp_path / "models" / "tiny", layers=4)
    kinds: dict[str, dict[str, Any]] = {
        "plain": {},
        "head": {"loraModulesToSave": ["lm_head"]},
        "dora": {"useDora": True},
        "pissa": {"initLoraWeights": "pissa", "loraLayersToTransform": [0, 2]},
        "wide": {"useRslora": True, "loraTargetModules": "all-linear"},
    }
    folders: dict[str, Path | None] = {"base": None}
    for name, config in kinds.items():
        brief = {"maxSteps": 4, "learningRate": 1e-2, "lrSchedulerType": "constant", **config}
        run = set_up(tiny, tmp_path / name, brief)
        run.run()
        folders[name] = tmp_path / name / "jobs" / run.job_id / "final"
    return tiny, folders


def test_a_16_bit_base_answers_as_in_float32(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from arkor_dev.local.inference import transformers_engine as engine_module
    from arkor_dev.local.inference.answer_speed import ComputePlan
    from arkor_dev.local.inference.transformers_engine import TransformersEngine
    from arkor_dev.local.modeling.base_model import load_base

    stored = tmp_path / "stored"
    base = load_base(tiny)
    base.model.to(torch.bfloat16).save_pretrained(stored)
    base.tokenizer.save_pretrained(stored)
    dtypes = []

    def plan(model: Any, _: Any) -> ComputePlan:
        dtypes.append({weight.dtype for weight in model.parameters()})
        return ComputePlan(torch.float32, False, 1, 1)

    monkeypatch.setattr(engine_module, "fastest_plan", plan)
    engine = TransformersEngine()
    answer(engine, ask(stored, None, max_tokens=1))
    assert dtypes == [{torch.bfloat16}]
    ids = torch.arange(9)[None]
    with torch.inference_mode():
        assert torch.equal(engine.base.model(ids).logits, load_base(stored).model.eval()(ids).logits)


@pytest.mark.ci
def test_every_adapter_answers_the_same_in_a_batch(
    of_every_kind: tuple[Path, dict[str, Path | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On packed weights, as nearly every processor has them."""
    import torch

    from arkor_dev.local.inference import transformers_engine as engine_module
    from arkor_dev.local.inference.answer_speed import ComputePlan
    from arkor_dev.local.inference.transformers_engine import TransformersEngine

    monkeypatch.setattr(engine_module, "fastest_plan", lambda *_: ComputePlan(torch.float32, True, 1, 1))
    tiny, folders = of_every_kind
    alone = {name: answer(TransformersEngine(), ask(tiny, folder))[0] for name, folder in folders.items()}
    assert len(set(alone.values())) == len(alone)
    engine = TransformersEngine()
    for name in ("plain", "head", "base", "dora", "plain", "wide", "head", "pissa", "base", "dora"):
        assert answer(engine, ask(tiny, folders[name]))[0] == alone[name], name


def test_thoughts_of_a_real_model_end_after_their_budget(tiny: Path, tmp_path: Path) -> None:
    """Its prompt begins them, and a model of random weights does not end them by itself."""
    model = shutil.copytree(tiny, tmp_path / "thinks")
    (model / "chat_template.jinja").write_text(
        CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
    )
    asking = Asking()
    free, _ = asking.answer(ask(model, None, max_tokens=40))
    assert "</think>" not in free
    limited, done = asking.answer(ask(model, None, max_tokens=40, thinking_budget=5))
    thoughts, end, rest = limited.partition("\n</think>\n\n")
    assert end
    assert rest
    assert free.startswith(thoughts.rstrip("\ufffd"))
    assert done.completion_tokens == 40


@pytest.mark.numeric
def test_a_base_larger_than_the_free_memory_answers_in_less(
    trained: Trained, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its layers are read for each token. A file that was changed is loaded again."""
    import os

    import torch

    from arkor_dev.local.inference import transformers_engine as engine_module
    from arkor_dev.local.inference.answer_speed import ComputePlan
    from arkor_dev.local.inference.transformers_engine import TransformersEngine
    from arkor_dev.local.workers.machine import Memory

    monkeypatch.setattr(engine_module, "fastest_plan", lambda *_: ComputePlan(torch.float32, True, 1, 1))
    base, adapter = tmp_path / "base", trained.data / "jobs" / trained.job / "final"
    shutil.copytree(tiny, base)
    said: list[tuple[str, str]] = []
    for free in (10**12, 10**5):
        monkeypatch.setattr(engine_module, "memory", lambda free=free: Memory(free, free))
        engine = TransformersEngine()
        said.append((answer(engine, ask(base, None))[0], answer(engine, ask(base, adapter))[0]))
        stream = engine.base.stream
        assert stream
        assert stream.active == (free == 10**5)
        assert ("larger than the free memory" in engine.facts.get("why", "")) == stream.active
    assert said[0] == said[1]
    assert said[0][1] == PHRASE
    for path in base.glob("*.safetensors"):
        os.utime(path)
    assert answer(engine, ask(base, adapter))[0] == PHRASE
    assert engine.base.stream is not stream

"""How strongly an adapter answers: exact at both ends, in between as the sum says, undisturbed by others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.inference.generation.interface import MAX_CONCURRENT
from arkor_dev.local.modeling.adapter_abilities import why_full_strength_only
from tests.local.tiny_run import set_up

from .asking import Asking, answer, ask

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.inference.messages import AnswerRequest
    from tests.local.conftest import Trained

engine_test = pytest.mark.engine
quiet = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"
)


@pytest.fixture
def plain_way(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Weights in float32 on one thread, packed where the test says so."""
    import torch

    from arkor_dev.local.inference import transformers_engine as engine_module
    from arkor_dev.local.inference.answer_speed import ComputePlan

    packed = getattr(request, "param", False)
    monkeypatch.setattr(engine_module, "fastest_plan", lambda *_: ComputePlan(torch.float32, packed, 1, 1))


def logits(engine: Any, question: AnswerRequest) -> Any:
    """What the model makes of the question, token by token, as the engine has it answer."""
    import torch

    from arkor_dev.local.modeling.chat_template import render

    engine._load(question, engine.base_key_of(question), lambda _: None)
    torch.set_num_threads(1)
    tokenizer = engine.base.tokenizer
    text = render(tokenizer, question.messages or (), add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        return engine.base.model(input_ids=ids).logits.clone()


def final(trained: Trained) -> Path:
    return trained.data / "jobs" / trained.job / "final"


@engine_test
@quiet
@pytest.mark.parametrize("plain_way", [False, True], indirect=True)
@pytest.mark.usefixtures("plain_way")
def test_strengths_0_and_1_are_exact(trained: Trained, tiny: Path) -> None:
    import torch

    from arkor_dev.local.inference.transformers_engine import TransformersEngine

    engine, adapter = TransformersEngine(), final(trained)
    base, whole = logits(engine, ask(tiny, None)), logits(engine, ask(tiny, adapter))
    assert not torch.equal(base, whole)
    for between in (0.5, 0.37, 1.5, 1e-300):
        logits(engine, ask(tiny, adapter, strength=between))
        assert torch.equal(logits(engine, ask(tiny, adapter, strength=0.0)), base)
        logits(engine, ask(tiny, adapter, strength=between))
        assert torch.equal(logits(engine, ask(tiny, adapter, strength=1.0)), whole)
        logits(engine, ask(tiny, adapter, strength=between))
        assert torch.equal(logits(engine, ask(tiny, None)), base)
        assert torch.equal(logits(engine, ask(tiny, adapter)), whole)


@engine_test
@quiet
@pytest.mark.usefixtures("plain_way")
@pytest.mark.parametrize("strength", [0.25, 1.0, 1.5])
def test_a_strength_equals_peft_scaling(trained: Trained, tiny: Path, strength: float) -> None:
    """Computed another way: the change is added to the base's weights, in transformers and by hand."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    from arkor_dev.local.inference.transformers_engine import TransformersEngine

    engine, adapter = TransformersEngine(), final(trained)
    found = logits(engine, ask(tiny, adapter, strength=strength))
    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    config = json.loads((adapter / "adapter_config.json").read_text())
    weights = load_file(adapter / "adapter_model.safetensors")
    scaling, layers = config["lora_alpha"] / config["r"], dict(model.named_modules())
    for name, down in weights.items():
        if ".lora_A." in name:
            up = weights[name.replace(".lora_A.", ".lora_B.")]
            layer = layers[name.removeprefix("base_model.model.").partition(".lora_A.")[0]]
            layer.weight.data += strength * scaling * up @ down
    question = ask(tiny, None)
    tokenizer = engine.base.tokenizer
    from arkor_dev.local.modeling.chat_template import render

    text = render(tokenizer, question.messages or (), add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        wanted = model(input_ids=ids).logits
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@engine_test
@quiet
@pytest.mark.usefixtures("plain_way")
@pytest.mark.parametrize(
    "config",
    [{"useRslora": True, "loraTargetModules": "all-linear"}, {"initLoraWeights": "pissa"}],
    ids=["rslora", "pissa"],
)
def test_a_small_strength_is_close_to_the_base(tiny: Path, tmp_path: Path, config: dict[str, Any]) -> None:
    """So 0 % is where the dial leads, also for an adapter that began with a part of the base's weights."""
    import torch

    from arkor_dev.local.inference.transformers_engine import TransformersEngine

    run = set_up(tiny, tmp_path, {"maxSteps": 4, "learningRate": 1e-2, **config})
    run.run()
    adapter, engine = tmp_path / "jobs" / run.job_id / "final", TransformersEngine()
    assert why_full_strength_only(adapter) is None
    base = logits(engine, ask(tiny, None))
    torch.testing.assert_close(logits(engine, ask(tiny, adapter, strength=1e-6)), base, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(logits(engine, ask(tiny, adapter)), base, rtol=1e-2, atol=1e-2)


@engine_test
@quiet
@pytest.mark.usefixtures("plain_way")
def test_concurrent_answers_keep_their_strength(trained: Trained, tiny: Path) -> None:
    from arkor_dev.local.inference.transformers_engine import TransformersEngine

    single, told = TransformersEngine(), dict[str, Any]()
    for strength in (0.0, 1.0, 0.1, 0.2, 0.3, 0.4, 0.05, 0.15, 0.25, 1.5):
        question = ask(tiny, final(trained), strength=strength, max_tokens=48)
        told.setdefault(answer(single, question)[0], question)
    # Those that say something else, as many as answer at once: from others nothing would be seen.
    alone, asks = list(told)[:MAX_CONCURRENT], list(told.values())[:MAX_CONCURRENT]
    assert len(alone) > 2
    asking = Asking()
    together = [asking.ask(question) for question in asks]
    asking.finish(*together)
    assert [each.text for each in together] == alone


@engine_test
@quiet
@pytest.mark.parametrize(
    "config", [{"useDora": True}, {"loraModulesToSave": ["lm_head"]}], ids=["dora", "head"]
)
def test_unscalable_adapters_have_a_reason(tiny: Path, tmp_path: Path, config: dict[str, Any]) -> None:
    run = set_up(tiny, tmp_path, {"maxSteps": 1, **config})
    run.run()
    assert why_full_strength_only(tmp_path / "jobs" / run.job_id / "final")

"""A classifier's probabilities by the engine: those of transformers and PEFT, as fast as the base's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .asking import ask

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]

TEXTS = ["Where is the ledger?", "No rush: the book."]


@pytest.fixture
def sorter(tiny: Path, tmp_path: Path) -> tuple[Path, Any]:
    """A classifier's adapter of three labels with random weights, and transformers' own model with it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    from arkor_dev.local.modeling.classes import Classes

    torch.manual_seed(0)
    base = AutoModelForSequenceClassification.from_pretrained(tiny, num_labels=3, dtype=torch.float32)
    model = get_peft_model(base, LoraConfig(r=4, target_modules="all-linear", task_type="SEQ_CLS"))
    for name, weight in model.named_parameters():
        if "lora_B" in name or "score" in name:
            torch.nn.init.normal_(weight, std=0.2)
    model.save_pretrained(tmp_path / "sorter")
    Classes(("a", "b", "c"), (1, 1, 1)).write(tmp_path / "sorter")
    return tmp_path / "sorter", model.eval()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An engine with packed weights in float32, on one thread."""
    import torch

    from arkor_dev.local.inference import transformers_engine as engine_module
    from arkor_dev.local.inference.answer_speed import ComputePlan

    monkeypatch.setattr(engine_module, "fastest_plan", lambda *_: ComputePlan(torch.float32, True, 1, 1))
    return engine_module.TransformersEngine()


def classified(engine: Any, tiny: Path, adapter: Path, texts: list[str]) -> list[list[float]]:
    request = ask(tiny, adapter, messages=None, texts=texts)
    found, _ = engine.classify(request, engine.base_key_of(request), lambda _: None, lambda: False)
    probabilities: list[list[float]] = found.probabilities
    return probabilities


def logits_of(model: Any, tokenizer: Any) -> Any:
    import torch

    with torch.inference_mode():
        return torch.cat([model(**tokenizer(text, return_tensors="pt")).logits for text in TEXTS])


def test_it_computes_with_merged_weights(engine: Any, tiny: Path, sorter: tuple[Path, Any]) -> None:
    import torch

    adapter, model = sorter
    together = torch.tensor(classified(engine, tiny, adapter, TEXTS))
    assert engine._merged, "its head is kept beside the model, so nothing rules out packed weights"
    (merged,) = engine._merged.values()
    assert len(merged._fused) == model.config.num_hidden_layers
    alone = torch.tensor([classified(engine, tiny, adapter, [text])[0] for text in TEXTS])
    expected = logits_of(model, engine.tokenizer).softmax(-1)
    assert float((expected[0] - expected[1]).abs().max()) > 0.01
    torch.testing.assert_close(together, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(alone, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("architecture", "settings", "fused"),
    [
        ("Qwen2", {}, 2),  # queries, keys and values with biases
        ("Granite", {"residual_multiplier": 0.5}, 0),
        ("SmolLM3", {"no_rope_layers": [1, 0], "pad_token_id": 0}, 1),
        ("Gemma", {"head_dim": 16}, 0),
    ],
)
def test_layers_are_fused_only_where_they_compute_the_same(
    architecture: str, settings: dict[str, Any], fused: int
) -> None:
    import torch
    import transformers

    from arkor_dev.local.inference.answer_speed import ComputePlan, LinearParts, convert
    from arkor_dev.local.inference.fused_layers import FusedLayers

    torch.manual_seed(0)
    config = getattr(transformers, f"{architecture}Config")(
        vocab_size=64, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, initializer_range=0.2, **settings,
    )  # fmt: skip
    model = getattr(transformers, f"{architecture}Model")(config).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    convert(model, ComputePlan(torch.float32, True, 1, 1))
    layers = FusedLayers(model, lambda layer: LinearParts(layer.weight, layer.bias))
    assert len(layers) == fused
    ids = torch.arange(40).view(2, 20)
    mask = torch.ones_like(ids)
    mask[1, 12:] = 0
    with torch.inference_mode():
        for given in ({"input_ids": ids}, {"input_ids": ids, "attention_mask": mask}):
            expected = model(**given, use_cache=False).last_hidden_state
            with layers.used():
                found = model(**given, use_cache=False).last_hidden_state
            torch.testing.assert_close(found[0], expected[0], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(found[1, :12], expected[1, :12], atol=1e-4, rtol=1e-4)
            assert torch.equal(found, expected) == (not fused)


def test_it_uses_the_measured_number_of_threads(engine: Any, tiny: Path, sorter: tuple[Path, Any]) -> None:
    import torch

    torch.set_num_threads(3)
    classified(engine, tiny, sorter[0], TEXTS)
    assert torch.get_num_threads() == 1


def test_a_later_evaluations_temperature_applies(engine: Any, tiny: Path, sorter: tuple[Path, Any]) -> None:
    import torch

    from arkor_dev.local.modeling.classes import write_temperature

    adapter, model = sorter
    classified(engine, tiny, adapter, TEXTS)
    write_temperature(adapter, 2.5)
    expected = (logits_of(model, engine.tokenizer) / 2.5).softmax(-1)
    found = torch.tensor(classified(engine, tiny, adapter, TEXTS))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)

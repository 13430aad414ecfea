"""Vision-language models that transformers does not load as language models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

from tests.local.gguf_extra import cache, needs_gguf
from tests.local.tiny_run import losses_of, set_up
from tests.support.in_ci import in_ci

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
TEXT = {"vocab_size": 1024, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
TEXT |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512}
TEXT |= {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, "head_dim": 16}
VISION = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION |= {"image_size": 28, "patch_size": 14}
QWEN_VISION = {"depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2, "patch_size": 4}
QWEN_VISION |= {"out_hidden_size": 64}
MARKS = {"image_token_id": 1000, "video_token_id": 1001, "vision_start_token_id": 1002}
MARKS |= {"vision_end_token_id": 1003}
KINDS: dict[str, dict[str, Any]] = {
    "Qwen2_5_VL": {
        "text_config": {**TEXT, "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]}},
        "vision_config": {**QWEN_VISION, "fullatt_block_indexes": [0]},
        **MARKS,
    },
    "Qwen3VL": {
        "text_config": {**TEXT, "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]}},
        "vision_config": {**QWEN_VISION, "deepstack_visual_indexes": [0], "num_position_embeddings": 16},
        **MARKS,
    },
    "Llava": {
        "text_config": {"model_type": "llama", **TEXT},
        "vision_config": {"model_type": "clip_vision_model", **VISION, "projection_dim": 64},
        "image_token_id": 1000,
    },
    "Mistral3": {
        "text_config": {"model_type": "mistral", **TEXT, "sliding_window": None},
        "vision_config": {"model_type": "pixtral", **VISION, "head_dim": 32},
        "image_token_id": 1000,
    },
}


def make(name: str, tiny: Path, folder: Path, **config: Any) -> Path:
    """A tiny model of random weights, whose tokenizer is the tiny model's."""
    import torch
    import transformers

    from arkor_dev.local.modeling.tokenizer import load_tokenizer, save_tokenizer

    torch.manual_seed(0)
    made = getattr(transformers, f"{name}Config")(**config)
    getattr(transformers, f"{name}ForConditionalGeneration")(made).save_pretrained(folder)
    save_tokenizer(load_tokenizer(tiny), folder)
    (folder / "preprocessor_config.json").write_text("{}")
    return folder


SHORT: dict[str, Any] = {"maxSteps": 4, "evalSteps": 0, "batchSize": 4, "learningRate": 1e-2}


@pytest.mark.parametrize(
    "name", [in_ci(name) if name in ("Qwen2_5_VL", "Mistral3") else name for name in KINDS]
)
def test_a_model_with_a_vision_tower_is_trained_on_text(name: str, tiny: Path, tmp_path: Path) -> None:
    """With the processor's losses on a GPU, where the tower is not."""
    from safetensors.torch import load_file

    from arkor_dev.local.modeling.base_model import load_base
    from arkor_dev.local.modeling.gate import check_trainable
    from tests.support import devices

    model = make(name, tiny, tmp_path / "model", **KINDS[name])
    assert "Its language part is trained" in (check_trainable(model) or "")
    config = {**SHORT, "loraTargetModules": "all-linear"}
    mapped = load_base(model, as_stored=True, mapped=True)  # as a job loads it on a CPU
    losses = losses_of(set_up(model, tmp_path, config, base=mapped))
    assert losses[-1] < losses[0]
    saved = load_file(tmp_path / "jobs" / "float32" / "final" / "adapter_model.safetensors")
    assert all("language_model" in key for key in saved)
    stored = load_file(model / "model.safetensors")
    with devices.cuda() as device:
        base = load_base(model)
        assert device.allocated < 2.1 * sum(stored[key].numel() for key in stored if not of_tower(key))
        run = set_up(model, tmp_path / "cuda", config, base=base)
        assert losses_of(run) == pytest.approx(losses, rel=0.05)
        assert not run.loss.padded


def of_tower(key: str) -> bool:
    return "vis" in key or "multi_modal" in key


def test_a_vision_model_answers_and_exports_its_tower(tiny: Path, tmp_path: Path) -> None:
    """Bit for bit, and with how its pictures are prepared."""
    import torch
    from safetensors.torch import load_file

    from arkor_dev.local.exports.export import ExportTask
    from arkor_dev.local.inference.transformers_engine import TransformersEngine
    from tests.local.exports.test_export import ROWS, nothing, trained
    from tests.local.inference.asking import answer, ask

    model = make("Qwen3VL", tiny, tmp_path / "model", **KINDS["Qwen3VL"])
    adapter = trained(model, tmp_path, maxSteps=30, learningRate=2e-2, loraTargetModules="all-linear")
    assert answer(TransformersEngine(), ask(model, adapter))[0].startswith("Ahoy")
    made = ExportTask("merged", adapter, "adapter", model, "m", tmp_path / "out", nothing).make(ROWS)
    assert made["verdict"] == "same"
    assert (tmp_path / "out" / "preprocessor_config.json").is_file()
    stored, exported = (load_file(each / "model.safetensors") for each in (model, tmp_path / "out"))
    assert all(torch.equal(exported[key], weight) for key, weight in stored.items() if of_tower(key))


@needs_gguf
@pytest.mark.usefixtures("forked")
def test_architectures_unknown_to_llama_cpp_are_refused_early(tiny: Path, tmp_path: Path) -> None:
    from arkor_dev.local.exports.llama.export import LlamaExport
    from arkor_dev.local.workers.errors import JobFailure
    from tests.local.exports.test_export import nothing

    config = {**KINDS["Llava"], "image_grid_pinpoints": [[28, 28]]}
    model = make("LlavaNext", tiny, tmp_path / "model", **config)
    export = LlamaExport(
        "gguf",
        tmp_path / "none",
        "adapter",
        model,
        "m",
        tmp_path / "out",
        nothing,
        quantization="f16",
        cache=cache(),
    )
    with pytest.raises(JobFailure, match=r"architecture \(LlavaNextForConditionalGeneration\): choose"):
        export.make([])

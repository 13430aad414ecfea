"""Models that are refused before they are loaded, and those of which a part is trained."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

from arkor_dev.local.modeling.gate import DEQUANTIZED, check_trainable, comes_in_4_bit
from arkor_dev.local.workers.errors import JobFailure
from tests.local.tiny_run import losses_of, set_up

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("quantized", "named"),
    [
        ({"quant_method": "gptq", "bits": 4}, "GPTQ"),
        ({"quant_method": "awq"}, "AWQ"),
        ({"load_in_8bit": True}, "bitsandbytes in 8 bit"),
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "int4"}, "bitsandbytes"),
        ({"quant_method": ["\x1b[2J"]}, r'["\u001b[2J"]'),
    ],
)
def test_quantized_weights_are_refused(tmp_path: Path, quantized: dict[str, Any], named: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": quantized}))
    with pytest.raises(JobFailure) as raised:
        check_trainable(tmp_path)
    said = str(raised.value)
    assert f"are quantized ({named})" in said
    assert "load_in_4bit = true" in said
    assert said.isprintable()
    card = f"---\nlicense: mit\nbase_model:\n- some/Base-7B\n---\nbase_model: other/one {named}"
    (tmp_path / "README.md").write_text(card)
    with pytest.raises(JobFailure, match="Choose some/Base-7B, from which they were made: load_in_4bit"):
        check_trainable(tmp_path)


def test_bitsandbytes_4_bit_weights_are_trained(tmp_path: Path) -> None:
    quantized = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": quantized}))
    assert "come in 4 bit" in (check_trainable(tmp_path) or "")
    assert comes_in_4_bit(tmp_path)


def test_the_language_part_of_a_multimodal_model_is_trained(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"vision_config": {}, "audio_config": {}}))
    assert (check_trainable(tmp_path) or "").startswith("This model also takes pictures and sound.")
    assert check_trainable(tiny) is None
    (tmp_path / "config.json").write_text("{")
    assert check_trainable(tmp_path) is None, "whoever loads it says what is wrong"


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")
def test_mxfp4_experts_are_dequantized(tiny: Path, tmp_path: Path) -> None:
    """To the numbers of the format's definition (OCP Microscaling); a merge has them in 16 bit."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import GptOssConfig, GptOssForCausalLM

    from arkor_dev.local.exports.files import load_in_float32, merge, save_merged
    from arkor_dev.local.modeling.adapted_model import with_adapter
    from arkor_dev.local.modeling.base_model import load_base
    from arkor_dev.local.modeling.tokenizer import load_tokenizer, save_tokenizer

    model, file = tmp_path / "oss", tmp_path / "oss" / "model.safetensors"
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"num_key_value_heads": 1, "head_dim": 32, "num_local_experts": 4, "num_experts_per_tok": 2}
    torch.manual_seed(0)
    config = GptOssConfig(vocab_size=1024, **sizes)
    GptOssForCausalLM(config).bfloat16().save_pretrained(model)
    save_tokenizer(load_tokenizer(tiny), model)
    weights = load_file(file)
    values, known = [0, 0.5, 1, 1.5, 2, 3, 4, 6], {}
    table = torch.tensor([*values, *(-value for value in values)])
    for name in [name for name in weights if name.endswith("_proj") and "experts" in name]:
        experts, inputs, outputs = weights.pop(name).shape
        blocks = torch.randint(0, 256, (experts, outputs, inputs // 32, 16), dtype=torch.uint8)
        scales = torch.randint(118, 124, blocks.shape[:3], dtype=torch.uint8)
        weights |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
        pairs = torch.stack([table[(blocks & 15).long()], table[(blocks >> 4).long()]], -1).flatten(-2)
        scaled = pairs * torch.exp2(scales.float() - 127)[..., None]
        known[name] = scaled.flatten(-2).transpose(1, 2).contiguous()
    save_file(weights, file, metadata={"format": "pt"})
    written = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(
        json.dumps({**written, "quantization_config": {"quant_method": "mxfp4"}})
    )
    assert "come in MXFP4 and are dequantized to 16 bit" in (check_trainable(model) or "")
    with pytest.raises(JobFailure, match="remove load_in_4bit"):
        load_base(model, four_bit=True)
    base = load_in_float32(model)
    state = base.model.state_dict()
    assert all(torch.equal(state[name], weight) for name, weight in known.items())
    config = {"maxSteps": 4, "batchSize": 12, "loraTargetModules": "all-linear", "learningRate": 3e-2}
    run = set_up(model, tmp_path, config)
    losses = losses_of(run)
    assert losses[-1] < losses[0]
    merged = merge(with_adapter(base.model, tmp_path / "jobs" / run.job_id / "final"))
    save_merged(merged, base.tokenizer, "oss", torch.bfloat16, tmp_path / "out")
    exported = load_file(tmp_path / "out" / "model.safetensors")
    assert all(torch.equal(exported[name], weight.bfloat16()) for name, weight in known.items())
    assert check_trainable(tmp_path / "out") is None


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")
def test_fp8_weights_are_dequantized(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To number times scale of its block; trained, answered and merged so, on an emulated GPU as well."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import FineGrainedFP8Config

    from arkor_dev.local.exports.files import load_in_float32, merge, save_merged
    from arkor_dev.local.inference.transformers_engine import TransformersEngine
    from arkor_dev.local.modeling.adapted_model import with_adapter
    from arkor_dev.local.modeling.base_model import load_base
    from tests.local.inference.asking import answer, ask
    from tests.support import devices

    model, known = tmp_path / "fp8", {}
    shutil.copytree(tiny, model)
    weights = load_file(model / "model.safetensors")
    for name in [name for name in weights if name.endswith("_proj.weight")]:
        blocks = weights.pop(name).float().unflatten(1, (-1, 64)).unflatten(0, (-1, 64))
        scales = blocks.abs().amax((1, 3)) / 448  # the largest number of the format
        numbers = (blocks / scales[:, None, :, None]).to(torch.float8_e4m3fn)
        weights |= {name: numbers.flatten(2).flatten(0, 1), f"{name}_scale_inv": scales}
        known[name] = (numbers.float() * scales[:, None, :, None]).flatten(2).flatten(0, 1)
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    written = json.loads((model / "config.json").read_text())
    quantized = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [64, 64]}
    (model / "config.json").write_text(json.dumps({**written, "quantization_config": quantized}))
    assert check_trainable(model) == DEQUANTIZED["fp8"][0]
    with pytest.raises(JobFailure, match="weights in FP8, which are loaded in 16 bit: remove load_in_4bit"):
        load_base(model, four_bit=True)
    with devices.cuda():
        losses = losses_of(set_up(model, tmp_path / "gpu", {"maxSteps": 4, "learningRate": 3e-2}))
        assert losses[-1] < losses[0]
    with devices.two_cards(2**30, 2**30):
        assert load_base(model, gpus=2).gpus == 2
    with monkeypatch.context() as patched, devices.cuda(capability=(9, 0)):
        # as transformers before 5, which does not know the option
        patched.setattr(FineGrainedFP8Config, "dequantize", property(lambda _: False, lambda *_: None), False)
        with pytest.raises(JobFailure, match="cannot dequantize this model's weights"):
            load_base(model)
    run = set_up(model, tmp_path, {"maxSteps": 4, "batchSize": 12, "learningRate": 3e-2})
    losses = losses_of(run)
    assert losses[-1] < losses[0]
    adapter = tmp_path / "jobs" / run.job_id / "final"
    base = load_in_float32(model)
    assert all(torch.equal(base.model.state_dict()[name], weight) for name, weight in known.items())
    assert answer(TransformersEngine(), ask(model, adapter))[1].completion_tokens > 0
    merged = merge(with_adapter(base.model, adapter))
    expected = {name: weight.bfloat16() for name, weight in merged.state_dict().items()}
    save_merged(merged, base.tokenizer, "fp8", torch.bfloat16, tmp_path / "out")
    exported = load_file(tmp_path / "out" / "model.safetensors")
    assert all(torch.equal(exported[name], expected[name]) for name in known)
    assert check_trainable(tmp_path / "out") is None


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")
def test_an_attention_mamba_hybrid_is_trained(tiny: Path, tmp_path: Path) -> None:
    """But for the layers whose weights its kernels read."""
    from transformers import FalconH1Config, FalconH1ForCausalLM

    from arkor_dev.local.modeling.tokenizer import load_tokenizer, save_tokenizer

    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes |= {"num_key_value_heads": 2, "mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_head": 16}
    sizes |= {"mamba_d_state": 8, "mamba_chunk_size": 16, "vocab_size": 1024}
    FalconH1ForCausalLM(FalconH1Config(**sizes)).save_pretrained(tmp_path / "hybrid")
    save_tokenizer(load_tokenizer(tiny), tmp_path / "hybrid")
    config = {"maxSteps": 4, "batchSize": 12, "loraTargetModules": "all-linear", "learningRate": 3e-2}
    losses = losses_of(set_up(tmp_path / "hybrid", tmp_path, config))
    assert losses[-1] < losses[0]

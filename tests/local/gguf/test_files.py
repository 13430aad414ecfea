"""GGUF files of true models and adapters: llama.cpp computes with them what transformers and PEFT do."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import gguf
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from arkor_dev.local.gguf.cache_paths import base_path
from arkor_dev.local.gguf.files import cached_base, cached_lora, make_model
from arkor_dev.local.workers.errors import JobFailure
from tests.local.gguf_extra import needs_gguf, with_converters

from .conftest import lora

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.engine,
    needs_gguf,
    pytest.mark.usefixtures("forked"),
    pytest.mark.timeout(600),  # each file is a process that loads libraries
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
IDS = [5, 300, 41, 7, 900, 12, 33, 101]


def nothing(*_: Any) -> None:
    """Hears how far it has come."""


def by_llama(path: Path, ids: list[int] = IDS, adapter: Path | None = None, scale: float = 1.0) -> Any:
    """Log probabilities of what comes after the tokens, by llama.cpp alone."""
    from llama_cpp import Llama

    more = {} if adapter is None else {"lora_path": str(adapter), "lora_scale": scale}
    llama = Llama(str(path), n_ctx=64, logits_all=True, verbose=False, **more)
    llama.eval(ids)
    return torch.tensor(llama.scores[: len(ids)]).log_softmax(-1)


def by_torch(model: Any, ids: list[int] = IDS) -> Any:
    with torch.no_grad():
        return model.eval()(torch.tensor([ids])).logits[0].log_softmax(-1)


def apart(one: Any, other: Any) -> float:
    """The mean divergence in nats a token."""
    return float((one.exp() * (one - other)).sum(-1).mean())


@pytest.mark.parametrize("which", ["tiny", "qwen"])
def test_a_converted_model_has_the_same_logits_and_tokens(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    from arkor_dev.local.gguf.llama_vocabulary import vocabulary_of
    from arkor_dev.local.gguf.pretokenizer import TEXTS
    from arkor_dev.local.modeling.chat_template import ready_tokenizer

    folder: Path = request.getfixturevalue(which)
    path = tmp_path / "model.gguf"
    make_model(folder, path, "f16", which, with_converters(tmp_path / "cache"), nothing)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert apart(by_torch(model), by_llama(path)) < 1e-4
    with vocabulary_of(path) as vocabulary:
        for text in TEXTS:
            wanted = tokenizer(text, add_special_tokens=False)["input_ids"]
            assert vocabulary.tokens(text, add_special=True) == wanted, text
        assert vocabulary.template == ready_tokenizer(tokenizer).chat_template
        assert vocabulary.ends(tokenizer.eos_token_id)
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".gguf")] == []


@pytest.fixture(scope="module")
def own_of_adapters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for several adapters, so that their base is converted once: that is a process of seconds."""
    return with_converters(tmp_path_factory.mktemp("adapters") / "cache")


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"use_rslora": True},
        {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3, r"layers\.1\..*down_proj": 40}},
    ],
    ids=str,
)
def test_a_converted_adapter_has_the_same_logits(
    tiny: Path, own_of_adapters: Path, tmp_path: Path, config: dict[str, Any]
) -> None:
    own = own_of_adapters
    adapter = lora(tiny, tmp_path / "adapter", **config)
    base = cached_base(tiny, "tiny", "f16", own, nothing)
    before = set((own / "gguf" / "lora").glob("*.gguf"))
    made = cached_lora(adapter, tiny, own, nothing)
    worn = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), str(adapter))
    wanted, said = by_torch(worn), by_llama(base, adapter=made)
    assert apart(wanted, by_llama(base)) > 0.05, "the adapter has to matter"
    assert apart(wanted, said) < 1e-3
    # Made once.
    assert cached_lora(adapter, tiny, own, nothing) == made
    assert set(made.parent.glob("*.gguf")) - before == {made}


def test_quantized_files_are_smaller_and_close(qwen: Path, tmp_path: Path) -> None:
    own, sizes = with_converters(tmp_path / "cache"), []
    wanted = by_torch(AutoModelForCausalLM.from_pretrained(qwen))
    for quantization in ("f16", "q8_0"):
        path = cached_base(qwen, "qwen", quantization, own, nothing)
        assert apart(wanted, by_llama(path)) < 0.05
        sizes.append(path.stat().st_size)
    assert sizes[1] < 0.7 * sizes[0]


def on_four_bits(model: Path, target: Path) -> Path:
    """The model with weights as the starter model's are: in full, but on the 16 levels that Q4_1 has."""
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize, quantize
    from safetensors.numpy import load_file, save_file

    shutil.copytree(model, target)
    weights = load_file(target / "model.safetensors")
    for name in [each for each in weights if each.endswith("proj.weight")]:
        four = quantize(weights[name].astype("float32"), GGMLQuantizationType.Q4_1)
        weights[name] = dequantize(four, GGMLQuantizationType.Q4_1)
    save_file(weights, target / "model.safetensors", {"format": "pt"})
    return target


def kinds_of(path: Path) -> dict[str, str]:
    """The number format of each tensor."""
    return {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors}


def test_q5_loses_less_than_q4(qwen: Path, tmp_path: Path) -> None:
    """llama.cpp's choice for five bits, where rows are short, makes each of these weights larger."""
    own, model = with_converters(tmp_path / "cache"), on_four_bits(qwen, tmp_path / "model")
    wanted, lost = by_torch(AutoModelForCausalLM.from_pretrained(model)), {}
    for quantization in ("q4_k_m", "q5_k_m"):
        path = tmp_path / f"{quantization}.gguf"
        make_model(model, path, quantization, "qwen", own, nothing)
        lost[quantization] = apart(wanted, by_llama(path))
    assert lost["q5_k_m"] < lost["q4_k_m"]
    # Those that get more bits are the same ones as ever, and so is a model of weights in full.
    make_model(qwen, tmp_path / "full.gguf", "q5_k_m", "qwen", own, nothing)
    chosen, usual = kinds_of(path), kinds_of(tmp_path / "full.gguf")
    assert {"Q5_1", "Q6_K", "Q8_0"} <= set(usual.values())
    changed = {name: kind for name, kind in chosen.items() if kind != usual[name]}
    assert set(changed.values()) == {"Q5_0"}
    assert {usual[name] for name in changed} == {"Q5_1"}


def test_a_base_is_converted_once_per_weights(tiny: Path, tmp_path: Path) -> None:
    model = shutil.copytree(tiny, tmp_path / "model")
    own, told = with_converters(tmp_path / "cache"), []
    first = cached_base(model, "m", "f16", own, lambda label, *_: told.append(label))
    assert any("Converting" in label for label in told)
    told.clear()
    assert cached_base(model, "m", "f16", own, lambda label, *_: told.append(label)) == first
    assert told == []
    (model / "model.safetensors").touch()
    assert base_path(model, "f16", own) != first


def test_an_unsupported_model_leaves_no_files(tiny: Path, tmp_path: Path) -> None:
    model = shutil.copytree(tiny, tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "architectures": ["UnheardOfForCausalLM"]}))
    with pytest.raises(JobFailure, match=r"does not support this architecture|cannot do this model"):
        cached_base(model, "m", "f16", with_converters(tmp_path / "cache"), nothing)
    assert list((tmp_path / "cache" / "gguf").glob("*.gguf")) == []
    assert [each for each in (tmp_path / "cache" / "gguf").iterdir() if each.name.startswith(".gguf")] == []


def test_an_adapter_unsupported_by_llama_cpp_is_refused(tiny: Path, tmp_path: Path) -> None:
    own = with_converters(tmp_path / "cache")
    with pytest.raises(JobFailure, match="DoRA"):
        cached_lora(lora(tiny, tmp_path / "dora", use_dora=True), tiny, own, nothing)
    assert list((own / "gguf" / "lora").glob("*.gguf")) == []

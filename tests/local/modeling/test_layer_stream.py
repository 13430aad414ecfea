"""Models of several architectures, loaded from mapped files: as transformers loads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.cpu_kernels.models import FAMILIES, model_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]
MORE: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt_neox": ("GPTNeoX", {}),
    "phi3": ("Phi3", {}),
    "qwen3_moe": (
        "Qwen3Moe",
        {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "head_dim": 8},
    ),
}
MERGED = {"qwen3_moe"}
"""Their experts are stored one by one, and computed together."""


@pytest.mark.parametrize("family", [*FAMILIES, *MORE])
def test_mapped_files_give_the_same_model(family: str, tmp_path: Path) -> None:
    import torch

    from arkor_dev.local.modeling.base_model import load_base
    from tests.local.tiny_model import make_tokenizer

    name, more = {**FAMILIES, **MORE}[family]
    model_of(name, more).save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    usual, mapped = (load_base(tmp_path, as_stored=True, mapped=mapped) for mapped in (False, True))
    assert type(mapped.model) is type(usual.model)
    assert mapped.model.generation_config == usual.model.generation_config
    weights = usual.model.state_dict()
    assert mapped.model.state_dict().keys() == weights.keys()
    for key, weight in mapped.model.state_dict().items():
        assert torch.equal(weight, weights[key]), key
    assert mapped.stream
    assert (mapped.stream.unsuited is None) == (family not in MERGED), mapped.stream.unsuited
    if family in MERGED:
        return
    ids = torch.arange(3, 20)[None]
    mapped.stream.start(torch.bfloat16)
    for model in (usual.model, mapped.model):
        for weight in model.parameters():
            if id(weight) not in mapped.stream.weights:
                weight.data = weight.data.to(torch.bfloat16)
    with torch.no_grad():
        assert torch.equal(mapped.model(ids).logits, usual.model(ids).logits)

"""Rows in one line, through the quick layers, teach what padded rows teach through the model's own."""

from __future__ import annotations

from typing import Any

import pytest

from .models import FAMILIES, model_of, rows_of

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
ROWS = {
    "of many lengths": ([41, 9, 30, 3], 0),
    "that begin alike": ([41, 25, 30, 21], 20),
    "one alone": ([33], 0),
}


def wearing(model: Any, targets: Any = "all-linear", **config: Any) -> Any:
    """``model`` with an adapter that already changes something."""
    import torch
    from peft import LoraConfig, get_peft_model

    worn = get_peft_model(model, LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM", **config))
    chance = torch.Generator().manual_seed(2)
    for name, weight in worn.named_parameters():
        if "lora_B" in name:
            weight.data = torch.randn(weight.shape, generator=chance) / 10
    worn.train()
    return worn


def known(model: Any, rows: list[Any]) -> tuple[float, int, dict[str, Any]]:
    """Loss, learned tokens and gradients by the model's own code, one padded batch."""
    import torch
    from torch.nn import functional

    width = max(len(row.ids) for row in rows)
    filled = [row.ids + [0] * (width - len(row.ids)) for row in rows]
    labels = torch.tensor([row.labels + [-100] * (width - len(row.labels)) for row in rows])[:, 1:]
    mask = torch.tensor([[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in rows])
    logits = model(input_ids=torch.tensor(filled), attention_mask=mask).logits[:, :-1]
    loss = functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="sum")
    if loss.requires_grad:
        loss.backward()
    return float(loss.detach()), int((labels != -100).sum()), taken(model)


def taken(model: Any) -> dict[str, Any]:
    """The gradients of what learns, by name; they are gone from the model."""
    found = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            found[name], weight.grad = weight.grad, None
    return found


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_loss_and_gradients_equal_padded_ones(
    family: str, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from arkor_dev.local.cpu_kernels import attention
    from arkor_dev.local.training.methods.sft.loss import CrossEntropy

    model = wearing(model_of(*FAMILIES[family]))
    batch = rows_of(*ROWS[rows])
    loss, count, gradients = known(model, batch)
    measured = CrossEntropy(model, "cpu", torch.float32, batch)
    assert measured.padded is None
    if "sliding_window" not in FAMILIES[family][1]:
        monkeypatch.delattr(attention, "_row_by_row")
    ours, learned = measured(batch)
    assert learned == count
    assert float(ours.detach()) == pytest.approx(loss, rel=1e-5)
    ours.backward()
    for name, gradient in taken(model).items():
        torch.testing.assert_close(
            gradient, gradients[name], rtol=1e-3, atol=1e-3 * gradients[name].abs().max()
        )


@pytest.mark.parametrize(
    "config",
    [
        {"targets": ["q_proj", "v_proj"]},
        {"targets": ["k_proj", "o_proj", "down_proj"]},
        {"targets": ["up_proj"], "use_rslora": True},
        {"rank_pattern": {"k_proj": 2, "gate_proj": 3}, "alpha_pattern": {"down_proj": 3, "v_proj": 1}},
        {"use_dora": True},
        {"init_lora_weights": "pissa"},
        {"lora_bias": True},
        {"targets": ["q_proj", "gate_proj"], "modules_to_save": ["k_proj", "up_proj"]},
    ],
    ids=lambda config: ", ".join(config),
)
def test_every_adapter_learns_as_in_peft(config: dict[str, Any]) -> None:
    """Quick layers take the plain ones, of any rank and in any layers, and leave the others to PEFT."""
    import torch

    from arkor_dev.local.training.methods.sft.loss import CrossEntropy

    model = wearing(model_of("Llama", {"mlp_bias": True, "attention_bias": True}), **config)
    batch = rows_of([41, 9, 30])
    loss, _, gradients = known(model, batch)
    with model.disable_adapter():
        base = known(model, batch)[0]
    measured = CrossEntropy(model, "cpu", torch.float32, batch)
    with model.disable_adapter():
        assert float(measured(batch)[0].detach()) == pytest.approx(base, rel=1e-5)
    ours, _ = measured(batch)
    assert float(ours.detach()) == pytest.approx(loss, rel=1e-5)
    ours.backward()
    for name, gradient in taken(model).items():
        most = float(gradients[name].abs().max())
        torch.testing.assert_close(gradient, gradients[name], rtol=1e-3, atol=1e-3 * most)


def test_bfloat16_gradients_equal_float32_up_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over several blocks of queries, and with what rows share."""
    import torch

    from arkor_dev.local.cpu_kernels import attention
    from arkor_dev.local.training.adapter import convert_weights
    from arkor_dev.local.training.methods.sft.loss import CrossEntropy

    monkeypatch.setattr(attention, "BLOCK", 16)
    batch = rows_of([61, 25, 47], 20)
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        model = wearing(model_of("Llama", {"initializer_range": 0.1}))
        convert_weights(model.get_base_model(), dtype)
        for name, weight in model.named_parameters():
            if "lora" in name:
                weight.data = weight.data.float()
        measured = CrossEntropy(model, "cpu", dtype, batch)
        assert measured.padded is None
        measured(batch)[0].backward()
        found[dtype] = taken(model)
    for name, exact in found[torch.float32].items():
        rounded = found[torch.bfloat16][name]
        assert rounded.dtype == torch.float32
        assert (rounded - exact).norm() < 0.1 * exact.norm(), name


def test_models_with_convolutions_get_padded_rows() -> None:
    """Its convolutions look back over a row's beginning."""
    import torch

    from arkor_dev.local.training.methods.sft.loss import CrossEntropy

    more = {"layer_types": ["conv", "full_attention", "conv"], "conv_L_cache": 3}
    model = wearing(model_of("Lfm2", more))
    batch = rows_of([41, 9, 30])
    loss, _, gradients = known(model, batch)
    measured = CrossEntropy(model, "cpu", torch.float32, batch)
    assert measured.padded == "its layers do not keep packed rows apart"
    ours, _ = measured(batch)
    assert float(ours.detach()) == pytest.approx(loss, rel=1e-5)
    ours.backward()
    for name, gradient in taken(model).items():
        most = float(gradients[name].abs().max())
        torch.testing.assert_close(gradient, gradients[name], rtol=1e-3, atol=1e-3 * most)


def test_rows_with_dropout_share_no_prefix() -> None:
    """A dropout that all rows share would be no dropout of each."""
    import torch

    from arkor_dev.local.cpu_kernels.attention import CurrentBatch
    from arkor_dev.local.training.methods.sft.loss import CrossEntropy

    batch = rows_of([41, 25, 30], 20)
    for dropout, saved in ((0.0, 40), (0.5, 0)):
        measured = CrossEntropy(wearing(model_of("Llama"), lora_dropout=dropout), "cpu", torch.float32, batch)
        measured(batch)
        assert CurrentBatch.packed is not None
        assert CurrentBatch.packed.saved == saved


def test_packed_rotary_embeddings_equal_transformers() -> None:
    """Other batches keep the model's own function, which the gradients are compared with."""
    import torch
    from transformers.models.llama import modeling_llama

    from arkor_dev.local.cpu_kernels.attention import CurrentBatch
    from arkor_dev.local.training.methods.sft.loss import CrossEntropy

    batch = rows_of([41, 9])
    CrossEntropy(wearing(model_of("Llama")), "cpu", torch.float32, batch)(batch)
    assert CurrentBatch.packed is not None
    chance = torch.Generator().manual_seed(4)
    found = []
    for rows in (1, 2):
        given = torch.randn(4, 1, 50, 8, generator=chance.manual_seed(4))
        q, k = (given[:2].expand(2, 3, 50, 8)[:, None].expand(2, rows, 3, 50, 8)).clone().requires_grad_()
        outputs = modeling_llama.apply_rotary_pos_emb(q, k, given[2], given[3])
        assert all(("Rotate" in type(output.grad_fn).__name__) == (rows == 1) for output in outputs)
        weights = torch.arange(8.0)
        gradients = torch.autograd.grad(sum((output[0] * weights).sum() for output in outputs), (q, k))
        found.append([*outputs, *gradients])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours[0], theirs[0])

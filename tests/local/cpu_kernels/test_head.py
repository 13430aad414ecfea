"""The output layer with its cross entropy, in chunks, against torch's of all logits at once."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_output_layer_equals_torch(dtype: str, smoothing: float, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from torch.nn import functional

    from arkor_dev.local.cpu_kernels import head as module

    monkeypatch.setattr(module, "LOGITS_PER_STEP", 200)  # three of 7 tokens at once, and one at the end
    torch.manual_seed(1)
    head = torch.nn.Linear(16, 60).to(getattr(torch, dtype)).requires_grad_(False)
    given, targets = torch.randn(7, 16).to(head.weight.dtype), torch.randint(60, (7,))
    assert module.can_be_fused(head)
    results = []
    for ours in (True, False):
        hidden = given.clone().requires_grad_()
        if ours:
            loss = module.fused_cross_entropies(hidden, head, targets, smoothing)
        else:
            exact = functional.linear(hidden.float(), head.weight.float(), head.bias.float())
            loss = functional.cross_entropy(exact, targets, reduction="none", label_smoothing=smoothing)
        (loss * torch.arange(-3, 4)).sum().backward()  # each token's loss has a weight of its own
        results.append((loss.detach(), hidden.grad))
    each = module.fused_cross_entropies(given, head, targets, smoothing)
    (loss, gradient), (wanted, right) = results
    assert loss.dtype == torch.float32
    near = 1e-5 if dtype == "float32" else 0.02
    torch.testing.assert_close(loss, wanted, rtol=near, atol=near)
    torch.testing.assert_close(gradient, right, rtol=near, atol=near / 3)
    assert torch.equal(each, loss), "the same without gradients"
    head.weight.requires_grad_(True)
    assert not module.can_be_fused(head)

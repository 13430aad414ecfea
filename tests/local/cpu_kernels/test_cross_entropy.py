"""The summed cross entropy and divergence, and their gradients, against torch's."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_cross_entropy_equals_torch(
    dtype: str, smoothing: float, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from torch.nn import functional

    from arkor_dev.local.cpu_kernels import cross_entropy

    monkeypatch.setattr(
        cross_entropy, "LOGITS_PER_STEP", 200
    )  # three rows of 60 words at once, and one at the end
    chance = torch.Generator().manual_seed(1)
    given = (20 * torch.randn(7, 60, generator=chance)).to(getattr(torch, dtype))
    targets = torch.randint(60, (7,), generator=chance)
    weights = torch.rand(7, generator=chance) if weighted else None
    results = []
    for ours in (True, False):
        logits = given.clone().requires_grad_()
        if ours:
            loss = cross_entropy.summed_cross_entropy(logits, targets, smoothing, weights)
        else:
            each = functional.cross_entropy(
                logits.float(), targets, reduction="none", label_smoothing=smoothing
            )
            loss = (each if weights is None else each * weights).sum()
        (loss / 3).backward()
        assert torch.equal(logits.detach(), given)
        results.append((loss.detach(), logits.grad))
    (loss, gradient), (wanted, exact) = results
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(gradient, exact, rtol=2e-2 if dtype == "bfloat16" else 1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_divergence_equals_torch(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from torch.nn import functional

    from arkor_dev.local.cpu_kernels import cross_entropy

    monkeypatch.setattr(cross_entropy, "LOGITS_PER_STEP", 200)
    chance = torch.Generator().manual_seed(1)
    known, given = (3 * torch.randn(2, 7, 60, generator=chance)).to(getattr(torch, dtype))
    ours, exact = (given.clone().requires_grad_() for _ in range(2))
    loss = cross_entropy.summed_divergence(ours, known)
    (loss / 3).backward()
    there, here = (each.float().log_softmax(1) for each in (known, exact))
    wanted = functional.kl_div(here, there, reduction="sum", log_target=True)
    (wanted / 3).backward()
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(ours.grad, exact.grad, rtol=2e-2 if dtype == "bfloat16" else 1e-4, atol=1e-6)
    assert float(cross_entropy.summed_divergence(known, known)) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_token_losses_equal_torch_in_place(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from torch.nn import functional

    from arkor_dev.local.cpu_kernels import cross_entropy

    monkeypatch.setattr(cross_entropy, "LOGITS_PER_STEP", 200)
    chance = torch.Generator().manual_seed(1)
    given = (20 * torch.randn(7, 60, generator=chance)).to(getattr(torch, dtype))
    targets = torch.randint(60, (7,), generator=chance)
    weights = torch.arange(-3.0, 4.0)
    ours, theirs = given.clone().requires_grad_(), given.clone().requires_grad_()
    losses = cross_entropy.cross_entropies(ours, targets)
    wanted = functional.cross_entropy(theirs.float(), targets, reduction="none")
    assert torch.equal(losses, wanted)
    (losses * weights).sum().backward()
    (wanted * weights).sum().backward()
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=2e-2 if dtype == "bfloat16" else 1e-5, atol=1e-6)
    assert ours.grad.data_ptr() == ours.data_ptr()

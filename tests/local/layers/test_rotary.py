"""The quick rotary positions against the model's own code."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_they_and_their_gradients_are_the_model_s_own(family: str) -> None:
    import importlib

    import torch

    from arkor_dev.local.layers.quicken import _turn_quickly

    namespace = importlib.import_module(f"transformers.models.{family}.modeling_{family}")
    _turn_quickly(namespace)
    quick, own = namespace.apply_rotary_pos_emb, namespace.apply_rotary_pos_emb.replaced
    chance = torch.Generator().manual_seed(1)
    q, k = (torch.randn(2, heads, 5, 8, generator=chance) for heads in (4, 2))
    angles = torch.randn(2, 5, 8, generator=chance)  # unlike a model's, whose halves are equal
    results = []
    for turn in (quick, own):
        given = [each.clone().requires_grad_() for each in (q, k)]
        turned = turn(*given, angles.cos(), angles.sin())
        sum((each * each.detach().roll(1, -1)).sum() for each in turned).backward()
        results.append([*turned, *(each.grad for each in given)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_another_kind_of_rotation_stays_as_it_is() -> None:
    from types import SimpleNamespace

    import torch

    from arkor_dev.local.layers.quicken import _turn_quickly

    def interleaved(q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> object:
        def turned(x: torch.Tensor) -> torch.Tensor:
            other = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
            return x * cos[:, None] + other * sin[:, None]

        return turned(q), turned(k)

    namespace = SimpleNamespace(apply_rotary_pos_emb=interleaved)
    _turn_quickly(namespace)
    assert namespace.apply_rotary_pos_emb is interleaved

"""Base models in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")

from arkor_dev.local.modeling.base_model import load_base

if TYPE_CHECKING:
    from pathlib import Path


def test_the_output_layer_is_not_copied_per_row(tiny: Path) -> None:
    """torch does so with a frozen one, where only the last places are kept: it takes seconds, and 431 MB."""
    import torch

    model = load_base(tiny).model.eval().requires_grad_(False)
    ids = torch.tensor([[5, 6, 7], [8, 9, 10], [11, 12, 13], [14, 15, 16]])
    whole = model.get_output_embeddings().weight
    with torch.no_grad(), torch.profiler.profile(record_shapes=True) as profile:
        logits = model(input_ids=ids, logits_to_keep=1).logits
    shapes = [shape for event in profile.events() for shape in event.input_shapes or ()]
    assert [4, whole.shape[1], whole.shape[0]] not in shapes
    with torch.no_grad():
        assert torch.allclose(logits, model(input_ids=ids).logits[:, -1:], atol=1e-5)

"""A row's gradients, from a batch's backward pass, against autograd on that row alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

import torch

from arkor_dev.local.attribution.projection import SIZE, Projection
from arkor_dev.local.attribution.row_gradients import RowGradients, row_losses
from arkor_dev.local.modeling.base_model import load_base
from arkor_dev.local.training.adapter import adapted
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.plan import AdapterPlan
from arkor_dev.local.workers.errors import JobFailure
from tests.local.tiny_run import made_up

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


def wearing(tiny: Path, **settings: object) -> Any:
    torch.manual_seed(0)
    model = adapted(
        load_base(tiny, as_stored=True).model, "tiny", AdapterPlan.of(EffectiveSettings(settings))
    )
    for weight in model.parameters():  # at the beginning B is zero, and with it every dA
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=0.05)
    return model.eval()


def test_batched_row_gradients_equal_single_ones(tiny: Path) -> None:
    """In the upper half of the layers: the lower one computes none."""
    model, rows = wearing(tiny), made_up(5)
    layers = {name for name, weight in model.named_parameters() if weight.requires_grad}
    gradients = RowGradients(model)
    assert set(gradients.names) == {name for name in layers if ".layers.1." in name}
    assert not any(weight.requires_grad for name, weight in model.named_parameters() if ".layers.0." in name)
    found: dict[int, torch.Tensor] = {}
    losses = gradients(rows, lambda number, each: found.update({number: each}))
    weights = dict(model.named_parameters())
    for place, row in enumerate(rows):
        model.zero_grad()
        loss = row_losses(model, [row]).sum()
        loss.backward()
        assert losses[place] == pytest.approx(float(loss), rel=1e-5)
        for number, name in enumerate(gradients.names):
            alone, split = weights[name].grad, found[number][place]
            assert (split - alone).norm() <= 1e-5 * alone.norm() + 1e-9, name


def test_a_projection_keeps_inner_products(tiny: Path) -> None:
    shapes = [torch.Size((16, 576)), torch.Size((576, 16)), torch.Size((3, 5))]
    chance = torch.Generator().manual_seed(1)
    one, other = ([torch.randn(2, *shape, generator=chance) for shape in shapes] for _ in range(2))
    other = [a + b for a, b in zip(one, other, strict=True)]  # related, as a row and a question may be
    projection, sums = Projection(shapes), []
    for given in (one, other):
        made = torch.zeros(2, SIZE)
        for number, each in enumerate(given):
            projection.add(made, number, each)
        sums.append(made)
    flat = [torch.cat([each.flatten(1) for each in given], 1) for given in (one, other)]
    true, kept = (a @ b.T for a, b in (flat, sums))
    error = (true - kept).abs() / (flat[0].norm(dim=1)[:, None] * flat[1].norm(dim=1))
    assert error.max() < 0.08  # five standard deviations, √(1/4096) each


def test_unsupported_adapters_are_refused(tiny: Path) -> None:
    with pytest.raises(JobFailure, match="DoRA"):
        RowGradients(wearing(tiny, useDora=True))
    with pytest.raises(JobFailure, match="Only adapters of linear layers"):
        RowGradients(wearing(tiny, loraModulesToSave=["lm_head"]))


def test_gradients_are_projected_on_their_device() -> None:
    shapes = [torch.Size((4, SIZE)), torch.Size((3, 5))]
    sums = torch.zeros(2, SIZE, device="meta")
    projection = Projection(shapes, "meta")
    for number, shape in enumerate(shapes):
        projection.add(sums, number, torch.zeros(2, *shape, device="meta"))

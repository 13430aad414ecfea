"""Rows that contradict the rows most like them, by made-up gradients."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from arkor_dev.local.attribution.contradictions import (
    FEWEST,
    UNPROVEN,
    agreement,
    contradictions,
    least_agreeing,
    suspicion,
)

KINDS, EACH, SIZE = 6, 12, 256


def gradients(
    chance: torch.Generator, wrong: list[int], noise: float = 0.7
) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit gradients and losses: rows of a kind share a direction, wrong ones oppose it."""
    kinds = torch.nn.functional.normalize(torch.randn(KINDS, SIZE, generator=chance), dim=-1)
    signs = torch.ones(KINDS * EACH)
    signs[wrong] = -1
    shared = kinds.repeat_interleave(EACH, 0) * signs[:, None]
    other = noise * torch.randn(KINDS * EACH, SIZE, generator=chance) / SIZE**0.5
    losses = torch.rand(KINDS * EACH, generator=chance) + 3 * (signs < 0)
    return torch.nn.functional.normalize(shared + other, dim=-1), losses


def test_contradicting_rows_are_listed() -> None:
    for seed in range(10):
        chance = torch.Generator().manual_seed(seed)
        wrong = [5, 29, 60]
        unit, losses = gradients(chance, wrong)
        found = contradictions(agreement(unit), losses)
        assert sorted(row for row, _ in found) == wrong
        assert all(agrees < 0.1 for _, agrees in found)
        assert set(suspicion(agreement(unit), losses).topk(3).indices.tolist()) == set(wrong)


@pytest.mark.parametrize(("share", "wrong", "listed"), [(0.2, [5], 0), (0.2, [5, 29], 2), (-0.3, [5], 0)])
def test_a_single_opposing_row_is_not_listed(share: float, wrong: list[int], listed: int) -> None:
    unit, losses = gradients(torch.Generator().manual_seed(0), [])
    for row in wrong:  # what it has in common with its kind is that much of it, and the rest its own
        kind = unit[row - row % EACH + 7]
        own = torch.zeros(SIZE)
        own[row] = 1
        unit[row] = torch.nn.functional.normalize(share * kind + (1 - share**2) ** 0.5 * own, dim=-1)
        losses[row] = 5 * losses.median()
    assert len(contradictions(agreement(unit), losses)) == listed


def test_clean_rows_are_not_contradictions() -> None:
    for seed in range(40):
        unit, losses = gradients(torch.Generator().manual_seed(seed), [])
        assert contradictions(agreement(unit), losses) == []


def test_unrelated_rows_are_not_contradictions() -> None:
    for seed in range(40):
        chance = torch.Generator().manual_seed(seed)
        unit = torch.nn.functional.normalize(torch.randn(72, SIZE, generator=chance), dim=-1)
        losses = torch.randn(72, generator=chance).exp()  # some are many times the median
        assert contradictions(agreement(unit), losses) == least_agreeing(agreement(unit)) == []


def test_few_rows_give_no_contradictions() -> None:
    unit, losses = gradients(torch.Generator().manual_seed(0), [1])
    agreements = agreement(unit[: FEWEST - 1])
    assert contradictions(agreements, losses[: FEWEST - 1]) == least_agreeing(agreements) == []


def test_memorized_wrong_rows_are_among_the_least_agreeing() -> None:
    wrong = [5, 29, 60]
    unit, losses = gradients(torch.Generator().manual_seed(0), wrong)
    agreements = agreement(unit)
    assert contradictions(agreements, losses)
    assert contradictions(agreements, losses * 0.02) == []  # below 0.1 nats per token each
    unproven = least_agreeing(agreements)
    assert {row for row, _ in unproven[:3]} == {*wrong}
    assert len(unproven) == UNPROVEN
    assert [agrees for _, agrees in unproven] == sorted(agrees for _, agrees in unproven)

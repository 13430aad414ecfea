"""Texts that are read together say what each says alone, in their order and within the room."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import torch
from transformers import AutoModelForCausalLM

from arkor_dev.local.exports import proof
from arkor_dev.local.exports.proof import BATCH_SIZE, BATCH_TOKENS, Questions, batches
from arkor_dev.local.modeling.example import Example
from tests.local.tiny_run import made_up

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine
TEXTS = 2 * BATCH_SIZE + 3


def asked(count: int = TEXTS) -> Questions:
    return Questions(made_up(count), [], [2], 0, 1024)


def test_batched_texts_have_the_same_outputs(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny).eval()
    told: list[tuple[int, int]] = []
    together = asked().ask(model, lambda done, total: told.append((done, total)))
    assert told == [(0, TEXTS), (BATCH_SIZE, TEXTS), (2 * BATCH_SIZE, TEXTS), (TEXTS, TEXTS)]
    monkeypatch.setattr(proof, "BATCH_SIZE", 1)
    alone = asked().ask(model, lambda *_: None)
    assert len(together.log_probabilities) == len(alone.log_probabilities) == TEXTS
    for one, other, wanted in zip(
        together.log_probabilities, alone.log_probabilities, asked().targets, strict=True
    ):
        assert one.shape == other.shape == (len(wanted), 1024)
        assert torch.allclose(one, other, atol=1e-4)
    assert proof.divergence(alone, together) < 1e-6


def test_long_texts_and_prompts_are_batched_by_their_tokens() -> None:
    texts = [Example([5] * 300, [5] * 300) for _ in range(8)]
    questions = Questions(texts, [], [2], 0, 1024)
    assert [len(group) for group in questions.groups()] == [3, 3, 2]
    prompts = [[5] * length for length in (400, 400, 400, 2000, 9)]
    assert [list(map(len, batch)) for batch in batches(prompts, len, BATCH_TOKENS)] == [
        [400, 400],
        [400],
        [2000],
        [9],
    ]


@pytest.mark.parametrize("places", [1, 20, 45, 10_000])
def test_batches_are_limited_by_memory(monkeypatch: pytest.MonkeyPatch, places: int) -> None:
    questions = asked()
    monkeypatch.setattr(proof, "OUTPUT_BYTES", 4 * 1024 * places)
    groups = questions.groups()
    assert [text for group in groups for text in group] == questions.texts

    def fits(group: list[Any]) -> bool:
        return len(group) <= BATCH_SIZE and len(group) * max(len(text.ids) for text in group) <= places

    assert all(fits(group) or len(group) == 1 for group in groups)
    assert not any(fits([*group, after[0]]) for group, after in pairwise(groups))

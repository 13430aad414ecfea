"""Texts read in batches have the outputs of each alone, in order, and batches are limited by memory."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import pytest

pytest.importorskip("torch")

import torch
from transformers import AutoModelForCausalLM

from arkor_dev.local.exports import proof
from arkor_dev.local.exports.proof import BATCH_SIZE, Questions
from arkor_dev.local.modeling.example import Example
from tests.local.tiny_run import made_up

if TYPE_CHECKING:
    from collections.abc import Sequence
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


class Recorded(Questions):
    """Remembers the batches instead of asking a model."""

    def _read(self, model: Any, texts: Sequence[Example]) -> list[torch.Tensor]:
        model.append(list(texts))
        return [torch.tensor(text.ids) for text in texts]

    def _answers(self, model: Any, prompts: Sequence[list[int]]) -> list[list[int]]:
        model.append(prompts)
        return list(prompts)


def test_long_texts_and_prompts_are_batched_by_their_tokens() -> None:
    texts = [Example([5] * 300, [5] * 300) for _ in range(8)]
    prompts = [[5] * length for length in (400, 400, 9, 2000, 400)]
    batches: list[Any] = []
    outputs = Recorded(texts, prompts, [2], 0, 1024).ask(cast("Any", batches), lambda *_: None)
    assert [len(batch) for batch in batches[:3]] == [3, 3, 2]
    assert [list(map(len, batch)) for batch in batches[3:]] == [[2000], [400, 400], [400, 9]]
    assert outputs.answers == prompts, "in the order of the prompts"


@pytest.mark.parametrize("places", [1, 20, 45, 10_000])
def test_batches_are_limited_by_memory(monkeypatch: pytest.MonkeyPatch, places: int) -> None:
    monkeypatch.setattr(proof, "OUTPUT_BYTES", 4 * 1024 * places)
    questions = Recorded(made_up(TEXTS), [], [2], 0, 1024)
    batches: list[list[Example]] = []
    outputs = questions.ask(cast("Any", batches), lambda *_: None)
    assert [read.tolist() for read in outputs.log_probabilities] == [text.ids for text in questions.texts]

    def fits(batch: list[Example]) -> bool:
        return len(batch) <= BATCH_SIZE and len(batch) * max(len(text.ids) for text in batch) <= places

    assert all(fits(batch) or len(batch) == 1 for batch in batches)
    assert not any(fits([*batch, after[0]]) for batch, after in pairwise(batches))

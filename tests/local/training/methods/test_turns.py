"""Answers of several conversations side by side: the same tokens as one by one, without reading any twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import torch

from arkor_dev.local.evaluation.answers import Stopped
from arkor_dev.local.modeling.kv_cache import Forward
from arkor_dev.local.training.methods.grpo.turns import TokenizedConversation, TurnGenerator
from arkor_dev.local.workers.errors import JobFailure
from tests.local.tiny_run import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.engine

ENDS = (2,)
PROMPTS = [[5, 6, 7, 8], [9, 10, 11, 12, 13, 14, 15], [5, 6, 7, 8], [20, 21]]
LIMITS = [3, 9, 3, 6]
SAID = [[31, 32], [33, 34, 35, 36], [37, 38], [39]]
"""What tools say after the first turn: two of equal length."""


def greedy(logits: Any, _: Sequence[TokenizedConversation]) -> list[int]:
    tokens: list[int] = logits.argmax(-1).tolist()
    return tokens


def alone(model: Any, ids: list[int], limit: int) -> list[int]:
    """The greedy answer to ``ids`` without a cache."""
    answer: list[int] = []
    while len(answer) < limit and not (answer and answer[-1] in ENDS):
        answer.append(int(model(torch.tensor([ids + answer])).logits[0, -1].argmax()))
    return answer


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture
def model(tiny: Path) -> Any:
    return read(tiny).model.eval()


def test_turns_side_by_side_have_the_tokens_of_each_alone(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversations = [TokenizedConversation(index, list(prompt)) for index, prompt in enumerate(PROMPTS)]
    turns = TurnGenerator(model, ENDS, greedy, lambda: False)
    ids = [list(prompt) for prompt in PROMPTS]
    read_tokens: list[int] = []
    plain = Forward.__call__

    def counted(self: Forward, tokens: list[list[int]], *rest: Any, **how: Any) -> Any:
        read_tokens.append(sum(map(len, tokens)))
        return plain(self, tokens, *rest, **how)

    monkeypatch.setattr(Forward, "__call__", counted)
    for said in (SAID, SAID[::-1], []):
        answers = turns.generate(conversations, LIMITS)
        assert answers == [alone(model, before, limit) for before, limit in zip(ids, LIMITS, strict=True)]
        for place, more in enumerate(said):
            ids[place] += [*answers[place], *more]
            conversations[place].unread += more
            assert conversations[place].read + len(conversations[place].unread) == len(ids[place])
    # The same prompt is read once, each later token once, and rows that wait are filler at most as long.
    whole = sum(map(len, ids)) + sum(map(len, answers))
    assert sum(read_tokens) < 1.6 * whole
    assert read_tokens[0] == 4, "two prompts are alike"


def test_what_is_drawn_does_not_depend_on_who_else_is_drawn(model: Any) -> None:
    def noted(logits: Any, conversations: Sequence[TokenizedConversation]) -> list[int]:
        seen.append([(each.index, each.written) for each in conversations])
        return greedy(logits, conversations)

    seen: list[list[tuple[int, int]]] = []
    conversations = [TokenizedConversation(index, list(prompt)) for index, prompt in enumerate(PROMPTS)]
    TurnGenerator(model, ENDS, noted, lambda: False).generate(conversations, [1, 2, 3, 4])
    asked = [pair for step in seen for pair in step]
    assert len(asked) == len(set(asked)), "each number is used once"
    assert {index for index, written in asked if written == 3} <= {3}


def test_a_job_that_must_stop_ends_answers(model: Any) -> None:
    conversations = [TokenizedConversation(0, [5, 6])]
    with pytest.raises(Stopped):
        TurnGenerator(model, ENDS, greedy, lambda: True).generate(conversations, [9])


def test_a_model_without_plain_keys_and_values_is_refused(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "_is_stateful", True, raising=False)
    with pytest.raises(JobFailure, match="choose another model, or train without the environment"):
        TurnGenerator(model, ENDS, greedy, lambda: False)

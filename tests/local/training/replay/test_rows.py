"""Replay: rows that the base model answers itself, mixed into each step against forgetting."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.tiny_run import events_of, losses_of, set_up

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.training.run import Run

pytest.importorskip("torch")
pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
CONFIG: dict[str, Any] = {"maxSteps": 30, "batchSize": 4, "learningRate": 1e-2, "evalSteps": 0}


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def test_the_verdict_asks_other_questions() -> None:
    """Else it would measure what was trained."""
    from arkor_dev.local.evaluation.general import questions
    from arkor_dev.local.training.replay.rows import prompts

    asked = [row.messages[0]["content"] for row in questions()]
    replayed = prompts()
    assert len(set(replayed)) == len(replayed) > 90
    for prompt in replayed:
        for question in asked:
            one, other = set(words(prompt)), set(words(question))
            assert len(one & other) / len(one | other) < 0.6, (prompt, question)


def test_each_step_replays_its_share_and_no_batch_is_larger(tiny: Path, tmp_path: Path) -> None:
    run = set_up(tiny, tmp_path, {**CONFIG, "replay": 0.2, "gradientAccumulationSteps": 2})
    assert run.replay is not None
    counts = [sum(len(batch) for batch in run.replay.batches(step, 8)) for step in range(1, 1001)]
    assert set(counts) == {2}
    counts = [sum(len(batch) for batch in run.replay.batches(step, 3)) for step in range(1, 1001)]
    assert set(counts) == {0, 1}
    assert sum(counts) == pytest.approx(750, abs=60)
    half = set_up(tiny, tmp_path, {**CONFIG, "replay": 0.5, "gradientAccumulationSteps": 2})
    assert half.replay is not None
    for step, batches in zip(range(1, 20), half.steps(), strict=False):
        sizes = [len(batch) for batch in batches if batch[0].replayed]
        assert max(sizes) <= 4
        assert sum(sizes) == sum(len(batch) for batch in batches if not batch[0].replayed)
        again = [row.where for batch in half.replay.batches(step, 8) for row in batch]
        assert again == [row.where for batch in half.replay.batches(step, 8) for row in batch]


def loss_on(run: Run, asked: Any) -> float:
    """How unlikely the base's own answers have become, in nats per token."""
    losses, counts = zip(*run.loss.cross_entropy(asked), strict=True)
    return float(sum(losses) / sum(counts))


def test_what_is_replayed_is_not_forgotten(tiny: Path, tmp_path: Path) -> None:
    """And the rows are learned as well; the loss that is logged is theirs alone."""
    run = set_up(tiny, tmp_path / "replay", {**CONFIG, "replay": 0.5})
    losses = losses_of(run)
    assert run.replay is not None
    asked = run.replay.examples
    assert run.replay.answered
    assert all(0 < row.learned <= 64 for row in asked)
    other = set_up(tiny, tmp_path / "none", CONFIG)
    known = losses_of(other)
    assert losses[0] == pytest.approx(known[0], rel=1e-5)
    assert losses[-1] < 0.7 * losses[0]
    assert loss_on(run, asked) < 0.75 * loss_on(other, asked)


def test_the_answers_are_made_once_a_base(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arkor_dev.local.training.replay import rows

    origin = {"model": "files"}
    config = {**CONFIG, "maxSteps": 4, "replay": 0.5}
    made = set_up(tiny, tmp_path, config, origin=lambda: origin)
    made.run()
    monkeypatch.setattr(rows, "answers", lambda *_: pytest.fail("it was answered again"))
    again = set_up(tiny, tmp_path, config, origin=lambda: origin)
    again.run()
    assert made.replay
    assert again.replay
    assert again.replay.state() == made.replay.state() != []


def test_it_can_be_cancelled_and_paused_while_the_base_answers(tiny: Path, tmp_path: Path) -> None:
    config = {**CONFIG, "replay": 0.5}
    cancelled = set_up(tiny, tmp_path, config)
    cancelled.cancelled = lambda: True
    assert cancelled.run().status == "cancelled"
    paused = set_up(tiny, tmp_path, config)
    paused.pausing = lambda: "asked"
    assert paused.run() == ("paused", {"step": 0, "reason": "asked"})
    for run in (cancelled, paused):
        assert events_of(run).figures("loss") == []

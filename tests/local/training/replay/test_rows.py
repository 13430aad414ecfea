"""Replay: rows that the base model answers itself, mixed into each step against forgetting."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.tiny_run import events_of, losses_of, pause_of, replayed_rows, set_up

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.jobs.atomic_folder import RunOrigin
    from arkor_dev.local.training.run import TrainingLoop

pytest.importorskip("torch")
pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
CONFIG: dict[str, Any] = {"maxSteps": 30, "batchSize": 4, "learningRate": 1e-2, "evalSteps": 0}


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def test_replay_and_verdict_use_different_questions() -> None:
    """Else it would measure what was trained."""
    from arkor_dev.local.evaluation.general import questions
    from arkor_dev.local.training.replay.prompts import prompts

    asked = [row.messages[0]["content"] for row in questions()]
    replayed = prompts()
    assert len(set(replayed)) == len(replayed) > 90
    for prompt in replayed:
        for question in asked:
            one, other = set(words(prompt)), set(words(question))
            assert len(one & other) / len(one | other) < 0.6, (prompt, question)


def test_each_step_replays_its_share(tiny: Path, tmp_path: Path) -> None:
    run = set_up(tiny, tmp_path, {**CONFIG, "replay": 0.2, "gradientAccumulationSteps": 2})
    assert run.replay is not None
    counts = [len(run.replay.chosen(step, 8)) for step in range(1, 1001)]
    assert set(counts) == {2}
    counts = [len(run.replay.chosen(step, 3)) for step in range(1, 1001)]
    assert set(counts) == {0, 1}
    assert sum(counts) == pytest.approx(750, abs=60)
    half = set_up(tiny, tmp_path, {**CONFIG, "replay": 0.5, "gradientAccumulationSteps": 2})
    assert half.replay is not None
    for step, batches in zip(range(1, 20), half.steps(), strict=False):
        own = [[row for row in batch if not row.replayed] for batch in batches]
        assert sum(map(len, batches)) == 2 * sum(map(len, own))
        for batch, rows in zip(batches, own, strict=True):
            most = 1.5 * sum(row.tokens for row in rows)
            assert sum(row.tokens for row in batch) <= most if rows else len(batch) <= 4
        assert half.replay.join(step, [rows for rows in own if rows]) == batches


def loss_on(run: TrainingLoop, asked: Any) -> float:
    """How unlikely the base's own answers have become, in nats per token."""
    losses, counts = zip(*run.loss.cross_entropy(asked), strict=True)
    return float(sum(losses) / sum(counts))


@pytest.mark.ci
def test_replay_prevents_forgetting(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the rows are learned as well; the loss that is logged is theirs alone."""
    from arkor_dev.local.training.objective import Objective

    run = set_up(tiny, tmp_path / "replay", {**CONFIG, "replay": 0.5})
    losses = losses_of(run)
    assert run.replay is not None
    asked = [row for number, row in enumerate(run.replay.examples) if number not in run.replay.waiting]
    assert not run.replay.remaining
    assert all(0 < row.learned <= 64 for row in asked)
    # Only the penalty needs the states before the output layer, on a CPU.
    monkeypatch.setattr(Objective, "before_head", lambda *_: pytest.fail("probed for nothing"))
    other = set_up(tiny, tmp_path / "none", CONFIG)
    known = losses_of(other)
    assert losses[0] == pytest.approx(known[0], rel=1e-5)
    assert losses[-1] < 0.7 * losses[0]
    assert loss_on(run, asked) < 0.75 * loss_on(other, asked)


@pytest.mark.parametrize("replay", [0.0, 0.3], ids=["penalty", "both"])
@pytest.mark.parametrize("held", [False, True], ids=["computed", "held"])
def test_base_kl_adds_the_divergence_from_the_base(
    tiny: Path, tmp_path: Path, replay: float, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the cross entropy of all rows that are learned, here by torch's own functions."""
    import torch
    from torch.nn import functional

    config = {**CONFIG, "gradientAccumulationSteps": 2, "baseKl": 0.7, "replay": replay}
    run = set_up(tiny, tmp_path, config)
    run.begin()
    chance = torch.Generator().manual_seed(1)
    for weight in run.trainable:
        weight.data += 0.3 * torch.randn(weight.shape, generator=chance)
    if held:
        assert run.replay
        assert run.loss.keep_base_states(run.replay.examples, lambda: False)
    batches = next(run.steps())
    others = [row for batch in batches if batch[0].replayed for row in batch]
    own = [row for batch in batches if not batch[0].replayed for row in batch]
    assert len(others) == (3 if replay else 2)
    (updated,) = run.loss.updates(1, batches)
    run.optimizer.zero_grad()
    count = sum(row.weight for row in [*own, *others])
    with monkeypatch.context() as patched:
        if held:  # the base reads no row a second time
            patched.setattr(type(run.model), "disable_adapter", lambda _: pytest.fail("the base ran again"))
        value = run._gradients(updated, count)
    gradients = [weight.grad.clone() for weight in run.trainable]
    figures = run.loss.figures()

    run.optimizer.zero_grad()
    with torch.no_grad(), run.model.disable_adapter():
        known = run.loss.logits(others)[0].log_softmax(1)
    for weight in run.trainable:
        weight.requires_grad_()
    logits, targets = run.loss.logits([*own, *others] if replay else own)
    expected = functional.cross_entropy(logits, targets, reduction="sum") / len(targets)
    logits = run.loss.logits(others)[0].log_softmax(1)
    divergence = functional.kl_div(logits, known, reduction="sum", log_target=True) / len(known)
    (expected + 0.7 * divergence).backward()
    assert figures["baseKl"] == pytest.approx(float(divergence), rel=1e-4)
    for gradient, weight in zip(gradients, run.trainable, strict=True):
        torch.testing.assert_close(gradient, weight.grad, rtol=1e-3, atol=1e-6)
    alone = run.loss.cross_entropy(own)
    assert value == pytest.approx(sum(loss for loss, _ in alone) / count, rel=1e-4)


def test_the_penalty_is_scaled_by_the_share_of_replay_steps(tiny: Path, tmp_path: Path) -> None:
    run = set_up(tiny, tmp_path, {**CONFIG, "batchSize": 2, "baseKl": 0.5})
    assert run.replay is not None
    means = []
    for step in range(1, 401):
        batches = run.replay.join(step, [run.train[:2]])
        tokens = sum(row.learned for batch in batches for row in batch if row.replayed)
        means.append(run.replay.penalty(batches) * tokens)
    assert set(means) == {0.0, 1.0}
    assert sum(means) / len(means) == pytest.approx(0.5, abs=0.1)


def test_base_kl_keeps_the_model_near_its_base(tiny: Path, tmp_path: Path) -> None:
    divergences = {}
    for base_kl in (1e-6, 1.0):
        config = {**CONFIG, "maxSteps": 15, "baseKl": base_kl}
        run = set_up(tiny, tmp_path / str(base_kl), config)
        losses = losses_of(run)
        divergences[base_kl] = events_of(run).figures("baseKl")
        assert losses[-1] < 0.5 * losses[0]
    started = next(fields for name, fields in events_of(run).calls if name == "training.started")
    assert started["metadata"]["figures"] == [
        {"name": "baseKl", "label": "KL from the base", "unit": "nats per token"}
    ]
    assert all(found[0] == pytest.approx(0, abs=1e-5) for found in divergences.values())
    free, held = (sum(found[-5:]) for found in divergences.values())
    assert held < 0.8 * free


def test_replay_answers_are_generated_once_per_base(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arkor_dev.local.training.replay import rows
    from arkor_dev.local.training.run import Saving

    origin: RunOrigin = {"model": "files"}
    config = {**CONFIG, "maxSteps": 4, "replay": 0.5}
    made = set_up(tiny, tmp_path, config, saving=Saving(lambda: origin))
    made.run()
    monkeypatch.setattr(rows, "answers", lambda *_: pytest.fail("it was answered again"))
    # A base answers and is measured alike whatever is made of it.
    again = set_up(tiny, tmp_path, {**config, "baseKl": 0.1}, saving=Saving(lambda: origin))
    again.run()
    assert made.replay
    assert again.replay
    assert again.replay.state() == made.replay.state() != []


def test_own_replay_rows_are_used_unchanged(tiny: Path, tmp_path: Path) -> None:
    run = set_up(tiny, tmp_path, {**CONFIG, "maxSteps": 3, "replay": 0.5, "replayDataset": "own.jsonl"})
    run.run()
    assert run.replay
    tokenizer = run.base.tokenizer
    texts = [tokenizer.decode(example.ids) for example in run.replay.examples]
    rows = replayed_rows()
    answered = {tokenizer.decode(asked): answer for asked, answer in run.replay.state()}
    for row in rows:
        question, answer = (turn["content"] for turn in row.messages)
        (text,) = (text for text in texts if question in text)
        assert bool(answer) == (answer in text if answer else False)
        assert sum(question in prompt for prompt in answered) == (0 if answer else 1)
    assert len(texts) == len(rows)
    assert len(answered) == 6


def test_the_first_step_waits_for_few_replay_answers(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each answer is made once, with the same others, whichever step it was that needed it."""
    from arkor_dev.local.training.replay import rows

    made: list[list[list[int]]] = []
    when: list[int] = []

    def noted(*given: Any) -> Any:
        made.append([list(prompt) for prompt in given[3]])
        when.append(len(events_of(run).figures("loss")))
        return original(*given)

    original: Any = vars(rows)["answers"]
    monkeypatch.setattr(rows, "answers", noted)
    run = set_up(tiny, tmp_path / "whole", {**CONFIG, "replay": 0.2})
    run.run()
    assert run.replay
    whole, steps = list(made), list(when)
    used = {number for step in range(1, 31) for number in run.replay._indices(step, 4)}
    assert [len(batch) for batch in whole] == [4, len(used) - 4]
    assert steps[0] == 0
    assert all(step > 2 for step in steps[1:])
    assert not run.replay.remaining
    made.clear()
    again = set_up(tiny, tmp_path / "resumed", {**CONFIG, "replay": 0.2})
    assert again.replay
    again.replay.load_state(
        [(prompt, answer if prompt in whole[0] else None) for prompt, answer in run.replay.state()],
        again.plan,
    )
    again.run()
    assert made == whole[1:]
    assert again.replay.state() == run.replay.state()


def test_verdict_questions_are_not_replayed() -> None:
    """Nor what is nearly the same."""
    from arkor_dev.local.evaluation.general import questions
    from arkor_dev.local.training.replay.prompts import built_in, without_near_duplicates

    asked, (held_out, *own) = questions()[:2], replayed_rows()
    again = replace(asked[0], messages=[asked[0].messages[0], {"role": "assistant", "content": ""}])
    changed = f"{asked[1].messages[0]['content']} "
    nearly = replace(asked[1], messages=[{"role": "user", "content": changed}, asked[1].messages[1]])
    assert without_near_duplicates([again, *own, nearly, held_out], [held_out]) == own
    assert without_near_duplicates(built_in(), own) == built_in()


def test_generation_of_replay_answers_can_be_cancelled_and_paused(tiny: Path, tmp_path: Path) -> None:
    config = {**CONFIG, "replay": 0.5}
    cancelled = set_up(tiny, tmp_path, config)
    cancelled.stop.cancelled = lambda: True
    assert cancelled.run().status == "cancelled"
    paused = set_up(tiny, tmp_path, config)
    paused.stop.pausing = lambda: "asked"
    assert pause_of(paused.run()) == {"type": "training.paused", "step": 0, "reason": "asked"}
    for run in (cancelled, paused):
        assert events_of(run).figures("loss") == []

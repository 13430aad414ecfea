"""Training by rewards: TRL's loss and gradients, the same bits after a pause, and it learns."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import torch

from arkor_dev.data.prompts import PROMPTS
from arkor_dev.data.row_parser import row_of
from arkor_dev.local.modeling.example import IGNORED
from arkor_dev.local.modeling.tokenizer import load_tokenizer
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.methods.grpo.loss import GrpoLoss
from arkor_dev.local.training.methods.sampling import AnswerSampler
from arkor_dev.local.training.rows.encoding import Encoding
from arkor_dev.local.training.run import TrainingLoop
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.teacher import asker
from tests.local.harness import until
from tests.local.tiny_model import PHRASE, QUESTIONS, write_jsonl
from tests.local.tiny_run import events_of, pause_of, set_up
from tests.local.training.test_going_on import bytes_of, pausing_after, points
from tests.support.in_ci import in_ci
from tests.support.scripted_teacher import Said, scripted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from arkor_dev.local.checkpoints.resume_points import ResumePlan
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.greedy import GreedyAnswer
    from tests.local.harness import Backend

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]

SCORES = """
def varied(question, answer, wanted):
    return len(answer) * 7 % 11 / 10


def vowels(question, answer, wanted, columns):
    return columns["weight"] * sum(letter in "aeiou" for letter in answer) / max(1, len(answer))


def partly(question, answer, wanted, columns):
    return varied(question, answer, wanted) if columns["place"] < 2 else 0


def nothing(question, answer, wanted):
    return 0.5


def throws(question, answer, wanted):
    if "contract" in question:
        raise ValueError("no score for this")
    return 1


def hangs(question, answer, wanted):
    import time
    while True:
        time.sleep(1)


def greedy(question, answer, wanted):
    return len(bytearray(3 << 30))


def text(question, answer, wanted):
    return "many"


def chance(question, answer, wanted):
    import random
    return random.random()
"""
CONFIG: dict[str, Any] = {
    "method": "grpo", "maxSteps": 4, "batchSize": 2, "learningRate": 1e-2, "loggingSteps": 1,
    "numGenerations": 4, "maxCompletionLength": 8, "lrSchedulerType": "constant", "maxGradNorm": 0,
}  # fmt: skip
PARTLY = {"name": "partly", "path": "data/rows.jsonl", "metric": "scores:partly"}
NOTHING = {"name": "nothing", "path": "data/rows.jsonl", "metric": "scores:nothing"}
VARIED = {"name": "varied", "path": "data/rows.jsonl", "metric": "scores:varied"}
VOWELS = {"name": "vowels", "path": "data/rows.jsonl", "metric": "scores:vowels"}


def examples(tiny: Path, count: int = 6) -> list[Example]:
    rows = [
        {"prompt": asked, "answer": "yes", "weight": 2, "place": place}
        for place, asked in enumerate(QUESTIONS[:count])
    ]
    read = [row_of(row, f"line {place}", None, {}, forms=PROMPTS) for place, row in enumerate(rows, 1)]
    return method("grpo").encode_all(load_tokenizer(tiny), read, Encoding(256), lambda _: None)[0]


FORMAT = {
    "name": "format",
    "path": "data/prompts.jsonl",
    "metric": "json_schema",
    "schema": {"type": "object", "required": ["ok"]},
}


def run_of(
    tiny: Path,
    folder: Path,
    sets: list[dict[str, Any]],
    prompts: int = 6,
    held_out: int = 0,
    resume_plan: ResumePlan | None = None,
    **config: Any,
) -> TrainingLoop:
    folder.mkdir(exist_ok=True)
    (folder / "scores.py").write_text(SCORES)
    facts: dict[str, Any] = {"train": examples(tiny, prompts), "method": method("grpo"), "job_id": "job"}
    facts["resume_plan"] = resume_plan
    return set_up(tiny, folder, {**CONFIG, **config}, held_out, sets=sets, project=folder, **facts)


def stirred(run: TrainingLoop) -> TrainingLoop:
    """Begin, with an adapter that differs from its start."""
    run.begin()
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in run.trainable:
            weight.add_(0.02 * torch.randn_like(weight))
    return run


def end_some_answers(monkeypatch: pytest.MonkeyPatch, end: int) -> None:
    """Let every other answer end by itself, some tokens earlier: an untrained model's never do."""
    sampled = AnswerSampler.sampled

    def ended(*arguments: Any) -> list[GreedyAnswer]:
        return [
            answer
            if index % 2
            else replace(answer, ids=answer.ids[: 3 + index // 2], truncated=False, end=end)
            for index, answer in enumerate(sampled(*arguments))
        ]

    monkeypatch.setattr(AnswerSampler, "sampled", ended)


def compare_with_trl(
    ours: TrainingLoop,
    tiny: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    weights: Sequence[float],
) -> list[Any]:
    """Check that a step on two prompts has TRL's reward, losses and gradients; return all its rollouts.

    TRL gets the rollouts' tokens, which of them were sampled, and their scores, which count with ``weights``.
    """
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer
    from trl.rewards import get_soft_overlong_punishment

    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    config = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    theirs = get_peft_model(model, config)
    before = {name: weight.detach().clone() for name, weight in ours.model.named_parameters()}

    prompts: list[Any] = list(ours.train[:2])
    rollouts: list[Any] = []  # also those that are masked
    judged = GrpoLoss.judged

    def recorded(loss: GrpoLoss, groups: Any) -> Any:
        rollouts.extend(rollout for group in groups for rollout in group)
        return judged(loss, groups)

    monkeypatch.setattr(GrpoLoss, "judged", recorded)
    found: list[float] = []
    gradients: list[dict[str, Any]] = []
    for batches in ours.loss.updates(1, [prompts]):
        ours.optimizer.param_groups[0]["lr"] = CONFIG["learningRate"]
        found.append(ours.learn(*batches))
        gradients.append(
            {name: w.grad.clone() for name, w in ours.model.named_parameters() if w.requires_grad}
        )
    ours.loss.close()
    assert len(rollouts) == 8
    assert len({each.reward for each in rollouts}) > 3, "rewards differ"
    written = {
        place: [each for each in rollouts if each.prompt is prompt] for place, prompt in enumerate(prompts)
    }

    def told(asked: list[str], trainer: Any) -> dict[str, Any]:
        counts = dict.fromkeys(written, 0)
        given = []
        for place in map(int, asked):
            given.append(written[place][counts[place]])
            counts[place] += 1
        starts = [next(at for at, label in enumerate(each.labels) if label != IGNORED) for each in given]
        parts = list(zip(given, starts, strict=True))
        return {
            "prompt_ids": [each.ids[:start] for each, start in parts],
            "completion_ids": [each.ids[start:] for each, start in parts],
            "env_mask": [[int(label != IGNORED) for label in each.labels[start:]] for each, start in parts],
            "logprobs": None,
            "ours": given,
        }

    seen: list[dict[str, Any]] = []

    class Recording(GRPOTrainer):  # type: ignore[misc]
        def training_step(self, *given: Any, **more: Any) -> Any:
            loss = super().training_step(*given, **more)
            seen.append(
                {name: w.grad.clone() for name, w in self.model.named_parameters() if w.requires_grad}
            )
            return loss

    def scores(number: int) -> Any:
        def score(ours: list[Any], **_: Any) -> list[float]:
            return [each.scores[number] for each in ours]

        score.__name__ = f"reward{number}"
        return score

    cache = settings.get("softPunishCache")
    trainer = Recording(
        model=theirs,
        reward_funcs=[
            *map(scores, range(len(weights))),
            *([get_soft_overlong_punishment(8, cache)] if cache else []),
        ],
        rollout_func=told,
        train_dataset=Dataset.from_list([{"prompt": str(place)} for place in written]),
        processing_class=AutoTokenizer.from_pretrained(tiny),
        args=GRPOConfig(
            output_dir=str(folder / "trl"),
            max_steps=settings.get("numIterations", 1),
            per_device_train_batch_size=8,
            num_generations=4,
            num_iterations=settings.get("numIterations", 1),
            max_completion_length=settings.get("maxEpisodeTokens", 8),
            temperature=settings.get("temperature", 1.0),
            beta=settings.get("beta", 0.0),
            epsilon=settings.get("epsilon", 0.2),
            epsilon_high=settings.get("epsilonHigh"),
            importance_sampling_level=settings.get("importanceSamplingLevel", "token"),
            mask_truncated_completions=settings.get("maskTruncatedCompletions", False),
            loss_type=settings["lossType"],
            scale_rewards=settings.get("scaleRewards", "group"),
            reward_weights=[*weights, *([1] if cache else [])],
            learning_rate=CONFIG["learningRate"],
            lr_scheduler_type="constant",
            max_grad_norm=0,
            optim="adamw_torch",
            weight_decay=0.0,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            disable_tqdm=True,
        ),
    )
    with torch.no_grad():  # which has kept the start, as its reference
        for name, weight in theirs.named_parameters():
            if name in before:
                weight.copy_(before[name])
    trainer.train()
    wanted = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert found == pytest.approx(wanted, abs=1e-5)
    reward, *_ = [row["reward"] for row in trainer.state.log_history if "reward" in row]
    assert reward == pytest.approx(sum(each.reward for each in rollouts) / len(rollouts), abs=1e-5)
    assert len(seen) == len(gradients) == len(wanted)
    for one, other in zip(gradients, seen, strict=True):
        for name, gradient in one.items():
            torch.testing.assert_close(gradient, other[name], atol=1e-5, rtol=1e-4)
    return rollouts


@pytest.mark.numeric
@pytest.mark.parametrize(
    "settings",
    [
        {"lossType": "dapo", "beta": 0.1},
        {"lossType": "grpo", "scaleRewards": "batch"},
        {"lossType": "bnpo", "scaleRewards": "none", "numIterations": 2, "epsilon": 0.001},
        {"lossType": "dr_grpo", "temperature": 0.7},
        {
            "lossType": "dapo",
            "numIterations": 2,
            "epsilon": 0.001,
            "epsilonHigh": 0.002,
            "softPunishCache": 5,
        },
        {
            "lossType": "grpo",
            "numIterations": 2,
            "epsilon": 1e-4,
            "epsilonHigh": 2e-4,
            "beta": 0.1,
            "importanceSamplingLevel": "sequence",
        },
        in_ci(
            {"lossType": "dapo", "numIterations": 2, "epsilon": 1e-4, "importanceSamplingLevel": "sequence"}
        ),
        {"lossType": "dapo", "maskTruncatedCompletions": True, "beta": 0.1},
        in_ci({"lossType": "grpo", "maskTruncatedCompletions": True, "importanceSamplingLevel": "sequence"}),
        {"lossType": "bnpo", "maskTruncatedCompletions": True, "softPunishCache": 8},
        in_ci({"lossType": "dr_grpo", "maskTruncatedCompletions": True, "scaleRewards": "none"}),
    ],
    ids=lambda settings: " ".join(map(str, settings.values())),
)
def test_grpo_losses_and_gradients_equal_trl(
    settings: dict[str, Any], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_some_answers(monkeypatch, load_tokenizer(tiny).eos_token_id)
    ours = stirred(run_of(tiny, tmp_path, [VARIED, VOWELS], rewardWeights=[1, -0.5], **settings))
    rollouts = compare_with_trl(ours, tiny, tmp_path, monkeypatch, settings, [1, -0.5])
    assert 0 < sum(each.truncated for each in rollouts) < 8


@pytest.mark.ci
def test_a_paused_grpo_run_resumes_to_the_same_bits(tiny: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    how: dict[str, Any] = {"beta": 0.05, "numIterations": 2}
    run = run_of(tiny, whole, [VARIED, VOWELS], **how)
    assert run.run().status == "completed"
    first = run_of(tiny, parts, [VARIED, VOWELS], **how)
    pausing_after(2)(first)
    assert first.run().status == "paused"
    second = run_of(tiny, parts, [VARIED, VOWELS], resume_plan=points(parts), **how)
    assert second.run().status == "completed"
    assert bytes_of(parts) == bytes_of(whole)

    calls = events_of(run).calls
    started = next(fields["metadata"] for name, fields in calls if name == "training.started")
    assert started["measure"]["name"] == "reward"
    labels = [figure["label"] for figure in started["figures"]]
    assert labels[0] == "Mean reward"
    assert labels[-4:] == ["varied", "Spread of varied", "vowels", "Spread of vowels"]
    logged = [fields for name, fields in calls if name == "training.log"]
    assert {figure["name"] for figure in started["figures"]} <= logged[0].keys()
    assert logged[0]["reward"] == pytest.approx(logged[0]["reward1"] + logged[0]["reward2"])
    assert 0 < logged[0]["completionLength"] <= 8
    assert logged[0]["entropy"] > 0
    told = [fields for name, fields in calls if name == "rollouts.created"]
    assert [fields["step"] for fields in told] == [1, 2, 3, 4]
    rollouts = told[0]["rollouts"]
    assert len(rollouts) == 5
    assert [each["reward"] for each in rollouts] == sorted(each["reward"] for each in rollouts)
    assert rollouts[0]["rewards"].keys() == {"varied", "vowels"}
    assert rollouts[0]["prompt"] in QUESTIONS


def test_prompts_without_signal_are_replaced(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only two of six prompts get different rewards: each step finds them, and a resumed run the same."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    how: dict[str, Any] = {"maxResampleTimes": 5, "batchSize": 1}
    learned: list[set[str]] = []
    judged = GrpoLoss.judged

    def recording(loss: GrpoLoss, groups: Any) -> Any:
        learned.append({rollout.where for group in groups for rollout in group})
        return judged(loss, groups)

    monkeypatch.setattr(GrpoLoss, "judged", recording)
    run = run_of(tiny, whole, [PARTLY], **how)
    assert run.run().status == "completed"
    assert len(learned) == 4
    assert set().union(*learned) <= {"line 1", "line 2"}
    logged = [fields for name, fields in events_of(run).calls if name == "training.log"]
    assert sum(fields["replaced"] for fields in logged) > 0
    for fields in logged:  # one prompt per step
        drawn = 1 + fields["replaced"]
        assert fields["noSignal"] == pytest.approx(fields["replaced"] / drawn)

    first = run_of(tiny, parts, [PARTLY], **how)
    pausing_after(2)(first)
    assert first.run().status == "paused"
    assert run_of(tiny, parts, [PARTLY], resume_plan=points(parts), **how).run().status == "completed"
    assert bytes_of(parts) == bytes_of(whole)


def test_replacing_prompts_is_bounded(tiny: Path, tmp_path: Path) -> None:
    """No prompt has any signal: each is tried once, and the step takes place without."""
    run = run_of(tiny, tmp_path, [NOTHING], maxResampleTimes=2, maxSteps=1)
    assert run.run().status == "completed"
    logged = next(fields for name, fields in events_of(run).calls if name == "training.log")
    assert (logged["replaced"], logged["noSignal"]) == (4, 1), "all six prompts, in steps of two"
    run = run_of(tiny, tmp_path / "fewer", [NOTHING], prompts=3, maxResampleTimes=20, maxSteps=1)
    assert run.run().status == "completed"
    logged = next(fields for name, fields in events_of(run).calls if name == "training.log")
    assert logged["replaced"] == 1, "no prompt is drawn twice in a step"


def test_a_step_of_masked_answers_has_no_gradient(tiny: Path, tmp_path: Path) -> None:
    run = run_of(tiny, tmp_path, [VARIED], maskTruncatedCompletions=True, maxCompletionLength=2)
    run = stirred(run)
    prompts: list[Any] = list(run.train[:2])
    (batches,) = run.loss.updates(1, [prompts])
    assert run.learn(*batches) == 0
    gradients = [weight.grad for weight in run.trainable]
    assert all(gradient is not None and not gradient.any() for gradient in gradients)
    run.loss.close()


@pytest.mark.parametrize("evaluating", [False, in_ci(True)], ids=["in a step", "in an evaluation"])
def test_a_job_pauses_without_its_judge_and_resumes_to_the_same_bits(
    evaluating: bool, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asker, "PAUSES", (0.01,))
    gone = False

    def script(_: int, body: dict[str, Any]) -> Said:
        if gone:
            return Said(status=503)
        answer = json.loads(body["messages"][1]["content"])["answer"]
        return Said([{"score": sum(map(ord, answer)) % 11}])

    def judged(folder: Path, **more: Any) -> TrainingLoop:
        judge = {"teacher": judge_server.url, "model": "wise"}
        own = {"name": "helpful", "path": "x", "metric": "rubric", "rubric": "Good.", "judge": judge}
        run = run_of(tiny, folder, [{**own, "range": [0, 10]}], held_out=2, evalSteps=2, **more)
        run.held_out = run.train[:2]
        return run

    with scripted(script) as judge_server:
        whole = judged(tmp_path / "whole")
        assert whole.run().status == "completed"
        requests = len(judge_server.bodies)
        evaluate, updates = TrainingLoop.evaluate, GrpoLoss.updates

        def leave(run: Any, *arguments: Any) -> Any:
            nonlocal gone
            gone = run.step == 2 if evaluating else arguments[0] == 3
            return evaluate(run) if evaluating else updates(run, *arguments)

        owner, name = (TrainingLoop, "evaluate") if evaluating else (GrpoLoss, "updates")
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, leave)
            first = judged(tmp_path / "parts")
            paused = pause_of(first.run())
        assert (paused["step"], paused["reason"]) == (2, "judge")
        assert "The judge of helpful gives no scores: 127.0.0.1" in paused["message"]
        gone = False
        busy = len(judge_server.bodies)
        second = judged(tmp_path / "parts", resume_plan=points(tmp_path / "parts"))
        assert second.run().status == "completed"
        assert len(judge_server.bodies) - busy < requests, "scores of the first steps are not asked for again"
    assert bytes_of(tmp_path / "parts") == bytes_of(tmp_path / "whole")
    measured = [events_of(run).figures("evalReward") for run in (whole, first, second)]
    assert measured[0] == measured[1] + measured[2], "each evaluation took place once"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("throws", r"line \d: the reward bad has no score .*ValueError: no score for this"),
        ("text", r"line \d: the reward bad has no score .*must be a finite number"),
        ("greedy", r"line \d: the reward bad has no score .*more than 2 GiB of memory"),
        ("hangs", r"line \d: the reward bad has no score .*took longer than 2 s"),
    ],
)
def test_a_missing_reward_fails_the_job_with_its_row(
    name: str, says: str, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arkor_dev.local.evaluation import own_set_scores

    monkeypatch.setattr(own_set_scores, "SECONDS", 2.0)
    run = run_of(tiny, tmp_path, [{"name": "bad", "path": "x", "metric": f"scores:{name}"}])
    with pytest.raises(JobFailure, match=says):
        run.run()


def test_a_forecast_counts_every_sampled_answer(tiny: Path, tmp_path: Path) -> None:
    run = run_of(tiny, tmp_path, [VARIED], numIterations=2)
    run.begin()
    rows = run.train[:2]
    width = max(len(row.ids) for row in rows)
    assert run.loss.writes(rows, learning=True) == [(width, 8, 8)]
    assert run.loss.writes(rows, learning=False) == [(width, 2, 8)]
    resampling = run_of(tiny, tmp_path, [VARIED], maxResampleTimes=3)
    resampling.begin()
    assert resampling.loss.writes(rows, learning=True) == [(width, 32, 8)], "the most that it can take"
    resampling.loss.close()
    learned = [each for batch in run.loss.expected([rows]) for each in batch]
    assert len(learned) == 2 * 4 * 2
    assert sum(each.tokens for each in learned) == 2 * run.loss.reads(rows)
    assert all(each.learned == 8 for each in learned)


def test_unsuitable_rewards_are_refused() -> None:
    from arkor_dev.local.training.job_settings import EffectiveSettings

    loss = {"name": "plain", "path": "x"}
    for config, says in (
        ({"evaluations": [loss]}, "grpo needs a reward"),
        ({"evaluations": [VARIED, loss], "rewardFuncs": ["plain"]}, "called plain. Available: varied"),
        ({"evaluations": [VARIED], "rewardWeights": [1, 2]}, "2 weights for 1 rewards"),
        ({"evaluations": [VARIED], "packing": True}, "remove packing"),
    ):
        with pytest.raises(JobFailure, match=says):
            method("grpo").check(EffectiveSettings({"method": "grpo", **config}))
    method("grpo").check(EffectiveSettings({"method": "grpo", "evaluations": [VARIED, loss]}))


def test_a_step_paused_while_sampling_is_repeated(tiny: Path, tmp_path: Path) -> None:
    run = run_of(tiny, tmp_path, [VARIED], saveSteps=2)
    asked = 0

    def pausing() -> str | None:
        nonlocal asked
        asked += 1
        return "asked" if asked > 4 else None  # while it writes

    run.stop.pausing = pausing
    assert pause_of(run.run())["step"] == 0


def test_grpo_learns_an_answer_format(tiny: Path, tmp_path: Path) -> None:
    """From a model that does so in one of eight answers."""
    rows = [
        {"prompt": asked, "completion": PHRASE if place % 8 else '{"ok": 1}'}
        for place, asked in enumerate(QUESTIONS)
    ]
    read = [row_of(row, "row", None, {}) for row in rows]
    train = method("sft").encode_all(load_tokenizer(tiny), read, Encoding(256), lambda _: None)[0]
    (tmp_path / "before").mkdir()
    config = {"maxSteps": 40, "batchSize": 8, "learningRate": 1e-2}
    before = set_up(tiny, tmp_path / "before", config, train=train, job_id="job", method=method("sft"))
    assert before.run().status == "completed"
    (weights,) = (tmp_path / "before").rglob("adapter_model.safetensors")

    how: dict[str, Any] = {
        "maxSteps": 8,
        "batchSize": 4,
        "numGenerations": 8,
        "maxCompletionLength": 16,
        "learningRate": 5e-3,
    }
    run = run_of(tiny, tmp_path / "after", [FORMAT], prompts=len(QUESTIONS), **how)
    run.parent = weights.parent
    assert run.run().status == "completed"
    rewards = events_of(run).figures("reward")
    assert rewards[0] < 0.2
    assert sum(rewards[-3:]) / 3 > 0.8


def test_a_grpo_job_is_forecast_and_judged_by_its_reward(shared: Backend, shared_project: Path) -> None:
    write_jsonl(shared_project / "data" / "prompts.jsonl", [{"prompt": asked} for asked in QUESTIONS[:20]])
    (shared_project / "scores.py").write_text(SCORES)
    config = {
        "method": "grpo",
        "model": "./models/tiny",
        "datasetSource": {"type": "file", "path": "data/prompts.jsonl"},
        "evaluations": [FORMAT, {"name": "luck", "path": "data/prompts.jsonl", "metric": "scores:chance"}],
        "rewardFuncs": ["luck"],
        "datasetSplit": 0.3,
        "maxSteps": 3,
        "evalSteps": 3,
        "batchSize": 2,
        "numGenerations": 4,
        "maxCompletionLength": 8,
        "samples": "off",
        "numberFormat": "float32",
    }
    forecast = until(lambda: measured_forecast(shared, config), 120)
    job = shared.submit(config)
    frames = list(shared.events(job))
    assert shared.job(job)["status"] == "completed", frames[-1].data
    assert forecast["tokens"] > 0

    logged = [frame.json for frame in frames if frame.event == "training.log"]
    evaluation = next(frame.json["evaluation"] for frame in frames if frame.event == "evaluation.completed")
    task = evaluation["heldOut"]
    assert task["measure"] == {"label": "Mean reward", "unit": "", "higher": True}
    assert 0 < task["base"] < 1
    assert 0 < task["adapter"] < 1
    assert "mean reward 0." in task["sentence"]
    assert task["verdict"] not in ("better", "worse"), "chance is no difference"
    assert [part["name"] for part in evaluation["sets"]] == ["format", "luck"]
    assert 0 < logged[-1]["evalReward"] < 1
    # What is lowered is a negative reward, which nobody should read as a loss.
    assert not any("evalLoss" in row for row in logged)
    assert not {"evalLoss", "bestEvalLoss"} & set(shared.job(job)["metrics"])
    assert evaluation["bestStep"] == config["maxSteps"]
    rows = shared.call("GET", f"/v1/jobs/{job}/evaluation").json["rows"]
    assert all(isinstance(row["adapterAnswer"], str) and 0 <= row["base"] <= 1 for row in rows)


def test_a_judge_rewards_a_job_and_measures_its_verdict(shared: Backend, shared_project: Path) -> None:
    """In the backend's worker, which first pauses; and an evaluation by rubric that is no reward."""
    write_jsonl(shared_project / "data" / "prompts.jsonl", [{"prompt": asked} for asked in QUESTIONS[:12]])

    def script(_: int, body: dict[str, Any]) -> Said:
        answer = json.loads(body["messages"][1]["content"])["answer"]
        return Said([{"reason": "Length.", "score": len(answer) % 7 / 7}])

    with scripted(script) as judge:
        own = {"path": "data/prompts.jsonl", "metric": "rubric", "rubric": "Odd lengths are good."}
        known = {"teacher": judge.url, "model": "wise"}
        config = {
            "method": "grpo",
            "model": "./models/tiny",
            "datasetSource": {"type": "file", "path": "data/prompts.jsonl"},
            "evaluations": [
                {**own, "name": "odd", "judge": known},
                {**own, "name": "paid", "rubric": "x", "judge": {**known, "budgetRequests": 1}},
            ],
            "rewardFuncs": ["odd"],
            "datasetSplit": 0.3,
            "maxSteps": 2,
            "evalSteps": 2,
            "batchSize": 2,
            "numGenerations": 4,
            "maxCompletionLength": 8,
            "samples": "off",
            "numberFormat": "float32",
        }
        judge.script = lambda *_: Said(status=401, text="no such key")
        job = shared.submit(config)
        until(lambda: shared.job(job)["status"] == "paused", 120)
        pause = shared.job(job)["pause"]
        assert (pause["step"], pause["reason"]) == (0, "judge")
        assert "The judge of odd gives no scores: 127.0.0.1" in pause["message"]
        assert "refuses the request (401: no such key)" in pause["message"]
        judge.script = script
        assert shared.call("POST", f"/v1/jobs/{job}/resume", {}).status == 200
        frames = list(shared.events(job))
    assert shared.job(job)["status"] == "completed", frames[-1].data
    evaluation = next(frame.json["evaluation"] for frame in frames if frame.event == "evaluation.completed")
    assert 0 < evaluation["heldOut"]["adapter"] < 1
    (part,) = evaluation["sets"]
    assert (part["name"], part["metric"], part["rows"]) == ("odd", "rubric", 12)
    assert part["difference"]["low"] <= part["difference"]["mean"] <= part["difference"]["high"]
    assert "mean score" in part["sentence"]
    told = [frame.json["message"] for frame in frames if frame.event == "training.message"]
    assert any("evaluation paid could not be made" in text and "1 request" in text for text in told), told


def measured_forecast(backend: Backend, config: dict[str, Any]) -> Any:
    found = backend.call("POST", "/v1/forecast", {"config": config}).json["forecast"]
    assert found["state"] != "failed", found
    return found if found["state"] == "measured" else None

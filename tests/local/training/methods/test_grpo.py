"""Training by rewards: TRL's loss and gradients, the same bits after a pause, and it learns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import torch

from arkor_dev.data.prompts import PROMPTS
from arkor_dev.data.row_parser import row_of
from arkor_dev.local.modeling.tokenizer import load_tokenizer
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.rows.encoding import Encoding
from arkor_dev.local.workers.errors import JobFailure
from tests.local.harness import until
from tests.local.tiny_model import PHRASE, QUESTIONS, write_jsonl
from tests.local.tiny_run import events_of, pause_of, set_up
from tests.local.training.test_going_on import bytes_of, pausing_after, points

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.run import TrainingLoop
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
VARIED = {"name": "varied", "path": "data/rows.jsonl", "metric": "scores:varied"}
VOWELS = {"name": "vowels", "path": "data/rows.jsonl", "metric": "scores:vowels"}


def examples(tiny: Path, count: int = 6) -> list[Example]:
    rows = [{"prompt": asked, "answer": "yes", "weight": 2} for asked in QUESTIONS[:count]]
    read = [row_of(row, f"line {place}", None, {}, forms=PROMPTS) for place, row in enumerate(rows, 1)]
    return method("grpo").encode_all(load_tokenizer(tiny), read, Encoding(256), lambda _: None)[0]


FORMAT = {
    "name": "format",
    "path": "data/prompts.jsonl",
    "metric": "json_schema",
    "schema": {"type": "object", "required": ["ok"]},
}


def run_of(
    tiny: Path, folder: Path, sets: list[dict[str, Any]], prompts: int = 6, **config: Any
) -> TrainingLoop:
    folder.mkdir(exist_ok=True)
    (folder / "scores.py").write_text(SCORES)
    facts: dict[str, Any] = {"train": examples(tiny, prompts), "method": method("grpo"), "job_id": "job"}
    return set_up(tiny, folder, {**CONFIG, **config}, sets=sets, project=folder, **facts)


def stirred(run: TrainingLoop) -> TrainingLoop:
    """Begin, with an adapter that differs from its start."""
    run.begin()
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in run.trainable:
            weight.add_(0.02 * torch.randn_like(weight))
    return run


@pytest.mark.numeric
@pytest.mark.parametrize(
    "settings",
    [
        {"lossType": "dapo", "beta": 0.1},
        {"lossType": "grpo", "scaleRewards": "batch"},
        {"lossType": "bnpo", "scaleRewards": "none", "numIterations": 2, "epsilon": 0.001},
        {"lossType": "dr_grpo", "temperature": 0.7},
    ],
    ids=lambda settings: settings["lossType"],
)
def test_grpo_losses_and_gradients_equal_trl(settings: dict[str, Any], tiny: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    ours = stirred(run_of(tiny, tmp_path, [VARIED, VOWELS], rewardWeights=[1, -0.5], **settings))
    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    config = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    theirs = get_peft_model(model, config)
    before = {name: weight.detach().clone() for name, weight in ours.model.named_parameters()}

    prompts: list[Any] = list(ours.train[:2])
    found: list[float] = []
    gradients: list[dict[str, Any]] = []
    for batches in ours.loss.updates(1, [prompts]):
        ours.optimizer.param_groups[0]["lr"] = CONFIG["learningRate"]
        found.append(ours.learn(*batches))
        gradients.append(
            {name: w.grad.clone() for name, w in ours.model.named_parameters() if w.requires_grad}
        )
    ours.loss.close()
    rollouts: list[Any] = [row for batch in batches for row in batch]
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
        learned = [each.ids[len(each.prompt.ids) :] for each in given]
        return {
            "prompt_ids": [each.prompt.ids for each in given],
            "completion_ids": learned,
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

    trainer = Recording(
        model=theirs,
        reward_funcs=[scores(0), scores(1)],
        rollout_func=told,
        train_dataset=Dataset.from_list([{"prompt": str(place)} for place in written]),
        processing_class=AutoTokenizer.from_pretrained(tiny),
        args=GRPOConfig(
            output_dir=str(tmp_path / "trl"),
            max_steps=settings.get("numIterations", 1),
            per_device_train_batch_size=8,
            num_generations=4,
            num_iterations=settings.get("numIterations", 1),
            max_completion_length=8,
            temperature=settings.get("temperature", 1.0),
            beta=settings.get("beta", 0.0),
            epsilon=settings.get("epsilon", 0.2),
            loss_type=settings["lossType"],
            scale_rewards=settings.get("scaleRewards", "group"),
            reward_weights=[1, -0.5],
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
    assert len(seen) == len(gradients) == len(wanted)
    for one, other in zip(gradients, seen, strict=True):
        for name, gradient in one.items():
            torch.testing.assert_close(gradient, other[name], atol=1e-5, rtol=1e-4)


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
    learned = [each for batch in run.loss.expected([rows]) for each in batch]
    assert len(learned) == 2 * 4 * 2
    assert sum(each.tokens for each in learned) == 2 * run.loss.reads(rows)
    assert all(each.learned == 8 for each in learned)


def test_unsuitable_rewards_are_refused() -> None:
    from arkor_dev.local.training.job_settings import JobSettings

    loss = {"name": "plain", "path": "x"}
    for config, says in (
        ({"evaluations": [loss]}, "grpo needs a reward"),
        ({"evaluations": [VARIED, loss], "rewardFuncs": ["plain"]}, "called plain. Available: varied"),
        ({"evaluations": [VARIED], "rewardWeights": [1, 2]}, "2 weights for 1 rewards"),
        ({"evaluations": [VARIED], "packing": True}, "remove packing"),
    ):
        with pytest.raises(JobFailure, match=says):
            method("grpo").check(JobSettings({"method": "grpo", **config}))
    method("grpo").check(JobSettings({"method": "grpo", "evaluations": [VARIED, loss]}))


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

    how = {
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


def measured_forecast(backend: Backend, config: dict[str, Any]) -> Any:
    found = backend.call("POST", "/v1/forecast", {"config": config}).json["forecast"]
    assert found["state"] != "failed", found
    return found if found["state"] == "measured" else None

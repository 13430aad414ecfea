"""Our mathematics against TRL's: from the same adapter and rows, the same losses, whatever is set.

TRL gets our tokens in our order, so that nothing is compared but the training itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.tiny_run import losses_of, made_up, set_up
from tests.support.in_ci import others_in_ci

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.training.run import TrainingLoop

pytestmark = [
    pytest.mark.engine,
    pytest.mark.numeric,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
STEPS, BATCH, ROWS = 8, 4, 28  # the last step is the first of another epoch
PLAIN: dict[str, Any] = {"maxSteps": STEPS, "batchSize": BATCH, "learningRate": 5e-3, "evalSteps": 0}

# What is set here and what it is called there: of SFTConfig, and of LoraConfig below "lora". Schedules are
# held to transformers' own, step by step, in test_schedule.py.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "warmup_ratio, weight_decay": (
        {"warmupRatio": 0.3, "warmupSteps": None, "weightDecay": 1.0},
        {"warmup_steps": 0.3, "weight_decay": 1.0},
    ),
    "sgd, max_grad_norm": (
        {"optim": "sgd", "learningRate": 1.0, "maxGradNorm": 0.5},
        {"optim": "sgd", "learning_rate": 1.0, "max_grad_norm": 0.5},
    ),
    "adafactor": ({"optim": "adafactor"}, {"optim": "adafactor"}),
    "adam_beta1, adam_beta2, adam_epsilon": (
        {"adamBeta1": 0.5, "adamBeta2": 0.9, "adamEpsilon": 1e-2},
        {"adam_beta1": 0.5, "adam_beta2": 0.9, "adam_epsilon": 1e-2},
    ),
    "gradient_accumulation_steps": (
        {"batchSize": 2, "gradientAccumulationSteps": 2, "learningRate": 1e-2},
        {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "learning_rate": 1e-2},
    ),
    "label_smoothing_factor": ({"labelSmoothingFactor": 0.2}, {"label_smoothing_factor": 0.2}),
    "assistant_only_loss off": ({"trainOnResponsesOnly": False}, {}),
    "lora_alpha, use_rslora, target_modules": (
        {"loraAlpha": 64, "useRslora": True, "loraTargetModules": ["q_proj", "v_proj"]},
        {"lora": {"lora_alpha": 64, "use_rslora": True, "target_modules": ["q_proj", "v_proj"]}},
    ),
    "use_dora": ({"useDora": True}, {"lora": {"use_dora": True}}),
    "full_fine_tuning": ({"fullFineTuning": True, "learningRate": 1e-3}, {"learning_rate": 1e-3}),
    "pissa": ({"initLoraWeights": "pissa"}, {"lora": {"init_lora_weights": "pissa"}}),
}


def theirs(tiny: Path, folder: Path, ours: TrainingLoop, options: dict[str, Any]) -> list[float]:
    """The losses of TRL's trainer, from the adapter that ``ours`` has before its first step, on its rows."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from torch.utils.data import SequentialSampler
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.objective import rectangle
    from arkor_dev.local.training.rows.batches import endless

    class Trainer(SFTTrainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any) -> Any:
            return SequentialSampler(self.train_dataset)

    def together(rows: list[dict[str, Any]]) -> dict[str, Any]:
        ids, mask, labels = rectangle([Example(row["input_ids"], row["labels"]) for row in rows])
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    lora = {"r": 8, "lora_alpha": 16, "target_modules": "all-linear"}
    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    if ours.plan.adapter:
        model = get_peft_model(
            model, LoraConfig(**{**lora, **options.get("lora", {})}, task_type="CAUSAL_LM")
        )
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name, weight in ours.model.named_parameters():
            weights[name].copy_(weight)
    steps = endless(ours.train, ours.plan, ours.plan.order_seed)
    rows = [row for _ in range(STEPS) for batch in next(steps) for row in batch]
    standard: dict[str, Any] = {
        "per_device_train_batch_size": BATCH,
        "learning_rate": PLAIN["learningRate"],
        "optim": "adamw_torch",
    }
    chosen = {name: value for name, value in options.items() if name != "lora"}
    trainer = Trainer(
        model=model,
        args=SFTConfig(
            output_dir=str(folder),
            max_steps=STEPS,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            bf16=False,
            activation_checkpointing=False,
            disable_tqdm=True,
            remove_unused_columns=False,
            dataset_kwargs={"skip_prepare_dataset": True},
            **{**standard, **chosen},
        ),
        train_dataset=Dataset.from_list([{"input_ids": row.ids, "labels": row.labels} for row in rows]),
        data_collator=together,
        processing_class=AutoTokenizer.from_pretrained(tiny),
    )
    trainer.train()
    return [row["loss"] for row in trainer.state.log_history if "loss" in row]


@pytest.fixture(scope="module")
def plain(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """Our losses with nothing set."""
    run = set_up(tiny, tmp_path_factory.mktemp("plain"), PLAIN, train=made_up(ROWS))
    return losses_of(run)


@pytest.mark.parametrize("case", others_in_ci(CASES))
def test_sft_losses_equal_trl(
    case: str, tiny: Path, tmp_path: Path, plain: list[float], record_property: Any
) -> None:
    config, options = CASES[case]
    rows = made_up(ROWS, answers_only=config.get("trainOnResponsesOnly", True))
    ours = set_up(tiny, tmp_path, {**PLAIN, **config}, train=rows)
    ours.begin()
    wanted = theirs(tiny, tmp_path, ours, options)
    found = losses_of(set_up(tiny, tmp_path, {**PLAIN, **config}, train=rows))
    assert len(found) == len(wanted) == STEPS
    furthest = max(abs(one - other) for one, other in zip(found, wanted, strict=True))
    record_property("furthest", furthest)
    assert furthest < 1e-3
    if case != "plain":  # the setting has had an effect, or else nothing was compared
        assert max(abs(one - other) for one, other in zip(found, plain, strict=True)) > 1e-2

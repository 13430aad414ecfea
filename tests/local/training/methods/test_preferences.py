"""Preference training: TRL's losses on its rows, the same bits after a pause, a reference that stays."""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import torch

from arkor_dev.data.preferences import RATINGS
from arkor_dev.data.row_parser import row_of
from arkor_dev.local.modeling.tokenizer import load_tokenizer
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.rows.encoding import Encoding
from arkor_dev.local.workers.errors import JobFailure
from tests.local.tiny_model import PHRASE, QUESTIONS, write_jsonl
from tests.local.tiny_run import losses_of, set_up
from tests.local.training.test_going_on import bytes_of, pausing_after, points
from tests.support.in_ci import in_ci

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.run import TrainingLoop
    from tests.local.harness import Backend

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]

ROWS = [
    {
        "prompt": [{"role": "user", "content": asked}],
        "chosen": [{"role": "assistant", "content": PHRASE}],
        "rejected": [{"role": "assistant", "content": f"No idea about {asked[:-1]}."}],
    }
    for asked in QUESTIONS[:12]
]
RATED = [
    {
        "prompt": row["prompt"],
        "completion": row[("chosen", "rejected")[place % 3 == 2]],
        "label": place % 3 < 2,
    }
    for place, row in enumerate(ROWS)
]
STEPS, BATCH = 3, 4
SHORT: dict[str, Any] = {
    "maxSteps": 8, "learningRate": 1e-2, "datasetSplit": 0.6, "evalSteps": 4,
    "samples": "off", "numberFormat": "float32", "batchSize": 8,
}  # fmt: skip
CONFIG: dict[str, Any] = {
    "maxSteps": STEPS,
    "batchSize": BATCH,
    "learningRate": 5e-3,
    "loggingSteps": 1,
    "adamEpsilon": 1e-3,  # with less, AdamW makes a whole update of a gradient that is rounding alone
}


def examples(tiny: Path, name: str, rows: list[dict[str, Any]] | None = None) -> list[Example]:
    rows = rows or (RATED if name == "kto" else ROWS)
    read = [row_of(row, str(place), None, {}, forms=RATINGS) for place, row in enumerate(rows)]
    return method(name).encode_all(load_tokenizer(tiny), read, Encoding(512), lambda _: None)[0]


def run_of(
    tiny: Path, folder: Path, name: str, rows: list[dict[str, Any]] | None = None, **config: Any
) -> TrainingLoop:
    facts: dict[str, Any] = {"train": examples(tiny, name, rows), "method": method(name), "job_id": "job"}
    return set_up(tiny, folder, {**CONFIG, "method": name, **config}, **facts)


def tokens_in_order(run: TrainingLoop) -> list[dict[str, list[int]]]:
    """Return the tokens of each pair in the order in which ``run`` learns from them, as TRL names them."""
    from arkor_dev.local.modeling.example import IGNORED
    from arkor_dev.local.training.rows.batches import endless

    steps = endless(run.train, run.plan, run.plan.order_seed)
    found = []
    for row in (row for _ in range(STEPS) for batch in next(steps) for row in batch):
        places = [
            [place for place, label in enumerate(sequence.labels) if label != IGNORED]
            for sequence in row.sequences
        ]
        chosen, rejected = (
            sequence.ids[learned[0] : learned[-1] + 1]
            for sequence, learned in zip(row.sequences, places, strict=True)
        )
        found.append({"prompt_ids": row.ids[: places[0][0]], "chosen_ids": chosen, "rejected_ids": rejected})
    return found


def ratings_in_order(run: TrainingLoop) -> list[dict[str, Any]]:
    """Return the tokens of each rating, as TRL names them: the KL is estimated on the prompt of one row with
    the answer of the row before it in its batch.
    """
    from arkor_dev.local.training.rows.batches import endless

    steps = endless(run.train, run.plan, run.plan.order_seed)
    found: list[dict[str, Any]] = []
    for batch in (batch for _ in range(STEPS) for batch in next(steps)):
        parts = []
        for row in batch:
            start = next(place for place, label in enumerate(row.labels) if label >= 0)
            end = max(place for place, label in enumerate(row.labels) if label >= 0) + 1
            parts.append((row.ids[:start], row.ids[start:end]))
        for place, (prompt, answer) in enumerate(parts):
            other, label = parts[place - 1][1], batch[place].desirable
            found.append(
                {"prompt_ids": prompt, "completion_ids": answer, "KL_completion_ids": other, "label": label}
            )
    return found


def gradients_of(model: Any) -> dict[str, Any]:
    """Return a copy of the gradients of what learns, by name."""
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.requires_grad}


def trl_losses(
    tiny: Path,
    ours: TrainingLoop,
    trainer: Any,
    args: Any,
    rows: list[dict[str, Any]] | None = None,
    gradients: list[dict[str, Any]] | None = None,
    *,
    prepared: bool = True,
) -> list[float]:
    """Return the losses of TRL's trainer on the same tokens, from the same adapter; add its ``gradients``.

    ``rows`` that are not ``prepared`` have texts, which TRL tokenizes.
    """
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from torch.utils.data import SequentialSampler
    from transformers import AutoModelForCausalLM, AutoTokenizer

    class InOrder(trainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any) -> Any:
            return SequentialSampler(self.train_dataset)

        def _prepare_dataset(self, dataset: Any, *more: Any) -> Any:
            return dataset if prepared else super()._prepare_dataset(dataset, *more)

        def training_step(self, model: Any, *more: Any, **named: Any) -> Any:
            loss = super().training_step(model, *more, **named)
            if gradients is not None:
                gradients.append(gradients_of(model))
            return loss

    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    config = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(model, config)
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name, weight in ours.model.named_parameters():
            weights[name].copy_(weight)
    made = InOrder(
        model=model,
        args=args,
        train_dataset=Dataset.from_list(tokens_in_order(ours) if rows is None else rows),
        processing_class=AutoTokenizer.from_pretrained(tiny),
    )
    made.train()
    return [row["loss"] for row in made.state.log_history if "loss" in row]


def arguments(folder: Path, kind: Any, **more: Any) -> Any:
    return kind(
        output_dir=str(folder),
        max_steps=STEPS,
        logging_steps=1,
        per_device_train_batch_size=BATCH,
        learning_rate=CONFIG["learningRate"],
        adam_epsilon=CONFIG["adamEpsilon"],
        optim="adamw_torch",
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        disable_tqdm=True,
        **more,
    )


@pytest.mark.numeric
@pytest.mark.parametrize("kind", ["sigmoid", in_ci("hinge"), "ipo", in_ci("apo_zero")])
def test_dpo_losses_and_gradients_equal_trl(kind: str, tiny: Path, tmp_path: Path) -> None:
    from trl import DPOConfig, DPOTrainer

    from arkor_dev.local.modeling.example import weight_of
    from arkor_dev.local.training.rows.batches import endless

    ours = run_of(tiny, tmp_path, "dpo", lossType=kind)
    ours.begin()
    args = arguments(tmp_path, DPOConfig, beta=0.1, loss_type=kind)
    theirs: list[dict[str, Any]] = []
    wanted = trl_losses(tiny, ours, DPOTrainer, args, gradients=theirs)
    batches = next(endless(ours.train, ours.plan, ours.plan.order_seed))
    ours._gradients(batches, weight_of(batches))
    for name, gradient in gradients_of(ours.model).items():
        torch.testing.assert_close(gradient, theirs[0][name], atol=1e-5, rtol=1e-4)
    found = losses_of(run_of(tiny, tmp_path, "dpo", lossType=kind))
    assert len(found) == len(wanted) == STEPS
    assert found[0] == pytest.approx(wanted[0], abs=1e-6)
    assert found == pytest.approx(wanted, abs=2e-5)  # each step adds what the last update differs by
    assert abs(found[-1] - found[0]) > 1e-2, "something was learned"


@pytest.mark.numeric
def test_kto_losses_equal_trl(tiny: Path, tmp_path: Path) -> None:
    """Weights that differ, since equal ones would hide a mix-up; the KL is above zero in some steps."""
    from trl import KTOConfig, KTOTrainer

    how: dict[str, Any] = {"desirableWeight": 1.0, "undesirableWeight": 1.5, "beta": 0.3, "batchSize": BATCH}
    ours = run_of(tiny, tmp_path, "kto", **how)
    ours.begin()
    args = arguments(tmp_path, KTOConfig, beta=0.3, undesirable_weight=1.5)
    wanted = trl_losses(tiny, ours, KTOTrainer, args, ratings_in_order(ours))
    run = run_of(tiny, tmp_path, "kto", **how)
    found = losses_of(run)
    assert len(found) == len(wanted) == STEPS
    assert found == pytest.approx(wanted, abs=1e-5)
    assert abs(found[-1] - found[0]) > 1e-2, "something was learned"
    logged = [fields for name, fields in run.emit.calls if name == "training.log"]  # type: ignore[attr-defined]
    assert any(fields["kl"] > 1e-3 for fields in logged)
    margins = [fields["rewardMargin"] for fields in logged if "rewardMargin" in fields]
    assert 0 < len(margins) < STEPS, "a batch may have answers of one kind alone"
    assert margins[-1] > 0


# A method with what is set here, and what that is called there.
WITH_LIKELIHOOD: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "orpo": ("orpo", {"beta": 0.3}, {"beta": 0.3}),
    "dpo, rpo_alpha": (
        "dpo",
        {"rpoAlpha": 0.5},
        {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5]},
    ),
    **{
        f"cpo, {kind}": (
            "cpo",
            {"lossType": kind, "cpoAlpha": 0.7},
            {"loss_type": kind, "cpo_alpha": 0.7},
        )
        for kind in ("sigmoid", "hinge", "ipo", "simpo")
    },
}


@pytest.fixture(scope="module")
def without_line_break(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a chat template that ends with its end mark; TRL would learn a line break, too."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    shutil.copytree(tiny, folder)
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_end|>\n", "<|im_end|>"))
    return folder


@pytest.mark.numeric
@pytest.mark.parametrize(
    "case", [in_ci(case) if case in ("cpo, hinge", "cpo, ipo") else case for case in WITH_LIKELIHOOD]
)
def test_losses_from_raw_rows_equal_trl(case: str, without_line_break: Path, tmp_path: Path) -> None:
    """TRL renders and tokenizes the rows itself; chosen answers differ in length, so that weights matter."""
    from trl import DPOConfig, DPOTrainer
    from trl.experimental.cpo import CPOConfig, CPOTrainer
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    from arkor_dev.local.training.rows.batches import endless

    name, config, options = WITH_LIKELIHOOD[case]
    trainer, kind = {
        "dpo": (DPOTrainer, DPOConfig),
        "cpo": (CPOTrainer, CPOConfig),
        "orpo": (ORPOTrainer, ORPOConfig),
    }[name]
    rows = [
        {**row, "chosen": [{"role": "assistant", "content": PHRASE * (1 + place % 3)}]}
        for place, row in enumerate(ROWS)
    ]
    ours = run_of(without_line_break, tmp_path, name, rows, **config)
    ours.begin()
    steps = endless(ours.train, ours.plan, ours.plan.order_seed)
    in_order = [rows[int(pair.where)] for _ in range(STEPS) for batch in next(steps) for pair in batch]
    args = arguments(tmp_path, kind, **options)
    wanted = trl_losses(without_line_break, ours, trainer, args, in_order, prepared=False)
    found = losses_of(run_of(without_line_break, tmp_path, name, rows, **config))
    assert len(found) == len(wanted) == STEPS
    assert found == pytest.approx(wanted, rel=1e-5)
    assert abs(found[-1] - found[0]) > 1e-2, "something was learned"


def test_ktos_kl_is_estimated_on_as_many_held_out_rows_as_in_training(tiny: Path, tmp_path: Path) -> None:
    """Of more rows the mean is another one, and so is every row's loss; DPO's rows are independent."""
    at_once = {}
    for name in ("kto", "dpo"):
        run = run_of(tiny, tmp_path / name, name, batchSize=2)
        run.begin()
        run.held_out = [row for row in run.train if row.tokens < 200]
        at_once[name] = run.measured_at_once
    assert at_once["kto"] == 2 < at_once["dpo"]


@pytest.mark.parametrize("name", ["dpo", in_ci("kto")])
def test_a_paused_preference_run_resumes_to_the_same_bits(name: str, tiny: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    how: dict[str, Any] = {"loraDropout": 0.1, **({"rpoAlpha": 0.5} if name == "dpo" else {})}
    run = run_of(tiny, whole, name, **how)
    assert run.run().status == "completed"
    logged = [fields for name, fields in run.emit.calls if name == "training.log"]  # type: ignore[attr-defined]
    assert logged[0]["rewardChosen"] == pytest.approx(0, abs=1e-5), "the start is the reference"
    assert logged[-1]["rewardChosen"] > 0.05
    assert logged[-1]["rewardAccuracy"] == 1
    paused = run_of(tiny, parts, name, **how)
    pausing_after(2)(paused)
    assert paused.run().status == "paused"
    resumed = run_of(tiny, parts, name, **how)
    resumed.resume_plan = points(parts)
    assert resumed.run().status == "completed"
    assert bytes_of(parts) == bytes_of(whole)


@pytest.mark.parametrize("name", ["dpo", "kto"])
def test_a_parent_adapter_is_the_reference(name: str, tiny: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    run = run_of(tiny, first, name)
    assert run.run().status == "completed"
    (weights,) = first.rglob("adapter_model.safetensors")
    second = tmp_path / "second"
    second.mkdir()
    later = run_of(tiny, second, name, maxSteps=2)
    later.parent = weights.parent
    assert later.run().status == "completed"
    logged = [fields for kind, fields in later.emit.calls if kind == "training.log"]  # type: ignore[attr-defined]
    assert logged[0]["rewardChosen"] == pytest.approx(0, abs=1e-5)
    assert logged[0]["loss"] == pytest.approx(math.log(2) if name == "dpo" else 0.5, abs=1e-5)
    # The reference stays, also for rows that come later and for the base, which has no adapter.
    rows, loss = later.train[:BATCH], later.loss
    held = loss.reference.of(rows)  # type: ignore[attr-defined]
    loss.reference._known.clear()  # type: ignore[attr-defined]
    with later.model.disable_adapter():
        again = loss.reference.of(rows)  # type: ignore[attr-defined]
    assert torch.equal(held, again)


def test_corrections_train_an_adapter_judged_by_pairs(shared: Backend, shared_project: Path) -> None:
    """As the playground writes them: what a person put in the model's place is chosen."""
    rows = [
        {
            "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": PHRASE}],
            "corrected": {"at": "2026-01-01T00:00:00Z", "instead": f"No idea about {asked[:-1]}."},
        }
        for asked in QUESTIONS
    ]
    write_jsonl(shared_project / "data" / "corrections.jsonl", rows)
    job = shared.submit(
        {
            **SHORT,
            "method": "dpo",
            "model": "./models/tiny",
            "datasetSource": {"type": "file", "path": "data/corrections.jsonl"},
        }
    )
    frames = list(shared.events(job))
    assert shared.job(job)["status"] == "completed", frames[-1].data
    evaluation = next(frame.json for frame in frames if frame.event == "evaluation.completed")["evaluation"]
    task = evaluation["heldOut"]
    assert task["base"] == pytest.approx(math.log(2), abs=1e-4), "the base is its own reference"
    assert task["preferred"]["won"] == task["preferred"]["of"] >= 20
    assert task["verdict"] == "better"
    assert task["measure"] == {"label": "DPO loss", "unit": ""}
    logged = [frame.json for frame in frames if frame.event == "training.log" and "evalLoss" in frame.json]
    assert logged[-1]["evalRewardAccuracy"] == 1


def test_unsuitable_settings_of_a_method_are_refused() -> None:
    from arkor_dev.local.training.job_settings import EffectiveSettings

    for name, config, says in (
        ("dpo", {"fullFineTuning": True}, "use cpo or orpo"),
        ("dpo", {"lossType": "simpo"}, "method cpo"),
        ("cpo", {"lossType": "apo_zero"}, "method dpo"),
        ("kto", {"fullFineTuning": True}, "use cpo or orpo"),
        ("kto", {"batchSize": 1}, "batch_size 2 or more"),
        ("kto", {"workers": 2}, "one worker"),
    ):
        with pytest.raises(JobFailure, match=says):
            method(name).check(EffectiveSettings({"method": name, **config}))


def test_ratings_and_corrections_train_one_adapter(shared: Backend, shared_project: Path) -> None:
    """As the page starts it once there are ratings: a correction is a good and a bad answer."""
    asked = [{"role": "user", "content": question} for question in QUESTIONS]
    ratings = [
        {"prompt": [each], "completion": PHRASE if place % 2 else "No idea at all.", "label": place % 2 == 1}
        for place, each in enumerate(asked)
    ]
    corrected = [
        {
            "messages": [
                {**each, "content": f"Once more: {each['content']}"},
                {"role": "assistant", "content": PHRASE},
            ],
            "corrected": {"instead": "No idea at all."},
        }
        for each in asked[:8]
    ]
    write_jsonl(shared_project / "data" / "ratings.jsonl", ratings)
    write_jsonl(shared_project / "data" / "corrected.jsonl", corrected)
    sources = [{"type": "file", "path": f"data/{name}.jsonl"} for name in ("ratings", "corrected")]
    job = shared.submit(
        {
            **SHORT,
            "method": "kto",
            "model": "./models/tiny",
            "datasetSource": {"type": "list", "sources": sources},
        }
    )
    frames = list(shared.events(job))
    assert shared.job(job)["status"] == "completed", frames[-1].data
    evaluation = next(frame.json for frame in frames if frame.event == "evaluation.completed")["evaluation"]
    task = evaluation["heldOut"]
    assert task["base"] == pytest.approx(0.5, abs=1e-4), "the base is its own reference"
    assert (task["preferred"]["kind"], task["verdict"]) == ("rating", "better")
    assert task["preferred"]["of"] >= 20
    started = next(frame.json for frame in frames if frame.event == "training.started")
    assert "kl" in {figure["name"] for figure in started["metadata"]["figures"]}

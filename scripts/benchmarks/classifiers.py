"""Trains one side of a comparison: ``python -m benchmarks.classifiers SIDE SET ROWS STEPS SEED FORMAT``.

``SIDE`` is ours or trainer, ``FORMAT`` the number format: with auto, ours takes what is faster here.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .labeled_texts import labeled_texts
from .starter import starter

if TYPE_CHECKING:
    from arkor_dev.data.rows import Row

BATCH, RANK, RATE, LONGEST = 8, 8, 1e-3, 48
AUTO: Final = "auto"
CONFIG: Final = {
    "method": "classify",
    "batchSize": BATCH,
    "loraR": RANK,
    "loraAlpha": 2 * RANK,
    "loraDropout": 0.0,
    "learningRate": RATE,
    "lrSchedulerType": "linear",
    "warmupSteps": 0,
    "weightDecay": 0.0,
    "maxGradNorm": 1.0,
    "saveSteps": 0,
    "evalSteps": 0,
}


class Clocks:
    """Seconds of each step, by the clock and of processor time."""

    def __init__(self) -> None:
        self._steps: list[tuple[float, float]] = []

    def begin(self) -> None:
        """Start a step."""
        self._began = time.perf_counter(), time.process_time()

    def end(self) -> None:
        """End the step."""
        ended = time.perf_counter(), time.process_time()
        self._steps.append((ended[0] - self._began[0], ended[1] - self._began[1]))

    def per_step(self) -> dict[str, float]:
        """Return the mean seconds of a step, without the first, which also sets up."""
        elapsed, processor = zip(*self._steps[1:], strict=True)
        return {"step": sum(elapsed) / len(elapsed), "processor": sum(processor) / len(processor)}


def main() -> None:
    """Train, label the held-out rows, and print the figures as the last line."""
    side, name, rows, steps, seed, number_format = sys.argv[1:]
    texts = labeled_texts(name, 2 * int(rows))
    train, held_out = texts[: int(rows)], texts[int(rows) :]
    known = {row["label"] for row in train}
    held_out = [row for row in held_out if row["label"] in known]
    with tempfile.TemporaryDirectory() as folder:
        label = _ours if side == "ours" else _trainer
        predicted, clocks, taken = label(Path(folder), train, held_out, int(steps), int(seed), number_format)
    right = [float(row["label"] == named) for row, named in zip(held_out, predicted, strict=True)]
    most = Counter(row["label"] for row in train).most_common(1)[0][0]
    print(
        json.dumps(
            {
                **clocks.per_step(),
                "format": taken,
                "right": right,
                "accuracy": sum(right) / len(right),
                "majority": sum(row["label"] == most for row in held_out) / len(held_out),
            }
        )
    )


def _rows(records: list[dict[str, str]]) -> list[Row]:
    from arkor_dev.data.labels import LABELED
    from arkor_dev.data.row_parser import row_of

    return [row_of(record, f"row {at}", None, {}, forms=LABELED) for at, record in enumerate(records, 1)]


def _ours(
    folder: Path,
    train: list[dict[str, str]],
    held_out: list[dict[str, str]],
    steps: int,
    seed: int,
    number_format: str,
) -> tuple[list[str], Clocks, str]:
    """Return the held-out rows' labels by our training loop, its steps' times, and its number format."""
    from arkor_dev.local.modeling.base_model import load_base
    from arkor_dev.local.modeling.classes import Classes
    from arkor_dev.local.modeling.number_format import choose
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.methods import method
    from arkor_dev.local.training.plan import Plan
    from arkor_dev.local.training.rows.batches import endless
    from arkor_dev.local.training.rows.encoding import Encoding
    from arkor_dev.local.training.run import ModelSource, TrainingLoop
    from arkor_dev.local.training.run_events import RunEvents

    base, kind = load_base(starter(), as_stored=True), method("classify")
    learned, measured = _rows(train), _rows(held_out)
    classes = Classes.of(learned, ())
    encoding = Encoding(LONGEST + 1, classes=classes)
    examples, others = (
        kind.encode_all(base.tokenizer, rows, encoding, lambda _: None)[0] for rows in (learned, measured)
    )
    requested = None if number_format == AUTO else number_format
    formats = folder / "formats.json"
    choice = choose(base.model, base.device, base.dtype, BATCH * LONGEST, requested, formats)
    run = TrainingLoop(
        method=kind,
        base=base,
        source=ModelSource("starter"),
        plan=Plan.of(EffectiveSettings({**CONFIG, "maxSteps": steps}), len(examples), 0),
        train=examples,
        held_out=[],
        data=folder,
        job_id="bench",
        seed=seed,
        settings={},
        emit=RunEvents(lambda *_: None),
        choice=choice,
        classes=classes,
    )
    run.begin()
    batches, clocks = endless(run.train, run.plan, run.seed), Clocks()
    for step in range(1, run.plan.steps + 1):
        batch = next(batches)
        clocks.begin()
        for group in run.optimizer.param_groups:
            group["lr"] = run.plan.schedule.rate_at(step)
        run.learn(*batch)
        clocks.end()
    loss: Any = run.loss
    logs = [
        logs
        for start in range(0, len(others), BATCH)
        for logs in loss.log_probabilities(others[start : start + BATCH])
    ]
    return [classes.names[row.index(max(row))] for row in logs], clocks, choice.name


def _trainer(
    folder: Path,
    train: list[dict[str, str]],
    held_out: list[dict[str, str]],
    steps: int,
    seed: int,
    number_format: str,
) -> tuple[list[str], Clocks, str]:
    """Return the same by transformers' Trainer with PEFT."""
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from transformers import (
        AutoModelForSequenceClassification,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
        set_seed,
    )

    from arkor_dev.local.modeling.tokenizer import load_tokenizer

    set_seed(seed)
    tokenizer = load_tokenizer(starter())
    names = sorted({row["label"] for row in train})
    model = AutoModelForSequenceClassification.from_pretrained(
        starter(), num_labels=len(names), dtype="float32"
    )
    model.config.pad_token_id = tokenizer.pad_token_id
    lora = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="SEQ_CLS")
    clocks = Clocks()

    class Timed(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            clocks.begin()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clocks.end()

    def encoded(rows: list[dict[str, str]]) -> Any:
        ids = tokenizer([row["text"] for row in rows], truncation=True, max_length=LONGEST)["input_ids"]
        labels = [names.index(row["label"]) for row in rows]
        return Dataset.from_dict({"input_ids": ids, "labels": labels})

    trainer = Trainer(
        model=get_peft_model(model, lora),
        args=TrainingArguments(
            output_dir=str(folder),
            max_steps=steps,
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=BATCH,
            learning_rate=RATE,
            lr_scheduler_type="linear",
            weight_decay=0.0,
            max_grad_norm=1.0,
            seed=seed,
            use_cpu=True,
            bf16=number_format == "bfloat16",
            dataloader_pin_memory=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=encoded(train),
        data_collator=DataCollatorWithPadding(tokenizer),
        callbacks=[Timed()],
    )
    trainer.train()
    logits = trainer.predict(encoded(held_out)).predictions
    return [names[row.argmax()] for row in logits], clocks, number_format


if __name__ == "__main__":
    main()

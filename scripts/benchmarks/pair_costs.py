"""Measures one side of the cost of a pair: ``python -m benchmarks.pair_costs SIDE STEPS``.

``chosen`` and ``both`` are supervised training on the chosen answers, or on both answers as separate rows;
``dpo`` is preference training, ``trl`` and ``trl-known`` TRL's DPOTrainer, which computes the reference in
every step, or once before the first. A step has four pairs, or the parts of them that a side learns from; all
sides compute in float32. Processor times are reported as well, since other programs affect them less.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from .preferences import pairs
from .starter import starter

if TYPE_CHECKING:
    from arkor_dev.local.training.run import TrainingLoop

PAIRS: Final = 16
BATCH: Final = 4
WARM: Final = PAIRS // BATCH
"""Number of steps before the measured ones; after them every reference is known."""
RATE: Final = 1e-5


class Clock:
    """Times steps, in wall-clock and processor time."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def start(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        wall, cpu = self._began
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)

    def of(self, name: str) -> dict[str, float]:
        """Return the mean milliseconds per pair after the first steps."""
        found = {name: self.wall, f"{name}Cpu": self.cpu}
        return {key: 1000 * fmean(values[WARM:]) / BATCH for key, values in found.items()}


def main() -> None:
    """Train, and print the milliseconds per pair and the peak memory as the last line."""
    side, steps = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        if side.startswith("trl"):
            figures = _theirs(Path(folder), steps, known=side == "trl-known")
        else:
            figures = _ours(Path(folder), side, steps)
    print(json.dumps({**figures, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def _run(folder: Path, side: str, steps: int) -> TrainingLoop:
    from arkor_dev.data.row_parser import row_of
    from arkor_dev.local.modeling.tokenizer import load_tokenizer
    from arkor_dev.local.training.methods import method
    from arkor_dev.local.training.rows.encoding import Encoding
    from tests.local.tiny_run import set_up

    way = method("dpo" if side == "dpo" else "sft")
    rows = pairs(PAIRS, 1)
    answers = {"chosen": ("chosen",), "both": ("chosen", "rejected")}.get(side)
    if answers:
        rows = [{"prompt": row["prompt"], "completion": row[each]} for row in rows for each in answers]
    read = [row_of(row, str(place), None, {}, forms=way.record.forms) for place, row in enumerate(rows)]
    train = way.encode_all(load_tokenizer(starter()), read, Encoding(512), lambda _: None)[0]
    config = {
        "method": way.name,
        "batchSize": BATCH * (2 if side == "both" else 1),
        "maxSteps": WARM + steps,
        "learningRate": RATE,
    }
    return set_up(starter(), folder, config, train=train, method=way, job_id="job")


def _ours(folder: Path, side: str, steps: int) -> dict[str, Any]:
    from arkor_dev.local.training.rows.batches import endless

    run = _run(folder, side, steps)
    run.begin()
    batches = endless(run.train, run.plan, run.plan.order_seed)
    step, look_up = Clock(), Clock()
    for _ in range(WARM + steps):
        batch = next(batches)
        step.start()
        run.learn(*batch)
        step.stop()
        if side == "dpo":
            reference: Any = run.loss.reference  # type: ignore[attr-defined]
            known = dict(reference._known)
            reference._known.clear()
            look_up.start()
            for rows in batch:
                reference.of(rows)
            look_up.stop()
            reference._known.update(known)  # later steps use cached references
    return {**step.of("pair"), **(look_up.of("reference") if look_up.wall else {})}


def _theirs(folder: Path, steps: int, *, known: bool) -> dict[str, Any]:
    """Train with TRL on our tokens in our order, starting from an adapter of the same shape."""
    from datasets import Dataset
    from peft import LoraConfig
    from torch.utils.data import SequentialSampler
    from transformers import AutoModelForCausalLM, TrainerCallback
    from trl import DPOConfig, DPOTrainer

    from arkor_dev.local.modeling.example import IGNORED
    from arkor_dev.local.modeling.tokenizer import load_tokenizer
    from arkor_dev.local.training.rows.batches import endless

    ours = _run(folder, "dpo", steps)
    batches = endless(ours.train, ours.plan, ours.plan.order_seed)
    rows = []
    for row in (row for _ in range(WARM + steps) for batch in next(batches) for row in batch):
        asked = next(place for place, label in enumerate(row.labels) if label != IGNORED)
        chosen, rejected = (sequence.ids[asked:] for sequence in row.sequences)
        rows.append({"prompt_ids": row.ids[:asked], "chosen_ids": chosen, "rejected_ids": rejected})
    clock = Clock()

    class Timing(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            clock.start()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.stop()

    class InOrder(DPOTrainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any) -> Any:
            return SequentialSampler(self.train_dataset)

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

    import torch

    trainer = InOrder(
        model=AutoModelForCausalLM.from_pretrained(starter(), dtype=torch.float32),
        args=DPOConfig(
            output_dir=str(folder),
            max_steps=WARM + steps,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            max_length=512,
            precompute_ref_log_probs=known,
            bf16=False,
            use_cpu=True,
            gradient_checkpointing=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=load_tokenizer(starter()),
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[Timing()],
    )
    trainer.train()
    return clock.of("pair")


if __name__ == "__main__":
    main()

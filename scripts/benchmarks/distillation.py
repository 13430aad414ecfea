"""Compares steps of distillation with those of TRL's GKDTrainer: the same model, teacher, rows and adapter.

Both learn in one process, a step of TRL's, then one of ours on the same batch, so that other load affects
both alike; each pair of steps gives a ratio of their processor times. The starter model learns in float32
from a second copy of itself, the rows' answers or its own. Sampled answers have no end token, so that both
sides' have the same length. As a program: ``python -m benchmarks.distillation SHARE STEPS``.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any, Final

from .figures import Figure
from .sides import in_a_process
from .starter import starter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.run import TrainingLoop

ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLE: Final = ROOT / "examples" / "support-bot" / "data" / "chats.jsonl"
BATCH: Final = 4
WARM: Final = 1
"""Number of steps before the measured ones."""
ANSWER: Final = 32
"""Number of tokens of a sampled answer."""
RATE: Final = 1e-4
MOST: Final = 1.5
NAMES: Final = {0: "on the rows' answers", 1: "on answers of its own"}


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the processor time of a step beside TRL's, and the quartiles of the ratio."""
    steps = 2 if quick else 12
    for share, name in NAMES.items():
        found = in_a_process("distillation", str(share), steps)
        ratios = [ours / theirs for ours, theirs in zip(found["ours"], found["theirs"], strict=True)]
        low, middle, high = quantiles(ratios, n=4, method="inclusive")
        yield Figure(f"a distillation step {name}, by TRL's", middle, "x", most=MOST)
        yield Figure("  a quarter of the steps below", low, "x")
        yield Figure("  a quarter of the steps above", high, "x")


def main() -> None:
    """Train with both, and print the seconds of each step as the last line."""
    share, steps = float(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(_in_turns(Path(folder), share, WARM + steps)))


def _run(folder: Path, share: float, steps: int) -> TrainingLoop:
    """Return our run, begun."""
    from arkor_dev.data.reader import DataFile
    from arkor_dev.local.modeling.tokenizer import load_tokenizer
    from arkor_dev.local.training.methods import method
    from arkor_dev.local.training.rows.datasets import read_rows
    from arkor_dev.local.training.rows.encoding import Encoding
    from tests.local.tiny_run import read, set_up

    distill = method("distill")
    rows = read_rows([DataFile(EXAMPLE, EXAMPLE.name)])
    train = distill.encode_all(load_tokenizer(starter()), rows, Encoding(512), lambda _: None)[0]
    config = {
        "method": "distill",
        "teacher": "./teacher",
        "lmbda": share,
        "maxCompletionLength": ANSWER,
        "batchSize": BATCH,
        "maxSteps": steps,
        "learningRate": RATE,
        "evalSteps": 0,
    }
    run = set_up(
        starter(), folder, config, train=train, method=distill, job_id="bench", second=read(starter())
    )
    run.begin()
    run.loss._answers._ends = frozenset()  # type: ignore[attr-defined]
    return run


def _in_turns(folder: Path, share: float, steps: int) -> dict[str, list[float]]:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from torch.utils.data import SequentialSampler
    from transformers import AutoModelForCausalLM, TrainerCallback
    from trl.experimental.gkd import GKDConfig, GKDTrainer

    from arkor_dev.local.modeling.tokenizer import load_tokenizer
    from arkor_dev.local.training.rows.batches import endless

    run = _run(folder, share, steps)
    following = endless(run.train, run.plan, run.plan.order_seed)
    batches = [next(following) for _ in range(steps)]
    rows = [row for (batch,) in batches for row in batch]
    theirs: list[float] = []
    ours: list[float] = []

    class InTurns(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.process_time()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            theirs.append(time.process_time() - self.began)
            began = time.process_time()
            for update in run.loss.updates(len(ours) + 1, batches[len(ours)]):
                run.learn(*update)
            ours.append(time.process_time() - began)

    class InOrder(GKDTrainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any) -> Any:
            return SequentialSampler(self.train_dataset)

    def model() -> Any:
        loaded = AutoModelForCausalLM.from_pretrained(starter(), dtype=torch.float32)
        loaded.generation_config.eos_token_id = None
        return loaded

    trainer = InOrder(
        model=model(),
        teacher_model=model(),
        args=GKDConfig(
            output_dir=str(folder),
            max_steps=steps,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            lmbda=share,
            max_new_tokens=ANSWER,
            bf16=False,
            use_cpu=True,
            gradient_checkpointing=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        data_collator=lambda places: _inputs([rows[place["row"]] for place in places]),
        train_dataset=Dataset.from_list([{"row": place} for place in range(len(rows))]),
        processing_class=load_tokenizer(starter()),
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[InTurns()],
    )
    trainer.train()
    return {"ours": ours[WARM:], "theirs": theirs[WARM:]}


def _inputs(rows: Sequence[Example]) -> dict[str, Any]:
    """Return a batch as GKD's collator makes it: prompts are padded on the left, whole rows on the right."""
    import torch

    from arkor_dev.local.training.methods.distill.loss import prompt_length
    from arkor_dev.local.training.objective import rectangle

    ids, mask, labels = rectangle(rows)
    prompts = [row.ids[: prompt_length(row)] for row in rows]
    widest = max(map(len, prompts))
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": labels,
        "prompts": torch.tensor([[0] * (widest - len(prompt)) + prompt for prompt in prompts]),
        "prompt_attention_mask": torch.tensor(
            [[0] * (widest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        ),
    }


if __name__ == "__main__":
    main()

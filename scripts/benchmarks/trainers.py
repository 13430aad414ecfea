"""Runs one side of a training comparison: ``python -m benchmarks.trainers ours|trl example|mixed STEPS
[FORMAT]``.

TRL gets our tokens in our order, pads the batches itself, and computes in FORMAT.
"""

from __future__ import annotations

import json
import random
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .starter import starter

if TYPE_CHECKING:
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.plan import Plan
    from arkor_dev.local.training.run import TrainingLoop

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "support-bot" / "data" / "chats.jsonl"
BATCH, RANK, RATE, SHORTEST, LONGEST, MIXED = 4, 8, 2e-3, 16, 900, 96


def main() -> None:
    """Train, and print the figures as the last line."""
    side, rows, steps, *number = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        if side == "ours":
            figures = _ours(_run(Path(folder), rows, int(steps)))
        else:
            figures = _theirs(Path(folder), rows, int(steps), number[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**figures, "peak": peak}))


def _plan(steps: int, rows: int) -> Plan:
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.plan import Plan

    config = {"maxSteps": steps, "batchSize": BATCH, "loraR": RANK, "learningRate": RATE}
    return Plan.of(EffectiveSettings({**config, "saveSteps": 0, "evalSteps": 0}), rows, 0)


def _run(folder: Path, rows: str, steps: int) -> TrainingLoop:
    """Return our run before it begins."""
    from arkor_dev.local.modeling.base_model import load_base
    from arkor_dev.local.modeling.number_format import choose
    from arkor_dev.local.training.methods import method
    from arkor_dev.local.training.run import ModelSource, TrainingLoop
    from arkor_dev.local.training.run_events import RunEvents

    base = load_base(starter(), as_stored=True)
    train = _rows(rows, base.tokenizer)
    tokens = BATCH * sum(len(row.ids) for row in train) // len(train)
    choice = choose(base.model, base.device, base.dtype, tokens, None, folder / "formats.json")
    return TrainingLoop(
        method=method("sft"),
        base=base,
        source=ModelSource("starter"),
        plan=_plan(steps, len(train)),
        train=train,
        held_out=[],
        data=folder,
        job_id="bench",
        seed=1,
        settings={},
        emit=RunEvents(lambda *_: None),
        choice=choice,
    )


def _rows(name: str, tokenizer: Any) -> list[Example]:
    return (_mixed if name == "mixed" else _example)(tokenizer)


def _example(tokenizer: Any) -> list[Example]:
    from arkor_dev.data.reader import DataFile
    from arkor_dev.local.training.rows.datasets import read_rows
    from arkor_dev.local.training.rows.encoding import Encoding, encode

    rows = read_rows([DataFile(EXAMPLE, EXAMPLE.name)])
    return [encode(tokenizer, row, Encoding(LONGEST))[0][0] for row in rows]


def _mixed(tokenizer: Any) -> list[Example]:
    """Return pieces of the example's text, of any length; between a quarter and three quarters of each is the
    answer.
    """
    from arkor_dev.local.modeling.example import IGNORED, Example

    words = [token for row in _example(tokenizer) for token in row.ids]
    chance, rows = random.Random(7), []  # noqa: S311 - lengths, not secrecy
    for _ in range(MIXED):
        length = chance.randint(SHORTEST, LONGEST)
        start, asked = chance.randrange(len(words) - length), chance.randint(length // 4, 3 * length // 4)
        ids = words[start : start + length]
        rows.append(Example(ids, [IGNORED] * asked + ids[asked:]))
    return rows


def _ours(run: TrainingLoop) -> dict[str, Any]:
    """Time the parts of our steps: forward pass, backward pass, optimizer and the rest."""
    from arkor_dev.local.training.rows.batches import endless

    run.begin()
    clocks = {
        "forward": _timed(run.loss, "__call__"),
        "backward": _timed(None, "backward"),
        "optimizer": _timed(run.optimizer, "step"),
    }
    steps, whole, work = endless(run.train, run.plan, run.seed), [], []
    for _ in range(run.plan.steps):
        batches = next(steps)
        began = time.perf_counter()
        run.learn(*batches)
        whole.append(time.perf_counter() - began)
        work.append(_products(run, batches))  # in turns, so that other load on the machine affects both
    parts = {name: sum(times[1:]) / (len(times) - 1) for name, times in clocks.items()}
    step, floor = statistics.mean(whole[1:]), statistics.mean(work[1:])
    rest = step - sum(parts.values())
    return {"seconds": step, **parts, "rest": rest, "floor": floor, "format": run.choice.name}


def _timed(owner: Any, name: str) -> list[float]:
    """Record the seconds of each call of a method of ``owner``'s class, or of torch's tensors, from now
    on.
    """
    import torch

    kind = torch.Tensor if owner is None else type(owner)
    original, seconds = getattr(kind, name), []

    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            seconds.append(time.perf_counter() - began)

    setattr(kind, name, timed)
    return seconds


def _products(run: TrainingLoop, batches: list[list[Example]]) -> float:
    """Return the seconds of the matrix products that a step must compute.

    These are the products of the frozen layers and the output layer, forward and backward, and six products
    per adapter, assumed to be as fast as the layers': actual products of so low a rank are slower.
    Attention's products are not included.
    """
    import torch

    from arkor_dev.local.cpu_kernels.packing import pack_rows
    from arkor_dev.local.modeling.example import IGNORED

    model, dtype = run.base.model, run.choice.dtype
    last = model.get_output_embeddings().weight.detach()
    layers = [
        module.weight.detach()
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and not module.weight.requires_grad
    ]
    layers = [weight for weight in layers if weight.data_ptr() != last.data_ptr()]
    sizes = {size for weight in layers for size in weight.shape}
    learning = sum(weight.numel() for weight in run.trainable)
    adapters = 1.5 * learning / sum(weight.numel() for weight in layers)  # six products versus a layer's two
    seconds = 0.0
    for batch in batches:
        line = pack_rows([(row.ids, row.labels) for row in batch], IGNORED)
        given = {size: torch.randn(line.ids.shape[1], size).to(dtype) for size in sizes}
        learned = {size: torch.randn(len(line.targets), size).to(dtype) for size in last.shape}
        began = time.perf_counter()
        for weight in layers:
            torch.nn.functional.linear(given[weight.shape[1]], weight)
        for weight in reversed(layers):
            torch.mm(given[weight.shape[0]], weight)
        seconds += (1 + adapters) * (time.perf_counter() - began)
        began = time.perf_counter()
        torch.nn.functional.linear(learned[last.shape[1]], last)
        torch.mm(learned[last.shape[0]], last)
        seconds += time.perf_counter() - began
    return seconds


def _theirs(folder: Path, name: str, count: int, number: str) -> dict[str, Any]:
    """Train ``count`` steps with TRL, on our rows in our order, with weights in the dtype ``number``."""
    from datasets import Dataset
    from peft import LoraConfig
    from torch.utils.data import SequentialSampler
    from transformers import AutoModelForCausalLM, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from arkor_dev.local.modeling.tokenizer import load_tokenizer
    from arkor_dev.local.training.rows.batches import endless

    tokenizer = load_tokenizer(starter())
    train = _rows(name, tokenizer)
    steps = endless(train, _plan(count, len(train)), seed=1)
    rows = [row for _ in range(count) for batch in next(steps) for row in batch]
    whole: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            whole.append(time.perf_counter() - self.began)

    class Trainer(SFTTrainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any) -> Any:
            return SequentialSampler(self.train_dataset)

    def learned(row: Example) -> list[int]:
        return [int(label == token) for label, token in zip(row.labels, row.ids, strict=True)]

    trainer = Trainer(
        model=AutoModelForCausalLM.from_pretrained(starter(), dtype=number),
        args=SFTConfig(
            output_dir=str(folder),
            max_steps=count,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            max_length=LONGEST,
            bf16=number == "bfloat16",
            use_cpu=True,
            activation_checkpointing=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(
            [{"input_ids": row.ids, "completion_mask": learned(row)} for row in rows]
        ),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
        callbacks=[Clock()],
    )
    trainer.train()
    return {"seconds": statistics.mean(whole[1:])}


if __name__ == "__main__":
    main()

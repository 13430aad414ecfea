"""What streaming layers from their files costs a step, and whether batches share a reading.

The floor of a streamed step is its computation, as in memory with kept or recomputed activations, and one
reading of the weights from where they are: here the page cache. All sides take turns in this process, with
one thread, and processor time is compared.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .figures import Figure, beside

if TYPE_CHECKING:
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.run import TrainingLoop

TOKENS: Final = 128
ACCUMULATED: Final = 8
CHUNK: Final = 2**25
"""Bytes that are read at once to measure the reading."""


def measure(*, quick: bool) -> list[Figure]:
    """Return a streamed step's processor time beside its floor, and beside steps in memory."""
    import torch

    torch.set_num_threads(1)
    rounds = 1 if quick else 5
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder) / "model", hidden=128 if quick else 2048)
        in_memory = {"offload": "none"}
        streamed = {"offload": "layers"}
        sides = [
            (
                activations,
                run_of(model, Path(folder) / f"streamed-{activations}", **streamed, **config),
                run_of(model, Path(folder) / f"memory-{activations}", **in_memory, **config),
            )
            for activations, config in (
                ("kept", {"gradientCheckpointing": False}),
                ("recomputed", {"gradientCheckpointing": True}),
            )
        ]
        plain = sides[0][2]
        chance, figures = random.Random(3), []  # noqa: S311 - no secrecy
        for count in (1, ACCUMULATED):
            batches = [[single_row(chance)] for _ in range(count)]
            for _, *runs in sides:
                for run in runs:
                    run.learn(*batches)
            name = "one batch" if count == 1 else f"{count} batches"
            for activations, ours, theirs in sides:
                step = partial(_took, ours, batches)

                def floor(run: TrainingLoop = theirs, batches: list[list[Example]] = batches) -> float:
                    return _took(run, batches) + _reading(model)

                title = f"streamed, {activations} activations, {name}"
                took, least = beside(step, floor, rounds)
                figures.append(Figure(f"{title}, floor", took, "s", least, most=1.3))
                took, least = beside(step, partial(_took, plain, batches), rounds)
                bound = 1.15 if activations == "kept" and count > 1 else None
                figures.append(Figure(f"{title}, in memory", took, "s", least, most=bound))
    return figures


def write_model(folder: Path, hidden: int, layers: int = 4) -> Path:
    """Write a Llama with random weights in bfloat16."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from tests.local.tiny_model import make_tokenizer

    config = LlamaConfig(
        vocab_size=8192,
        hidden_size=hidden,
        intermediate_size=7 * hidden // 2,
        num_hidden_layers=layers,
        num_attention_heads=16,
        num_key_value_heads=8,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def run_of(model: Path, data: Path, **config: Any) -> TrainingLoop:
    """Return a run in bfloat16 that is ready for its first step."""
    import torch

    from arkor_dev.local.modeling.base_model import load_base
    from arkor_dev.local.modeling.number_format import DtypeChoice
    from tests.local.tiny_run import set_up

    settings = {
        "maxSteps": 9,
        "evalSteps": 0,
        "learningRate": 1e-4,
        "loraTargetModules": "all-linear",
        **config,
    }
    base = load_base(model, as_stored=True, mapped=config["offload"] == "layers")
    run = set_up(model, data, settings, choice=DtypeChoice(torch.bfloat16, "of the bench"), base=base)
    run.begin()
    return run


def single_row(chance: random.Random) -> Example:
    """Return a row of random tokens, half of which are learned."""
    from arkor_dev.local.modeling.example import IGNORED, Example

    ids = [chance.randrange(3, 1024) for _ in range(TOKENS)]
    return Example(ids, [IGNORED] * (TOKENS // 2) + ids[TOKENS // 2 :])


def _took(run: TrainingLoop, batches: list[list[Example]]) -> float:
    before = time.process_time()
    run.learn(*batches)
    return time.process_time() - before


def _reading(model: Path) -> float:
    """Return the processor time of reading the model's files once."""
    before = time.process_time()
    read_files(model, os.POSIX_FADV_SEQUENTIAL)
    return time.process_time() - before


def read_files(model: Path, advice: int) -> None:
    """Read the model's files once, with ``advice`` to the system before and after each."""
    buffer = bytearray(CHUNK)
    for path in model.glob("*.safetensors"):
        with path.open("rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, advice)
            while file.readinto(buffer):
                pass
            os.posix_fadvise(file.fileno(), 0, 0, advice)

"""Determines a run's batches, and which of them to measure."""

from __future__ import annotations

import itertools
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import torch

from arkor_dev.local.modeling.base_model import unwrapped
from arkor_dev.local.modeling.example import IGNORED
from arkor_dev.local.training.training_hooks import gradient_checkpointing

from .linear_models import Sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.nn import Module

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.modeling.layer_stream import LayerStream
    from arkor_dev.local.training.objective import Objective
    from arkor_dev.local.training.run import TrainingLoop

MOST_STEPS: Final = 512
QUESTION: Final = 512
"""Maximum length of a question in tokens, as for a sample prompt."""
MOST_TOKENS: Final = 3_000_000
"""Numbers of steps, and of tokens in them, examined one by one; later ones are assumed to be alike."""
COUNTED: Final = (32, 96)
"""Lengths of the two pieces of a row that are used to measure how much memory layers save."""
Batch = list["Example"]
"""The rows of a batch."""
Step = list[Batch]
"""The batches of a step, whose gradients are accumulated."""


def first_steps(run: TrainingLoop) -> list[Step]:
    """Return the run's first steps exactly: at least an epoch, unless that is too long."""
    mean = sum(row.tokens for row in run.train) / len(run.train)
    count = min(MOST_STEPS, max(1, round(MOST_TOKENS / (mean * run.plan.batch_size))))
    count = max(count, min(run.plan.per_epoch, MOST_STEPS))
    return list(itertools.islice(run.steps(), count))


def sizes_in(batch: Batch) -> list[tuple[int, int]]:
    """Return each row's numbers of tokens and learned tokens, longest row first."""
    rows = ((row.tokens, sum(sequence.learned for sequence in row.sequences)) for row in batch)
    return sorted(rows, reverse=True)


def question_of(row: Example) -> list[int]:
    """Return a row's tokens before its first learned one; half of them if all are learned."""
    learned = next((index for index, label in enumerate(row.labels) if label != IGNORED), 0)
    return row.ids[: min(QUESTION, learned or len(row.ids) // 2)]


def thinned(row: Example, tokens: int) -> Example:
    """Shorten a row to about this many tokens: same share of learned ones, at least one per sequence."""
    every = max(1, row.tokens // tokens)

    def part(sequence: Example) -> Example:
        ids, labels = sequence.ids[::every], sequence.labels[::every]
        return replace(sequence, ids=ids, labels=[*labels[:-1], _target(sequence)])

    return replace(part(row), others=tuple(part(sequence) for sequence in row.others))


def sizes_of(run: TrainingLoop, row: Example) -> Sizes:
    """Return a begun run's sizes, and the memory that layers save on two pieces of ``row``."""
    model, config = unwrapped(run.model), unwrapped(run.model).config.get_text_config()
    hidden, layers = int(config.hidden_size), int(config.num_hidden_layers)
    outside = {id(module.weight) for module in _embeddings(model)}
    parameters = sum(weight.numel() for weight in model.parameters() if id(weight) not in outside)
    checkpointing = run.plan.gradient_checkpointing or run.plan.streams
    if checkpointing:
        model.gradient_checkpointing_disable()
    (short, short_bytes), (long, long_bytes) = (
        _saved_bytes(run.loss, thinned(row, tokens), run.base.stream) for tokens in COUNTED
    )
    if checkpointing:
        gradient_checkpointing(run.model, run.base.stream)
    per_token = (long_bytes - short_bytes) / ((long - short) * layers) if long > short else 0.0
    return Sizes(
        layers=layers,
        hidden=hidden,
        vocabulary=int(config.vocab_size),
        parameters=parameters,
        saved=per_token,
        value=run.choice.dtype.itemsize,
        recomputed=run.plan.gradient_checkpointing,
        fused=run.loss.fused,
        offloaded=run.plan.offload and run.base.device == "cuda",
        gpus=run.base.gpus,
    )


def _saved_bytes(loss: Objective, row: Example, stream: LayerStream | None) -> tuple[int, int]:
    """Return a row's number of tokens, and the bytes that its forward pass saves for the backward pass.

    Only the last token is learned, so that the output layer hardly counts. Saved weights are included, but
    for those of ``stream``.
    """
    saved: list[weakref.ref[torch.Tensor]] = []
    nothing = torch.empty(0)

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if stream and stream.holds(tensor):
            return nothing  # or the graph would keep the weights of all layers
        tensor = tensor.detach()  # keeping the tensor would keep the graph alive, and vice versa
        saved.append(weakref.ref(tensor))
        return tensor

    def last_alone(part: Example) -> Example:
        return replace(part, labels=[*[IGNORED] * (len(part.ids) - 1), _target(part)])

    row = replace(last_alone(row), others=tuple(last_alone(sequence) for sequence in row.others))
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        value = loss([row])[0]  # keeps the saved tensors alive
    storages = [tensor.untyped_storage() for reference in saved if (tensor := reference()) is not None]
    del value
    return row.tokens, sum({reference.data_ptr(): reference.nbytes() for reference in storages}.values())


def _target(sequence: Example) -> int:
    """Return what can be learned at the end of a sequence: its own label, such as a class, or a token."""
    label = sequence.labels[-1]
    return sequence.ids[-1] if label == IGNORED else label


def _embeddings(model: Module) -> list[Module]:
    embeddings = (model.get_input_embeddings(), model.get_output_embeddings())
    return [module for module in embeddings if module is not None]


def spread(weights: Sequence[float], count: int) -> list[int]:
    """Return the indices of ``count`` weights, evenly spaced from lightest to heaviest."""
    by_weight = sorted(range(len(weights)), key=lambda index: weights[index])
    if len(by_weight) <= count:
        return by_weight
    return [by_weight[int((part + 0.5) * len(by_weight) / count)] for part in range(count)]

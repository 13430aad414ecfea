"""Which batches a run will make, and which of them to measure."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.training.batches import endless
from arkor_dev.local.training.encoding import IGNORED

from .lines import Shape, Sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.local.training.encoding import Example
    from arkor_dev.local.training.run import Run

FOREKNOWN_STEPS: Final = 512
FOREKNOWN_TOKENS: Final = 3_000_000
"""So many steps, or tokens of them, are looked at one by one; what comes after is like them."""
Batch = list["Example"]


def foreknown(run: Run) -> list[Batch]:
    """The run's first batches, as it will make them."""
    mean = sum(len(row.ids) for row in run.train) / len(run.train)
    count = min(FOREKNOWN_STEPS, max(1, round(FOREKNOWN_TOKENS / (mean * run.plan.batch_size))))
    # An epoch at least, so that its longest batch is known whatever the number of steps.
    per_epoch = -(-len(run.train) // run.plan.batch_size)
    count = max(count, min(per_epoch, FOREKNOWN_STEPS))
    return list(itertools.islice(endless(run.train, run.plan.batch_size, run.seed), count))


def shape_of(batch: Batch) -> Shape:
    """The sizes of the rectangle that the training makes of it."""
    width = max(len(row.ids) for row in batch)
    kept = {place for row in batch for place, label in enumerate(row.labels[1:]) if label != IGNORED}
    return Shape(len(batch), width, len(kept))


def sizes_of(model: Any, recomputed: bool) -> Sizes:
    """The sizes of a base model: those that its configuration names, and the weights of its layers."""
    config = model.config.get_text_config()
    hidden = int(config.hidden_size)
    layers = int(config.num_hidden_layers)
    inner = getattr(config, "intermediate_size", None) or 4 * hidden
    outside = {id(module.weight) for module in _embeddings(model)}
    parameters = sum(weight.numel() for weight in model.parameters() if id(weight) not in outside)
    return Sizes(layers, hidden, int(inner), int(config.vocab_size), parameters, recomputed)


def _embeddings(model: Any) -> list[Any]:
    found = (model.get_input_embeddings(), model.get_output_embeddings())
    return [module for module in found if module is not None]


def spread(batches: Sequence[Batch], sizes: Sizes, count: int) -> list[Batch]:
    """So many of ``batches``, from the lightest to the heaviest in even distances."""
    ordered = sorted(batches, key=lambda batch: sizes.work(shape_of(batch)))
    if len(ordered) <= count:
        return ordered
    return [ordered[round((place + 0.5) * len(ordered) / count - 0.5)] for place in range(count)]

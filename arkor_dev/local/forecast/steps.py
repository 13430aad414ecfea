"""Which batches a run will make, and which of them to measure."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.training.rows.batches import endless
from arkor_dev.local.training.rows.encoding import IGNORED

from .lines import Sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.local.training.rows.encoding import Example
    from arkor_dev.local.training.run import Run

FOREKNOWN_STEPS: Final = 512
QUESTION: Final = 512
"""Tokens of a question at most, as of a sample prompt."""
FOREKNOWN_TOKENS: Final = 3_000_000
"""So many steps, or tokens of them, are looked at one by one; what comes after is like them."""
Batch = list["Example"]
"""Rows that are computed together."""
Step = list[Batch]
"""Batches after all of which the weights move."""


def foreknown(run: Run) -> list[Step]:
    """The run's first steps, as it will make them: an epoch at least, where that is not too long."""
    mean = sum(len(row.ids) for row in run.train) / len(run.train)
    count = min(FOREKNOWN_STEPS, max(1, round(FOREKNOWN_TOKENS / (mean * run.plan.batch_size))))
    count = max(count, min(run.plan.per_epoch, FOREKNOWN_STEPS))
    return list(itertools.islice(endless(run.train, run.plan, run.plan.order_seed), count))


def sizes_in(batch: Batch) -> list[tuple[int, int]]:
    """Tokens and learned tokens of each row, the longest first."""
    rows = ((len(row.ids), sum(label != IGNORED for label in row.labels[1:])) for row in batch)
    return sorted(rows, reverse=True)


def question_of(row: Example) -> list[int]:
    """The tokens of a row up to what is learned; of one of which all is learned, a half."""
    learned = next((place for place, label in enumerate(row.labels) if label != IGNORED), 0)
    return row.ids[: min(QUESTION, learned or len(row.ids) // 2)]


def thinned(row: Example, tokens: int) -> Example:
    """About so many of a row's tokens, learned ones among them as before, and one at least."""
    every = max(1, len(row.ids) // tokens)
    ids, labels = row.ids[::every], row.labels[::every]
    return replace(row, ids=ids, labels=[*labels[:-1], ids[-1]])


def sizes_of(model: Any, value: int, recomputed: bool) -> Sizes:
    """The sizes of a base model: those that its configuration names, and the weights of its layers."""
    config = model.config.get_text_config()
    hidden = int(config.hidden_size)
    layers = int(config.num_hidden_layers)
    inner = getattr(config, "intermediate_size", None) or 4 * hidden
    outside = {id(module.weight) for module in _embeddings(model)}
    parameters = sum(weight.numel() for weight in model.parameters() if id(weight) not in outside)
    return Sizes(layers, hidden, int(inner), int(config.vocab_size), parameters, value, recomputed)


def _embeddings(model: Any) -> list[Any]:
    found = (model.get_input_embeddings(), model.get_output_embeddings())
    return [module for module in found if module is not None]


def spread(weights: Sequence[float], count: int) -> list[int]:
    """Places of so many of ``weights``, from the lightest to the heaviest in even distances."""
    ordered = sorted(range(len(weights)), key=lambda place: weights[place])
    if len(ordered) <= count:
        return ordered
    return [ordered[int((part + 0.5) * len(ordered) / count)] for part in range(count)]

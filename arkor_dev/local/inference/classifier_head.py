"""A classifier's head, beside the model that computes the hidden states of texts. Imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from safetensors import safe_open
from torch.nn.functional import linear

from arkor_dev.local.modeling.adapter_config import PREFIX
from arkor_dev.local.modeling.auto_class import is_encoder
from arkor_dev.local.modeling.classes import Classes
from arkor_dev.local.modeling.head import head_parts, hidden_layer
from arkor_dev.local.modeling.tokenizer import UNREADABLE
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedConfig

MOST_TOKENS: Final = 32_768
"""Maximum number of tokens of a request: other answers wait until all are read."""
TOGETHER: Final = 2048
"""Maximum number of tokens read at once, padding included, unless a single text is longer."""


@dataclass(frozen=True, slots=True)
class ClassifierHead:
    """The ``names`` of its classes, and the ``weight`` of its last layer, ``[classes, hidden size]`` in
    float32. ``multiple`` as in `Classes`.

    That of an encoder has a ``bias``, too, and a ``hidden_layer``; ``pooling`` is ``cls`` or ``mean``.
    """

    names: tuple[str, ...]
    weight: Tensor
    multiple: bool = False
    bias: Tensor | None = None
    hidden_layer: Module | None = None
    pooling: str = "last"

    @classmethod
    def read(cls, folder: Path, device: torch.device, config: PreTrainedConfig) -> ClassifierHead:
        """Read the head of the adapter in ``folder`` for a base of ``config``. Raises :class:`JobFailure`."""
        classes = Classes.read(folder)
        names, encoder = classes.names, is_encoder(config)
        bias, layer = None, None
        try:
            with safe_open(folder / "adapter_model.safetensors", "pt") as file:
                last = f"{PREFIX}{head_parts(config)[-1]}"
                weight = file.get_tensor(f"{last}.weight").float().to(device)
                if encoder:
                    bias = file.get_tensor(f"{last}.bias").float().to(device)
                    name, layer = hidden_layer(config)
                    layer.load_state_dict(
                        {key: file.get_tensor(f"{PREFIX}{name}.{key}") for key in layer.state_dict()}
                    )
                    layer = layer.float().to(device).eval()
        except UNREADABLE as error:
            raise JobFailure(f"The classifier's head cannot be read: {error}") from None
        if weight.ndim != 2 or len(weight) != len(names) or (bias is not None and len(bias) != len(weight)):
            raise JobFailure("The classifier's head does not fit its labels")
        if bias is None:
            return cls(names, weight, classes.multiple)
        pooling = getattr(config, "classifier_pooling", "cls")
        return cls(names, weight, classes.multiple, bias, layer, pooling)

    def logits(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits ``[texts, classes]`` in float32 for the ``hidden`` states of texts of the
        ``lengths``, ``[texts, longest, hidden size]``.
        """
        if self.pooling == "cls":
            pooled = hidden[:, 0].float()
        elif self.pooling == "mean":
            within = torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]
            pooled = (hidden.float() * within[..., None]).sum(1) / lengths[:, None]
        else:
            pooled = hidden[torch.arange(len(lengths), device=hidden.device), lengths - 1].float()
        return linear(self.hidden_layer(pooled) if self.hidden_layer else pooled, self.weight, self.bias)

    def probabilities(self, hidden: Tensor, lengths: Tensor, temperature: float) -> list[list[float]]:
        """Return the probability of each class; ``hidden`` and ``lengths`` as in `logits`."""
        logits = self.logits(hidden, lengths) / temperature
        by_text: list[list[float]] = (logits.sigmoid() if self.multiple else logits.softmax(-1)).tolist()
        return by_text


def check_lengths(texts: Sequence[Sequence[int]], context: int) -> None:
    """Raise :class:`JobFailure` if the tokens of a text are none or more than ``context``, or if all are more
    than a request may have.
    """
    for number, ids in enumerate(texts):
        if not ids:
            raise JobFailure(f"input[{number}] has no tokens: send a text that is not empty")
        if len(ids) > context:
            raise JobFailure(
                f"input[{number}] has {len(ids)} tokens, and this model reads at most {context}: shorten it"
            )
    if (total := sum(map(len, texts))) > MOST_TOKENS:
        raise JobFailure(f"input has {total} tokens, and {MOST_TOKENS} is the most: send fewer texts at once")


def batches(texts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Group the texts' numbers into batches of similar length, the longest first."""
    order = sorted(range(len(texts)), key=lambda number: -len(texts[number]))
    groups: list[list[int]] = []
    for number in order:
        if groups and (len(groups[-1]) + 1) * len(texts[groups[-1][0]]) <= TOGETHER:
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups

"""Supervised fine-tuning: cross entropy over the answers' tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.local.training.methods.interface import Method
from arkor_dev.local.training.rows.encoding import encode, rendered

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch.nn import Module
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.chat_template import Rendering
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.plan import Plan
    from arkor_dev.local.training.rows.encoding import Encoding

    from .loss import CrossEntropy


class SupervisedFineTuning(Method):
    """Learns the answers of conversations, or plain text. Its loss is the mean over all learned tokens."""

    traceable = True

    def renderings(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Rendering], list[int]]:
        """Return a conversation as its chat template renders it; see ``rows.encoding.rendered``."""
        return rendered(tokenizer, row, encoding)

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Example], bool]:
        """Return one example per rendering; see ``rows.encoding.encode``."""
        return encode(tokenizer, row, encoding)

    def objective(
        self, model: Module, device: str, dtype: torch.dtype, examples: Sequence[Example], plan: Plan
    ) -> CrossEntropy:
        """Return the cross entropy, with the plan's label smoothing during training."""
        from .loss import CrossEntropy

        return CrossEntropy(model, device, dtype, examples, plan.smoothing, noisy=plan.noise > 0)


METHOD = SupervisedFineTuning()

"""Self-distillation (Shenfeld et al. 2026, arXiv 2601.19897), with the names of TRL's ``SDFTTrainer``."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from arkor_dev.local.modeling.example import IGNORED, Example
from arkor_dev.local.training.methods.distill import Distillation
from arkor_dev.local.training.rows.prompts import last_answer, rendered_prompt
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch.nn import Module
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.data.rows import Row
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.objective import Objective
    from arkor_dev.local.training.plan import Plan
    from arkor_dev.local.training.rows.encoding import Encoding

DEMONSTRATION: Final = (
    "{prompt}\n\nThis is an example for a response to the question:\n{answer}\n\n"
    "Now answer with a response of your own."
)
"""The teacher's last user message. It is the paper's, which continues "including the thinking process": that
would teach models without thoughts to write some.
"""


class SelfDistillation(Distillation):
    """Give each token of the model's own answer the probability that it has for whoever knows a good one.

    The teacher is the same model, with the row's answer in its prompt as a demonstration.
    """

    def check(self, settings: EffectiveSettings) -> None:
        """Raise JobFailure for settings that do not go with it."""
        self.check_sampling(settings)
        if settings.get("fullFineTuning") and settings.get("teacherModelKind") != "live":
            raise JobFailure(
                "sdft would need the whole model twice, as it learns and as the teacher: remove "
                'full_fine_tuning, or set teacher_model_kind = "live"'
            )

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Example], bool]:
        """Return the prompt with the row's last answer, and as its other sequence the teacher's prompt."""
        (example,), truncated = super().encode(tokenizer, row, encoding)
        text = rendered_prompt(tokenizer, demonstrated(row))
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(ids) >= encoding.longest:
            raise JobFailure(
                f"{row.where}: the prompt with the wanted answer is {len(ids)} tokens long, and max_length "
                f"{encoding.longest} leaves no room for another answer: raise max_length or shorten the row"
            )
        teacher = Example(ids, [IGNORED] * len(ids), row.where)
        return [replace(example, others=(teacher,), counts=1)], truncated

    def objective(
        self, model: Module, device: str, dtype: torch.dtype, examples: Sequence[Example], plan: Plan
    ) -> Objective:
        """Return the divergence from the model that knows the answer."""
        from .loss import SelfDistillationLoss

        return SelfDistillationLoss(
            model, device, dtype, examples, settings=plan.method, noisy=plan.noise > 0
        )


def demonstrated(row: Row) -> Row:
    """Return the row with its last answer shown in the user message before it. Raises JobFailure."""
    last = last_answer(row)
    users = [index for index, message in enumerate(row.messages[:last]) if message["role"] == "user"]
    if not users:
        raise JobFailure(
            f"{row.where}: has no user message before its last answer, so the answer cannot be shown in the "
            "prompt: remove the row"
        )
    messages, wanted = list(row.messages), row.messages[last]
    calls = (json.dumps(call, ensure_ascii=False) for call in wanted.get("tool_calls", ()))
    answer = "\n".join(filter(None, [wanted["content"], *calls]))
    asked = messages[users[-1]]
    messages[users[-1]] = {**asked, "content": DEMONSTRATION.format(prompt=asked["content"], answer=answer)}
    return replace(row, messages=messages)


METHOD = SelfDistillation()

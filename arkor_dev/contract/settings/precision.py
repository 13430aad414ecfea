"""What is computed in which numbers, and what is kept in memory for it."""

from __future__ import annotations

from typing import Final

from arkor_dev.contract.rules import FLAG, Rule

from .setting import LOCAL, Setting

ROWS: Final = (
    Setting(
        key="load_in_4bit",
        field="loadIn4bit",
        label="Loaded in 4 bit",
        help="Load the base model in 4 bit, which needs a quarter of the memory.",
        rule=FLAG,
        style="flag",
        group="precision",
        default=False,
        where="CUDA GPUs",
    ),
    Setting(
        key="number_format",
        field="numberFormat",
        label="Number format",
        help="What is computed in; the weights of an adapter are float32 in any case. auto is as if unset.",
        rule=Rule("choice", choices=("auto", "float32", "bfloat16", "float16")),
        style="text",
        group="precision",
        default_words="on a CPU the quicker one, measured; on a GPU bfloat16 where it has that",
        example="auto",
        where=LOCAL,
    ),
    Setting(
        key="bf16",
        field="bf16",
        label="Computed in bfloat16",
        help="Compute in bfloat16, whatever was measured; false is never.",
        rule=FLAG,
        style="flag",
        group="precision",
        default_words="as number_format says",
        example=True,
        where=LOCAL,
    ),
    Setting(
        key="fp16",
        field="fp16",
        label="Computed in float16",
        help="Compute in float16, the loss scaled up against underflow: for GPUs without bfloat16.",
        rule=FLAG,
        style="flag",
        group="precision",
        default_words="as number_format says",
        example=True,
        where=LOCAL,
    ),
    Setting(
        key="gradient_checkpointing",
        aliases=("activation_checkpointing",),
        field="gradientCheckpointing",
        label="Gradient checkpointing",
        help="Compute activations again on the way back and keep few: much less memory, a third more time.",
        rule=FLAG,
        style="flag",
        group="precision",
        default_words="only with load_in_4bit",
        example=True,
        where=LOCAL,
    ),
)

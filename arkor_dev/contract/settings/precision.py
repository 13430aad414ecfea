"""Numeric precision and memory."""

from __future__ import annotations

from functools import partial
from typing import Final

from arkor_dev.contract.rules import FLAG, Rule

from .setting import LOCAL, Setting

_setting = partial(Setting, group="precision")

ROWS: Final = (
    _setting(
        key="load_in_4bit",
        field="loadIn4bit",
        label="Quantize to 4 bits",
        help="Load the base model in 4-bit (NF4), for about a quarter of the memory.",
        rule=FLAG,
        style="flag",
        default=False,
        where="CUDA GPUs",
    ),
    _setting(
        key="number_format",
        field="numberFormat",
        label="Compute dtype",
        help="Data type of the computation; adapter weights are always float32. auto means the default.",
        rule=Rule("choice", choices=("auto", "float32", "bfloat16", "float16")),
        style="text",
        default_words="the faster one, measured, on a CPU; bfloat16 on a GPU that supports it",
        example="auto",
        where=LOCAL,
    ),
    _setting(
        key="bf16",
        field="bf16",
        label="Use bfloat16",
        help="Compute in bfloat16, skipping the measurement; false disables it.",
        rule=FLAG,
        style="flag",
        default_words="from number_format",
        example=True,
        where=LOCAL,
    ),
    _setting(
        key="fp16",
        field="fp16",
        label="Use float16",
        help="Compute in float16 with loss scaling, for GPUs without bfloat16.",
        rule=FLAG,
        style="flag",
        default_words="from number_format",
        example=True,
        where=LOCAL,
    ),
    _setting(
        key="gradient_checkpointing",
        aliases=("activation_checkpointing",),
        field="gradientCheckpointing",
        label="Gradient checkpointing",
        help="Recompute activations in the backward pass: much less memory, about a third more time.",
        rule=FLAG,
        style="flag",
        default_words="on with load_in_4bit only",
        example=True,
        where=LOCAL,
    ),
    _setting(
        key="offload",
        field="offload",
        label="Layer streaming",
        help="Read frozen layers from their files as they are used: less memory, slower. auto: if needed.",
        rule=Rule("choice", choices=("auto", "none", "layers")),
        style="text",
        default="auto",
        where="CPUs, CUDA GPUs",
    ),
    _setting(
        key="activation_offloading",
        field="activationOffloading",
        label="Activation offloading",
        help="Keep activations in the computer's memory until the backward pass: less GPU memory, slower.",
        rule=FLAG,
        style="flag",
        default=False,
        where="CUDA GPUs",
    ),
)

"""What is computed in which numbers, and what is kept in memory for it."""

from __future__ import annotations

from typing import Final

from arkor_dev.contract.rules import FLAG, Rule

from .setting import Setting

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
        help="What a CPU computes in; the weights that learn are float32 in any case.",
        rule=Rule("choice", choices=("float32", "bfloat16")),
        style="text",
        group="precision",
        default_words="the quicker one, measured",
        example="float32",
        where="the local backend on a CPU",
    ),
)

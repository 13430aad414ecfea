"""What is trained: an adapter, with the terms of PEFT's LoraConfig, or the whole model."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from arkor_dev.contract.rules import FLAG, Rule, integer, text_line

from .setting import LOCAL, Setting

INITS: Final = ("default", "gaussian", "orthogonal", "pissa", "olora")
NAMES: Final = Rule("list", 1, 200, "a name or a list of names", of=text_line(200))
TARGETS: Final = replace(
    NAMES,
    noun='a name or a list of names, or "all-linear" alone',
    alone=("all-linear",),
)

_setting = partial(Setting, group="adapter", where=LOCAL)

ROWS: Final = (
    _setting(
        key="full_fine_tuning",
        field="fullFineTuning",
        label="Full fine-tuning",
        help="Train all weights, without an adapter. For small models: it needs many times the memory.",
        rule=FLAG,
        style="flag",
        default=False,
    ),
    _setting(
        key="lora.target_modules",
        field="loraTargetModules",
        label="Target modules",
        help='Layers that get LoRA matrices, by name suffix; "all-linear": all of the language model.',
        rule=TARGETS,
        style="list",
        default="all-linear",
    ),
    _setting(
        key="lora.layers_to_transform",
        field="loraLayersToTransform",
        label="Layers to adapt",
        help="Indices of the transformer layers that get an adapter, from 0.",
        rule=Rule("list", 1, 1000, "a whole number or a list of them", of=integer(0, 10_000)),
        style="list",
        default_words="all",
        example=[0, 1],
    ),
    _setting(
        key="lora.modules_to_save",
        field="loraModulesToSave",
        label="Modules to save",
        help="Modules trained in full and saved with the adapter, such as a new head.",
        rule=NAMES,
        style="list",
        default_words="none",
        example=["lm_head"],
    ),
    _setting(
        key="lora.dropout",
        field="loraDropout",
        aliases=("lora.lora_dropout",),
        label="LoRA dropout",
        help="Dropout on the adapter's input, against overfitting.",
        rule=Rule("number", 0, 0.9, "a fraction"),
        style="share",
        default=0.0,
    ),
    _setting(
        key="lora.use_rslora",
        field="useRslora",
        label="Rank-stabilized LoRA",
        help="rsLoRA: scale by alpha/√r instead of alpha/r, which helps high ranks.",
        rule=FLAG,
        style="flag",
        default=False,
    ),
    _setting(
        key="lora.use_dora",
        field="useDora",
        label="DoRA",
        help="Learn each weight's magnitude and direction separately. Better at low ranks, slower.",
        rule=FLAG,
        style="flag",
        default=False,
    ),
    _setting(
        key="lora.init_lora_weights",
        field="initLoraWeights",
        label="Initialization",
        help="Start at zero (default, gaussian, orthogonal) or by factorizing the weights (pissa, olora).",
        rule=Rule("choice", choices=INITS),
        style="text",
        default="default",
        passes=lambda value: value is True,  # as PEFT writes the default
    ),
)

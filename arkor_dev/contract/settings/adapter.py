"""What learns: an adapter, by the words of PEFT's LoraConfig, or the whole model."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from arkor_dev.contract.rules import FLAG, Rule, text_line, whole

from .setting import LOCAL, Setting

INITS: Final = ("default", "gaussian", "orthogonal", "pissa", "olora")
NAMES: Final = Rule("list", 1, 200, "a name or a list of names", of=text_line(200))
TARGETS: Final = replace(
    NAMES,
    noun='a name or a list of names, or "all-linear" alone',
    alone=("all-linear",),
)

ROWS: Final = (
    Setting(
        key="full_fine_tuning",
        field="fullFineTuning",
        label="Train the whole model",
        help="Let all weights learn, without an adapter. For small models: it needs many times the memory.",
        rule=FLAG,
        style="flag",
        group="adapter",
        default=False,
        where=LOCAL,
    ),
    Setting(
        key="lora.target_modules",
        field="loraTargetModules",
        label="Adapted layers",
        help=(
            "The layers that get an adapter, by the end of their names; "
            '"all-linear" is every linear one of the language model.'
        ),
        rule=TARGETS,
        style="list",
        group="adapter",
        default="all-linear",
        where=LOCAL,
    ),
    Setting(
        key="lora.layers_to_transform",
        field="loraLayersToTransform",
        label="Adapted blocks",
        help="Only these blocks of the model get an adapter, counted from 0.",
        rule=Rule("list", 1, 1000, "a whole number or a list of them", of=whole(0, 10_000)),
        style="list",
        group="adapter",
        default_words="all of them",
        example=[0, 1],
        where=LOCAL,
    ),
    Setting(
        key="lora.modules_to_save",
        field="loraModulesToSave",
        label="Layers trained whole",
        help="Layers that learn in full beside the adapter, and are saved with it: a new head, say.",
        rule=NAMES,
        style="list",
        group="adapter",
        default_words="none",
        example=["lm_head"],
        where=LOCAL,
    ),
    Setting(
        key="lora.dropout",
        field="loraDropout",
        aliases=("lora.lora_dropout",),
        label="LoRA dropout",
        help="The part of an adapter's inputs that is left out by chance, against learning by heart.",
        rule=Rule("number", 0, 0.9, "a fraction"),
        style="share",
        group="adapter",
        default=0.0,
        where=LOCAL,
    ),
    Setting(
        key="lora.use_rslora",
        field="useRslora",
        label="Scaled by the root of the rank",
        help="Scale the adapter by alpha over the root of r, not by alpha over r: large ranks learn more.",
        rule=FLAG,
        style="flag",
        group="adapter",
        default=False,
        where=LOCAL,
    ),
    Setting(
        key="lora.use_dora",
        field="useDora",
        label="DoRA",
        help="Let each weight's length learn apart from its direction. Better at small ranks, and slower.",
        rule=FLAG,
        style="flag",
        group="adapter",
        default=False,
        where=LOCAL,
    ),
    Setting(
        key="lora.init_lora_weights",
        field="initLoraWeights",
        label="How the adapter begins",
        help="Begin at nothing (default, gaussian, orthogonal), or at the strongest parts of the weights.",
        rule=Rule("choice", choices=INITS),
        style="text",
        group="adapter",
        default="default",
        where=LOCAL,
        passes=lambda value: value is True,  # as PEFT writes the default
    ),
)

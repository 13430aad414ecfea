"""How the learning rate goes, and the rule by which the weights follow the gradient."""

from __future__ import annotations

from typing import Final

from arkor_dev.contract.rules import Rule, above_zero, whole

from .setting import LOCAL, Setting

OPTIMIZERS: Final = ("adamw", "adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "lion")
FRACTION: Final = Rule("number", 0, 0.9999999, "a fraction")

ROWS: Final = (
    Setting(
        key="warmup_ratio",
        field="warmupRatio",
        label="Warm-up, as a share",
        help="The part of all steps over which the learning rate rises. Set this or warmup_steps.",
        rule=Rule("number", 0, 1, "a fraction of the steps,"),
        style="share",
        group="schedule",
        default_words="as warmup_steps says",
        example=0.05,
        where=LOCAL,
    ),
    Setting(
        key="lr_scheduler_kwargs.num_cycles",
        field="lrNumCycles",
        label="Waves of the schedule",
        help="How often cosine_with_restarts falls from the height; once is the plain cosine.",
        rule=whole(1, 1000),
        style="count",
        group="schedule",
        default=1,
        where=LOCAL,
    ),
    Setting(
        key="lr_scheduler_kwargs.power",
        field="lrPower",
        label="Power of the polynomial",
        help="How a polynomial schedule falls: 1 is a line, 2 falls early, 0.5 late.",
        rule=above_zero(100),
        style="count",
        group="schedule",
        default=1.0,
        where=LOCAL,
    ),
    Setting(
        key="lr_scheduler_kwargs.num_decay_steps",
        field="lrNumDecaySteps",
        label="Fall of wsd",
        help="Over how many steps at the end wsd (warm-up, stable, decay) falls to nothing.",
        rule=whole(1),
        style="steps",
        group="schedule",
        unit="steps",
        default_words="a tenth of the steps",
        example=10,
        where=LOCAL,
    ),
    Setting(
        key="optimizer",
        aliases=("optim",),
        field="optim",
        label="Optimiser",
        help="The rule by which the weights follow the gradient.",
        rule=Rule("choice", choices=OPTIMIZERS),
        style="text",
        group="schedule",
        default="adamw",
        passes=lambda value: isinstance(value, str) and "adamw" in value,  # adamw_8bit, adamw_torch
    ),
    Setting(
        key="weight_decay",
        field="weightDecay",
        label="Weight decay",
        help="How strongly the weights are drawn towards zero at each step.",
        rule=Rule("number", 0, 1),
        style="rate",
        group="schedule",
        default=0.0,
    ),
    Setting(
        key="adam_beta1",
        field="adamBeta1",
        label="Adam's beta 1",
        help="How long AdamW and lion remember the gradient: 0.9 is about ten steps.",
        rule=FRACTION,
        style="rate",
        group="schedule",
        default=0.9,
        where=LOCAL,
    ),
    Setting(
        key="adam_beta2",
        field="adamBeta2",
        label="Adam's beta 2",
        help="How long AdamW remembers the gradient's size: 0.999 is about a thousand steps.",
        rule=FRACTION,
        style="rate",
        group="schedule",
        default=0.999,
        where=LOCAL,
    ),
    Setting(
        key="adam_epsilon",
        field="adamEpsilon",
        label="Adam's epsilon",
        help="Keeps AdamW's steps small where gradients are nearly nothing.",
        rule=above_zero(1),
        style="rate",
        group="schedule",
        default=1e-8,
        where=LOCAL,
    ),
    Setting(
        key="max_grad_norm",
        field="maxGradNorm",
        label="Longest gradient",
        help="A longer gradient is cut to this length: one odd batch cannot undo the rest. 0 is never.",
        rule=Rule("number", 0, 1000),
        style="count",
        group="schedule",
        default=1.0,
        where=LOCAL,
    ),
)

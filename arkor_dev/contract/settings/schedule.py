"""Learning rate schedule and optimizer."""

from __future__ import annotations

from functools import partial
from typing import Final

from arkor_dev.contract.rules import Rule, above_zero, integer

from .setting import EVERYWHERE, LOCAL, Setting

OPTIMIZERS: Final = ("adamw", "adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "lion")
FRACTION: Final = Rule("number", 0, 0.9999999, "a fraction")

_setting = partial(Setting, group="schedule", where=LOCAL)

ROWS: Final = (
    _setting(
        key="warmup_ratio",
        field="warmupRatio",
        adjustable=True,
        label="Warmup ratio",
        help="Fraction of the steps used for warmup. Set this or warmup_steps.",
        rule=Rule("number", 0, 1, "a fraction of the steps,"),
        style="share",
        default_words="from warmup_steps",
        example=0.05,
    ),
    _setting(
        key="lr_scheduler_kwargs.num_cycles",
        field="lrNumCycles",
        adjustable=True,
        label="Restart cycles",
        help="Number of cosine_with_restarts cycles; 1 is plain cosine.",
        rule=integer(1, 1000),
        style="count",
        default=1,
    ),
    _setting(
        key="lr_scheduler_kwargs.power",
        field="lrPower",
        adjustable=True,
        label="Polynomial power",
        help="Exponent of the polynomial schedule: 1 decays linearly, 2 decays early, 0.5 late.",
        rule=above_zero(100),
        style="count",
        default=1.0,
    ),
    _setting(
        key="lr_scheduler_kwargs.num_decay_steps",
        field="lrNumDecaySteps",
        adjustable=True,
        label="WSD decay steps",
        help="Length of the final decay of wsd (warmup, stable, decay).",
        rule=integer(1),
        style="steps",
        unit="steps",
        default_words="10 % of the steps",
        example=10,
    ),
    _setting(
        key="optimizer",
        aliases=("optim",),
        field="optim",
        label="Optimizer",
        help="Algorithm that updates the weights.",
        rule=Rule("choice", choices=OPTIMIZERS),
        style="text",
        default="adamw",
        passes=lambda value: isinstance(value, str) and "adamw" in value,  # adamw_8bit, adamw_torch
        where=EVERYWHERE,
    ),
    _setting(
        key="weight_decay",
        field="weightDecay",
        label="Weight decay",
        help="Decoupled weight decay, as in AdamW.",
        rule=Rule("number", 0, 1),
        style="rate",
        default=0.0,
        where=EVERYWHERE,
    ),
    _setting(
        key="adam_beta1",
        field="adamBeta1",
        label="Adam beta1",
        help="Decay rate of the first moment (AdamW, Lion).",
        rule=FRACTION,
        style="rate",
        default=0.9,
    ),
    _setting(
        key="adam_beta2",
        field="adamBeta2",
        label="Adam beta2",
        help="Decay rate of the second moment (AdamW).",
        rule=FRACTION,
        style="rate",
        default=0.999,
    ),
    _setting(
        key="adam_epsilon",
        field="adamEpsilon",
        label="Adam epsilon",
        help="Added to AdamW's denominator for numerical stability.",
        rule=above_zero(1),
        style="rate",
        default=1e-8,
    ),
    _setting(
        key="max_grad_norm",
        field="maxGradNorm",
        adjustable=True,
        label="Max gradient norm",
        help="Clips the gradient to this L2 norm; 0 disables clipping.",
        rule=Rule("number", 0, 1000),
        style="count",
        default=1.0,
    ),
)

"""How a model learns from preferred and rejected answers; the names and defaults are TRL's."""

from __future__ import annotations

from functools import partial
from typing import Final

from arkor_dev.contract.rules import Rule, above_zero

from .distillation import METHOD as DISTILLATION
from .distillation import SELF
from .reward import LOSSES as REWARD_LOSSES
from .reward import METHOD as REWARDS
from .setting import LOCAL, Setting, Variant

PAIRS: Final = ("dpo", "cpo", "orpo")
RATINGS: Final = ("kto",)
LOSSES: Final = ("sigmoid", "hinge", "ipo", "apo_zero", "simpo")

DIVERGENCE: Final[Variant] = {
    "rule": Rule("number", 0, 1, "a fraction"),
    "default": 0.5,
    "help": "0 is the KL divergence from the teacher, 1 the reverse one, and between them both.",
}
"""What ``beta`` is for the methods with a teacher."""

_setting = partial(Setting, group="data", where=LOCAL)

ROWS: Final = (
    _setting(
        key="beta",
        field="beta",
        aliases=("distillation_alpha",),
        label="Beta",
        help="How strongly the answers are told apart. For dpo and kto: higher stays closer to the start.",
        rule=above_zero(100),
        style="text",
        default=0.1,
        measured_by=(*PAIRS, *RATINGS),
        methods=(*PAIRS, *RATINGS, REWARDS, DISTILLATION, SELF),
        variants={
            REWARDS: {
                "rule": Rule("number", 0, 100),
                "default": 0.0,
                "help": "How strongly the adapter is kept near its start (KL divergence); 0 for not at all.",
            },
            DISTILLATION: DIVERGENCE,
            SELF: DIVERGENCE,
        },
    ),
    _setting(
        key="loss_type",
        field="lossType",
        label="Loss type",
        help="sigmoid (DPO), hinge, ipo, apo_zero (dpo only), simpo (cpo only: by mean log-probability).",
        rule=Rule("choice", choices=LOSSES),
        style="text",
        default="sigmoid",
        measured_by=PAIRS,
        methods=("dpo", "cpo", REWARDS),
        variants={
            REWARDS: {
                "rule": Rule("choice", choices=REWARD_LOSSES),
                "default": REWARD_LOSSES[0],
                "help": "The mean over all tokens (dapo), over answers (grpo) or over batches (bnpo), or "
                "the sum by the longest answer (dr_grpo).",
            }
        },
    ),
    _setting(
        key="rpo_alpha",
        field="rpoAlpha",
        label="RPO alpha",
        help="Adds this many times the cross entropy of the chosen answer, so that it stays likely.",
        rule=Rule("number", 0, 100),
        style="text",
        default=0.0,
        measured_by=PAIRS,
        methods=("dpo",),
    ),
    _setting(
        key="cpo_alpha",
        field="cpoAlpha",
        label="CPO alpha",
        help="Adds this many times the cross entropy of the chosen answer; 0 with simpo is plain SimPO.",
        rule=Rule("number", 0, 100),
        style="text",
        default=1.0,
        measured_by=PAIRS,
        methods=("cpo",),
    ),
    _setting(
        key="simpo_gamma",
        field="simpoGamma",
        label="Target margin",
        help="How far apart simpo wants the rewards of the two answers.",
        rule=Rule("number", 0, 100),
        style="text",
        default=0.5,
        measured_by=PAIRS,
        methods=("cpo",),
    ),
    _setting(
        key="desirable_weight",
        field="desirableWeight",
        label="Weight of good answers",
        help="Multiplies the loss of good answers. Raise it if there are fewer good than bad ones.",
        rule=Rule("number", 0, 100),
        style="text",
        default=1.0,
        measured_by=RATINGS,
        methods=RATINGS,
    ),
    _setting(
        key="undesirable_weight",
        field="undesirableWeight",
        label="Weight of bad answers",
        help="Multiplies the loss of bad answers. Raise it if there are fewer bad than good ones.",
        rule=Rule("number", 0, 100),
        style="text",
        default=1.0,
        measured_by=RATINGS,
        methods=RATINGS,
    ),
)

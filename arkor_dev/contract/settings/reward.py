"""How a model learns from rewards of its own answers; the names are TRL's, and so are most defaults."""

from __future__ import annotations

from functools import partial
from typing import Final

from arkor_dev.contract.rules import Rule, above_zero, integer, text_line

from .distillation import METHOD as DISTILLATION
from .distillation import SELF
from .own_sets import MOST
from .setting import LOCAL, Setting

METHOD: Final = "grpo"
LOSSES: Final = ("dapo", "grpo", "bnpo", "dr_grpo")

_setting = partial(Setting, group="reward", where=LOCAL, methods=(METHOD,))

ROWS: Final = (
    _setting(
        key="reward_funcs",
        field="rewardFuncs",
        label="Rewards",
        help="Names of the [[evaluation]] tables whose metrics reward an answer.",
        rule=Rule("list", 1, MOST, f"a name or a list of up to {MOST}", of=text_line(60)),
        style="list",
        default_words="every [[evaluation]] with a metric other than loss",
        example=["format", "right"],
        measured_by=(METHOD,),
    ),
    _setting(
        key="reward_weights",
        field="rewardWeights",
        label="Reward weights",
        help="How much each reward counts in the sum, in the order of the rewards; negative for a penalty.",
        rule=Rule("list", 1, MOST, f"a number or a list of up to {MOST}", of=Rule("number", -1000, 1000)),
        style="list",
        default_words="1 each",
        example=[1.0, 0.5],
        measured_by=(METHOD,),
    ),
    _setting(
        key="num_generations",
        field="numGenerations",
        label="Answers per prompt",
        help="Answers sampled for each prompt; an answer is judged by the others of its prompt.",
        rule=integer(2, 128),
        style="count",
        unit="answers",
        default=8,
    ),
    _setting(
        key="max_completion_length",
        field="maxCompletionLength",
        label="Longest answer",
        help="Most tokens of a sampled answer; a longer one is cut there and scored as it is.",
        rule=integer(1, 32_768),
        style="tokens",
        unit="tokens",
        default=256,
        methods=(METHOD, DISTILLATION, SELF),
        variants={
            DISTILLATION: {"default": 128, "help": "Most tokens of a sampled answer; a longer one is cut."},
            SELF: {"help": "Most tokens of a sampled answer; a longer one is cut."},
        },
        measured_by=(METHOD,),
    ),
    _setting(
        key="temperature",
        field="temperature",
        label="Temperature",
        help="Temperature of the sampled answers: higher tries more.",
        rule=above_zero(10),
        style="text",
        default=1.0,
        methods=(METHOD, DISTILLATION, SELF),
        variants={DISTILLATION: {"default": 0.9}},
    ),
    _setting(
        key="scale_rewards",
        field="scaleRewards",
        label="Scale of the rewards",
        help="Divide an answer's advantage by the spread in its group, in the whole step (batch), or not.",
        rule=Rule("choice", choices=("group", "batch", "none")),
        style="text",
        default="group",
    ),
    _setting(
        key="num_iterations",
        field="numIterations",
        label="Updates per step",
        help="How many times the weights are updated from the same answers.",
        rule=integer(1, 100),
        style="count",
        unit="updates",
        default=1,
    ),
    _setting(
        key="epsilon",
        field="epsilon",
        label="Clipping",
        help="How far a token's probability may move before it is clipped, with several updates per step.",
        rule=above_zero(1),
        style="text",
        default=0.2,
    ),
)

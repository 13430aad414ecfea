"""How a model learns from rewards of its own answers; the names are TRL's, and so are most defaults."""

from __future__ import annotations

from functools import partial
from typing import Final

from arkor_dev.contract.rules import FLAG, Rule, above_zero, integer, text_line

from .distillation import METHOD as DISTILLATION
from .distillation import SELF
from .own_sets import MOST
from .setting import LOCAL, Setting

METHOD: Final = "grpo"
ENVIRONMENT: Final = "environment"
"""The field of a job's config with the environment that its model acts in."""
OF_ENVIRONMENT: Final = ("maxTurns", "maxEpisodeTokens")
"""The fields that apply only with it."""
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
        default_words="every [[evaluation]] with a metric other than loss; none with an environment, whose "
        "own reward counts",
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
        key="environment",
        field=ENVIRONMENT,
        label="Environment",
        help="A class of the project, as module:class, with the tools that the model acts with before it "
        "answers; it may reward the episode.",
        rule=text_line(1000, "a class as module:class"),
        style="text",
        default_words="none: one answer without tools",
        example="env:Desk",
        measured_by=(METHOD,),
    ),
    _setting(
        key="max_turns",
        field="maxTurns",
        label="Most turns",
        help="Most answers of the model in an episode of an environment; an episode ends earlier with an "
        "answer that calls no tool.",
        rule=integer(1, 100),
        style="count",
        unit="answers",
        default=8,
        measured_by=(METHOD,),
    ),
    _setting(
        key="max_episode_tokens",
        field="maxEpisodeTokens",
        label="Longest episode",
        help="Most tokens of an episode after its prompt: answers and what the tools say.",
        rule=integer(1, 131_072),
        style="tokens",
        unit="tokens",
        default=1024,
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
    _setting(
        key="epsilon_high",
        field="epsilonHigh",
        label="Upper clipping",
        help="How far a token's probability may rise before it is clipped; DAPO uses 0.28, so that rare "
        "tokens can become likely.",
        rule=above_zero(10),
        style="text",
        default_words="epsilon",
        example=0.28,
    ),
    _setting(
        key="importance_sampling_level",
        field="importanceSamplingLevel",
        label="Importance sampling level",
        help="Clip the ratio of each token's probability to that when it was sampled, or of the whole answer "
        "(sequence, which is GSPO with loss_type grpo).",
        rule=Rule("choice", choices=("token", "sequence")),
        style="text",
        default="token",
    ),
    _setting(
        key="mask_truncated_completions",
        field="maskTruncatedCompletions",
        label="Leave out cut answers",
        help="Learn nothing from answers that were cut at max_completion_length; their rewards still count "
        "in the group's mean.",
        rule=FLAG,
        style="flag",
        default=False,
    ),
    _setting(
        key="soft_punish_cache",
        field="softPunishCache",
        label="Soft overlong punishment",
        help="Subtract up to 1 from the reward, growing over this many last tokens of max_completion_length.",
        rule=integer(1, 32_768),
        style="tokens",
        unit="tokens",
        default_words="no punishment",
        example=64,
        measured_by=(METHOD,),
    ),
    _setting(
        key="max_resample_times",
        field="maxResampleTimes",
        label="Dynamic sampling",
        help="Replace prompts whose answers all got the same reward by other prompts, up to this many times "
        "per step; 0 for never.",
        rule=integer(0, 20),
        style="count",
        unit="times",
        default=0,
        example=3,
    ),
)

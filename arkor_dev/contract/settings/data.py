"""Settings of the rows: which tokens are learned, and from which rows."""

from __future__ import annotations

from functools import partial
from typing import Final

from arkor_dev.contract.rules import FLAG, Rule, text_line

from .setting import EVERYWHERE, LOCAL, Setting

MOST_WEIGHT: Final = 100

_setting = partial(Setting, group="data", where=LOCAL)

ROWS: Final = (
    _setting(
        key="method",
        field="method",
        label="Training method",
        help="How the model learns from the rows: sft is supervised fine-tuning.",
        rule=text_line(40, "a training method's name"),
        style="text",
        default="sft",
    ),
    _setting(
        key="train_on_responses_only",
        aliases=("assistant_only_loss",),
        field="trainOnResponsesOnly",
        label="Loss on answers only",
        help="Compute the loss on the assistant's answers only, not on the prompts.",
        rule=FLAG,
        style="flag",
        default=True,
        where=EVERYWHERE,
    ),
    _setting(
        key="completion_only_loss",
        field="completionOnlyLoss",
        label="Loss on last answer only",
        help="Compute the loss on the last answer of each chat only.",
        rule=FLAG,
        style="flag",
        default=False,
    ),
    _setting(
        key="chat_template_kwargs.enable_thinking",
        field="enableThinking",
        label="Thinking",
        help="The template's enable_thinking, as of Qwen3: false learns and answers without thoughts.",
        rule=FLAG,
        style="flag",
        default_words="the template's own",
        example=False,
    ),
    _setting(
        key="thought_weight",
        field="thoughtWeight",
        label="Weight of thoughts",
        help="Weight of each token of a thought in the loss; 0: thoughts are not learned.",
        rule=Rule("number", 0, MOST_WEIGHT),
        style="text",
        default=1.0,
        methods=("sft",),
        measured_by=("sft",),
    ),
    _setting(
        key="answer_weight",
        field="answerWeight",
        label="Weight of answers",
        help="Weight of each token after an answer's thoughts in the loss; 0: only thoughts are learned.",
        rule=Rule("number", 0, MOST_WEIGHT),
        style="text",
        default=1.0,
        methods=("sft",),
        measured_by=("sft",),
    ),
    _setting(
        key="train_on_empty_thoughts",
        field="trainOnEmptyThoughts",
        label="Loss on empty thoughts",
        help="Learn empty thoughts, which teach not to think. If false, the switch enable_thinking is kept.",
        rule=FLAG,
        style="flag",
        default=True,
        methods=("sft",),
    ),
    _setting(
        key="packing",
        field="packing",
        label="Packing",
        help="Pack examples into sequences of up to max_length; attention stays within each example.",
        rule=FLAG,
        style="flag",
        default=False,
    ),
    _setting(
        key="group_by_length",
        field="groupByLength",
        label="Group by length",
        help="Batch examples of similar length. No gain on a CPU, which pads nothing.",
        rule=FLAG,
        style="flag",
        default=False,
    ),
    _setting(
        key="label_smoothing_factor",
        field="labelSmoothingFactor",
        label="Label smoothing",
        help="Fraction of the probability spread over all tokens, against overconfidence.",
        rule=Rule("number", 0, 0.9, "a fraction"),
        style="share",
        default=0.0,
    ),
    _setting(
        key="skip_bad_rows",
        field="skipBadRows",
        label="Skip invalid rows",
        help="Skip rows that can't be read, and report them. Otherwise the first one ends the job.",
        rule=FLAG,
        style="flag",
        default=False,
    ),
)

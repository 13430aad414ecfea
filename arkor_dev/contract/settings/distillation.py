"""How a model learns from a teacher; the names and defaults are those of TRL's ``GKDTrainer`` and
``SDFTTrainer``.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from arkor_dev.contract.rules import FLAG, Rule, above_zero, integer, text_line

from .setting import LOCAL, Setting

METHOD: Final = "distill"
SELF: Final = "sdft"

_setting = partial(Setting, group="data", where=LOCAL, methods=(METHOD,))

ROWS: Final = (
    _setting(
        key="teacher",
        field="teacher",
        label="Teacher",
        help="The model to learn from: a name or a folder, with the same vocabulary, or the id of a job on "
        'the same base; "base" is this model without the adapter.',
        rule=text_line(500, "a model's name or folder, or a job's id"),
        style="text",
        default_words="none, so it must be set",
        example="Qwen/Qwen3-4B",
    ),
    _setting(
        key="lmbda",
        field="lmbda",
        label="Share of own answers",
        help="This share of each step's rows is learned with an answer that the model samples itself.",
        rule=Rule("number", 0, 1, "a fraction"),
        style="share",
        default=0.5,
    ),
    _setting(
        key="seq_kd",
        field="seqKd",
        label="Answers of the teacher",
        help="The other rows are learned with an answer that the teacher samples, instead of their own.",
        rule=FLAG,
        style="flag",
        default=False,
    ),
    _setting(
        key="distillation_topk",
        field="distillationTopk",
        label="Compared tokens",
        help="At each position, only this many of the model's likeliest tokens are compared with the "
        "teacher's; 0 for the whole vocabulary.",
        rule=integer(0),
        style="tokens",
        unit="tokens",
        default=0,
        methods=(METHOD, SELF),
        variants={SELF: {"default": 100}},
    ),
    _setting(
        key="distillation_add_tail",
        field="distillationAddTail",
        label="Compare the rest",
        help="The other tokens together count as one more, instead of being left out.",
        rule=FLAG,
        style="flag",
        default=False,
        methods=(METHOD, SELF),
    ),
    _setting(
        key="teacher_model_kind",
        field="teacherModelKind",
        label="Weights of the teacher",
        help="Those at the start (base), their moving average (ema), or the current ones (live).",
        rule=Rule("choice", choices=("base", "ema", "live")),
        style="text",
        default="base",
        methods=(SELF,),
    ),
    _setting(
        key="teacher_update_rate",
        field="teacherUpdateRate",
        label="Rate of the average",
        help="How far the moving average goes towards the current weights at each update.",
        rule=above_zero(1),
        style="text",
        default=0.05,
        methods=(SELF,),
    ),
    _setting(
        key="teacher_sync_steps",
        field="teacherSyncSteps",
        label="Steps between its updates",
        help="The moving average is updated after this many steps.",
        rule=integer(1),
        style="count",
        unit="steps",
        default=1,
        methods=(SELF,),
    ),
)

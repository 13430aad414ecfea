"""How a model learns from a teacher; the names and defaults are those of TRL's ``GKDTrainer``."""

from __future__ import annotations

from functools import partial
from typing import Final

from arkor_dev.contract.rules import FLAG, Rule, text_line

from .setting import LOCAL, Setting

METHOD: Final = "distill"

_setting = partial(Setting, group="data", where=LOCAL, methods=(METHOD,))

ROWS: Final = (
    _setting(
        key="teacher",
        field="teacher",
        label="Teacher",
        help='The model to learn from: a name or a folder, with the same vocabulary; "base" is this model '
        "without the adapter.",
        rule=text_line(500, "the name or folder of a model, 500 characters at most"),
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
)

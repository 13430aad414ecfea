"""What of the rows is learned, and of which."""

from __future__ import annotations

from typing import Final

from arkor_dev.contract.rules import FLAG, Rule

from .setting import LOCAL, Setting

ROWS: Final = (
    Setting(
        key="train_on_responses_only",
        aliases=("assistant_only_loss",),
        field="trainOnResponsesOnly",
        label="Loss on answers only",
        help="Learn the answers, not the questions.",
        rule=FLAG,
        style="flag",
        group="data",
        default=True,
    ),
    Setting(
        key="completion_only_loss",
        field="completionOnlyLoss",
        label="Loss on the last answer only",
        help="Of each chat learn the last answer alone; what came before it is read and not learned.",
        rule=FLAG,
        style="flag",
        group="data",
        default=False,
        where=LOCAL,
    ),
    Setting(
        key="packing",
        field="packing",
        label="Packing",
        help="Put several chats where one was, up to the maximum length; each still sees itself alone.",
        rule=FLAG,
        style="flag",
        group="data",
        default=False,
        where=LOCAL,
    ),
    Setting(
        key="group_by_length",
        field="groupByLength",
        label="Grouped by length",
        help="Let chats of like length come together. A CPU fills none up anyway, and gains nothing by it.",
        rule=FLAG,
        style="flag",
        group="data",
        default=False,
        where=LOCAL,
    ),
    Setting(
        key="label_smoothing_factor",
        field="labelSmoothingFactor",
        label="Label smoothing",
        help="The part of a token's probability that is wanted of all tokens alike, against overconfidence.",
        rule=Rule("number", 0, 0.9, "a fraction"),
        style="share",
        group="data",
        default=0.0,
        where=LOCAL,
    ),
    Setting(
        key="skip_bad_rows",
        field="skipBadRows",
        label="Unreadable rows left out",
        help="Leave out rows that cannot be read, and say which. Otherwise the first of them ends the job.",
        rule=FLAG,
        style="flag",
        group="data",
        default=False,
        where=LOCAL,
    ),
)

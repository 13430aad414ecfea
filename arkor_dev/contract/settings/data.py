"""What of the rows is learned."""

from __future__ import annotations

from typing import Final

from arkor_dev.contract.rules import FLAG

from .setting import Setting

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
)

"""How a classifier learns from labeled texts; the name is scikit-learn's."""

from __future__ import annotations

from typing import Final

from arkor_dev.contract.rules import Rule

from .setting import LOCAL, Setting

METHOD: Final = "classify"
BALANCED: Final = "balanced"

ROWS: Final = (
    Setting(
        key="class_weight",
        field="classWeight",
        label="Class weights",
        help="balanced multiplies the loss of each row by rows / (classes * rows of its class), so that rare "
        "labels count as much as frequent ones.",
        rule=Rule("choice", choices=("none", BALANCED)),
        style="text",
        group="data",
        default="none",
        where=LOCAL,
        methods=(METHOD,),
    ),
)

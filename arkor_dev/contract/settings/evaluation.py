"""When a run reports, measures, saves and stops."""

from __future__ import annotations

from typing import Final

from arkor_dev.contract.rules import whole

from .setting import Setting

ROWS: Final = (
    Setting(
        key="log_every",
        aliases=("logging_steps",),
        field="loggingSteps",
        label="Logging",
        help="Report the loss every so many steps.",
        rule=whole(1),
        style="interval",
        group="evaluation",
        unit="steps",
        default_words="a five-hundredth of the steps",
        example=1,
    ),
)

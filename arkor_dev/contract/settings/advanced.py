"""What few need: chance, and a run cut down to see that all works."""

from __future__ import annotations

from typing import Final

from arkor_dev.contract.rules import FLAG, whole

from .setting import LOCAL, Setting

ROWS: Final = (
    Setting(
        key="seed",
        field="seed",
        label="Seed",
        help="What everything random comes from: the same seed on the same machine gives the same adapter.",
        rule=whole(0, 2**32 - 1),
        style="text",
        group="advanced",
        default=42,
        where=LOCAL,
    ),
    Setting(
        key="dry_run",
        field="dryRun",
        label="Dry run",
        help="Train on a few rows for a few steps, to see that everything works.",
        rule=FLAG,
        style="flag",
        group="advanced",
        default=False,
    ),
)

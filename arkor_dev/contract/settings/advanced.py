"""What few need: chance, and a run cut down to see that all works."""

from __future__ import annotations

from typing import Final

from arkor_dev.contract.rules import FLAG, Rule, whole

from .setting import LOCAL, Setting

REPORTERS: Final = ("tensorboard", "trackio", "wandb", "mlflow")
"""Each is the name of a package, and of our extra that installs it."""

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
        key="data_seed",
        field="dataSeed",
        label="Seed of the order",
        help="What the order of the rows comes from, where it is to differ from all else that is random.",
        rule=whole(0, 2**32 - 1),
        style="text",
        group="advanced",
        default_words="the seed",
        example=42,
        where=LOCAL,
    ),
    Setting(
        key="neftune_noise_alpha",
        field="neftuneNoiseAlpha",
        label="Noise on what is read",
        help="Blur the embeddings while training (NEFTune), against learning by heart; 5 is usual.",
        rule=Rule("number", 0, 1000),
        style="count",
        group="advanced",
        default_words="none",
        example=5,
        where=LOCAL,
    ),
    Setting(
        key="report_to",
        field="reportTo",
        label="Reported to",
        help="Where the figures of the run go besides: tensorboard, trackio, wandb, mlflow.",
        rule=Rule(
            "list",
            1,
            len(REPORTERS),
            f"one or several of {', '.join(REPORTERS)}",
            of=Rule("choice", choices=REPORTERS),
        ),
        style="list",
        group="advanced",
        default_words="nowhere",
        example=["tensorboard"],
        where=LOCAL,
    ),
    Setting(
        key="pause_on_battery",
        field="pauseOnBattery",
        label="Pause on battery",
        help="Stand while the machine runs on its battery, and go on when it has power again.",
        rule=FLAG,
        style="flag",
        group="advanced",
        default=False,
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

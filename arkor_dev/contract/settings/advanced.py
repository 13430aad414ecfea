"""Rarely needed settings: seeds, and short test runs."""

from __future__ import annotations

from functools import partial
from typing import Final

from arkor_dev.contract.rules import FLAG, Rule, integer

from .setting import EVERYWHERE, LOCAL, Setting

REPORTERS: Final = ("tensorboard", "trackio", "wandb", "mlflow")
"""Each is the name of a package, and of our extra that installs it."""

_setting = partial(Setting, group="advanced", where=LOCAL)

ROWS: Final = (
    _setting(
        key="seed",
        field="seed",
        label="Seed",
        help="Random seed. The same seed on the same processor gives the same adapter, on a GPU almost.",
        rule=integer(0, 2**32 - 1),
        style="text",
        default=42,
    ),
    _setting(
        key="data_seed",
        field="dataSeed",
        label="Data seed",
        help="Separate random seed for the order of the rows.",
        rule=integer(0, 2**32 - 1),
        style="text",
        default_words="seed",
        example=42,
    ),
    _setting(
        key="split_seed",
        field="splitSeed",
        label="Split seed",
        help="Separate random seed for which rows are held out, so that runs of different seeds share them.",
        rule=integer(0, 2**32 - 1),
        style="text",
        default_words="seed",
        example=42,
    ),
    _setting(
        key="neftune_noise_alpha",
        field="neftuneNoiseAlpha",
        label="NEFTune noise alpha",
        help="Adds noise to the embeddings during training (NEFTune), against overfitting; 5 is common.",
        rule=Rule("number", 0, 1000),
        style="count",
        default_words="none",
        example=5,
    ),
    _setting(
        key="report_to",
        field="reportTo",
        label="Report to",
        help="Where else to log metrics: tensorboard, trackio, wandb, mlflow.",
        rule=Rule(
            "list",
            1,
            len(REPORTERS),
            f"one or several of {', '.join(REPORTERS)}",
            of=Rule("choice", choices=REPORTERS),
        ),
        style="list",
        default_words="none",
        example=["tensorboard"],
    ),
    _setting(
        key="pause_on_battery",
        field="pauseOnBattery",
        adjustable=True,
        label="Pause on battery",
        help="Pause while the machine runs on battery; resume on mains power.",
        rule=FLAG,
        style="flag",
        default=False,
    ),
    _setting(
        key="dry_run",
        field="dryRun",
        label="Dry run",
        help="Train on a few rows for a few steps, to check that everything works.",
        rule=FLAG,
        style="flag",
        default=False,
        where=EVERYWHERE,
    ),
)

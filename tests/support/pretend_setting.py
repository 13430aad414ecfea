"""A setting that does not exist: tests add it to the table, to see what comes of a new row."""

from __future__ import annotations

from arkor_dev.contract.rules import Rule
from arkor_dev.contract.settings.setting import Setting

PRETEND = Setting(
    key="lora.pretend",
    field="pretendLora",
    label="Noise",
    help="How much noise is added to what the model reads.",
    rule=Rule("number", 0, 100),
    style="count",
    group="adapter",
    unit="parts",
    default_words="none",
    example=5,
    where="nobody",
)

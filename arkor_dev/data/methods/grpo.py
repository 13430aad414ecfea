"""Group relative policy optimisation: prompts, whose answers are sampled."""

from __future__ import annotations

from arkor_dev.data.prompts import PROMPTS

from .record import MethodRecord

RECORD = MethodRecord(label="GRPO", forms=PROMPTS)

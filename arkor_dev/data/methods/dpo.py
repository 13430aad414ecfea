"""Direct preference optimisation: pairs of a chosen and a rejected answer."""

from __future__ import annotations

from arkor_dev.data.preferences import PAIRS

from .record import Hint, MethodRecord

RECORD = MethodRecord(
    label="DPO",
    forms=PAIRS,
    preference="pair",
    hint=Hint(("chosen", "rejected"), 'Chosen and rejected are for preference training: set method = "dpo"'),
)

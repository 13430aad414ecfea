"""Classification: texts, each with its label."""

from __future__ import annotations

from arkor_dev.data.labels import LABELED

from .record import Hint, MethodRecord

RECORD = MethodRecord(
    label="Classification",
    forms=LABELED,
    hint=Hint(("text", "label"), 'Texts with labels are for method = "classify"'),
)

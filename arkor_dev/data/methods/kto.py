"""Kahneman-Tversky optimisation: answers that are rated good or bad."""

from __future__ import annotations

from arkor_dev.data.preferences import RATINGS

from .record import Hint, MethodRecord

RECORD = MethodRecord(
    label="KTO",
    forms=RATINGS,
    preference="rating",
    hint=Hint(("completion", "label"), 'Rated answers are for method = "kto"'),
)

"""Self-distillation: conversations, whose wanted answers the model is shown to teach itself."""

from __future__ import annotations

from .distill import RECORD as DISTILLATION
from .record import MethodRecord

RECORD = MethodRecord(label="Self-distillation, keeps more of what the model knows", forms=DISTILLATION.forms)

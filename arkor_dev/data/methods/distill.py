"""Generalized knowledge distillation: conversations, whose answers a teacher judges token by token."""

from __future__ import annotations

from arkor_dev.data.forms import FORMS

from .record import MethodRecord

RECORD = MethodRecord(
    label="Distillation",
    forms={name: form for name, form in FORMS.items() if name != "text"},
    second_model="teacher",
)

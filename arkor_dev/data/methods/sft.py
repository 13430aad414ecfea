"""Supervised fine-tuning: conversations, or plain text."""

from __future__ import annotations

from .record import MethodRecord

RECORD = MethodRecord(label="Supervised fine-tuning")

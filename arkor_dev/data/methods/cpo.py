"""Contrastive preference optimisation and SimPO: pairs of a chosen and a rejected answer."""

from __future__ import annotations

from arkor_dev.data.preferences import PAIRS

from .record import MethodRecord

RECORD = MethodRecord(label="CPO or SimPO", forms=PAIRS, preference="pair")

"""How many workers of a cluster may share a job."""

from __future__ import annotations

from typing import Final

from arkor_dev.contract.rules import whole

WORKERS: Final = whole(1, 64)
"""Whoever reads a number of them checks it by this."""

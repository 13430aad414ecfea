"""The number of workers that can share a job on a cluster."""

from __future__ import annotations

from typing import Final

from arkor_dev.contract.rules import whole

WORKERS: Final = whole(1, 64)
"""The rule for a number of workers."""

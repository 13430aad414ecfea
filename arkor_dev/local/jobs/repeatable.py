"""Whether a job's training can be repeated in one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.contract.provenance.statement import StatementError, internal, read_statement

if TYPE_CHECKING:
    from pathlib import Path


def was_extended(final: Path) -> bool:
    """Return whether the job with this final adapter was extended, or its settings changed on the way."""
    try:
        return bool({"extendedAfter", "adjusted"} & internal(read_statement(final)).keys())
    except (StatementError, OSError):
        return False

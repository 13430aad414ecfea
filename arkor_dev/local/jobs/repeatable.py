"""Whether a job's training can be repeated in one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.contract.provenance.statement import StatementError, internal, read_statement

if TYPE_CHECKING:
    from pathlib import Path


def why_unrepeatable(final: Path) -> str | None:
    """Return why the training of this final adapter cannot be repeated in one run; None if it can.

    The reason follows the job's name in a sentence.
    """
    try:
        parameters = internal(read_statement(final))
    except (StatementError, OSError):
        return "has no readable provenance: it is not known how it was trained"
    if {"extendedAfter", "adjusted"} & parameters.keys():
        return "was extended or adjusted: its training cannot be repeated in one run"
    return None

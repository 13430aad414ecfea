"""Parts of bodies that more than one call has, as schemas that both sides check by."""

from __future__ import annotations

from typing import Any, Final

from .rules import FILLED, Rule
from .schema import Field, Schema


def _step_of(adapter: dict[str, Any]) -> str | None:
    if adapter["kind"] == "checkpoint" and adapter.get("step") is None:
        return "step is missing: a checkpoint is that of a step"
    return None


ADAPTER: Final = Schema(
    (
        Field("kind", Rule("choice", choices=("final", "checkpoint")), needed=True),
        Field("jobId", FILLED, needed=True),
        Field("step", Rule("whole"), null=True),
    ),
    _step_of,
)
"""``{kind: "final", jobId}`` or ``{kind: "checkpoint", jobId, step}``."""

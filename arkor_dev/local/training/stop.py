"""Whether a run must stop before its next step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Stop:
    """``cancelled()`` is checked between steps, and so is ``pausing()``: the reason to pause, or None."""

    cancelled: Callable[[], bool] = lambda: False
    pausing: Callable[[], str | None] = lambda: None

    def requested(self) -> bool:
        """Return whether the run must end or pause."""
        return self.cancelled() or self.pausing() is not None

"""How a test looks at the page: how often, until it shows what is expected, and for which text.

Playwright looks again after 20, 50, 100 and 100 ms and then every 500, so that what a page shows after 0.4 s
is seen at 0.8. With a time-out below 2.5 s it goes on every 100 ms: a longer one is waited out in such parts.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from playwright._impl import _frame, _locator
from playwright._impl._assertions import LocatorAssertions, PageAssertions

if TYPE_CHECKING:
    from playwright._impl._internal_structures import FrameExpectOptions, FrameExpectResult

PART = 2_400.0
"""Milliseconds."""


def look_often() -> None:
    """Let each ``expect`` of this process look every 100 ms; its time-out and words stay what they were."""
    for kind in (LocatorAssertions, PageAssertions):
        setattr(kind, "_call_expect", _in_parts(kind._call_expect))  # noqa: B010


ANNOUNCED = ".visually-hidden[role='status'], .ui-said"
"""Where the page tells in passing what it shows elsewhere too (``web/src/ui/controls/live.tsx``)."""


def overlook_announcements() -> None:
    """Let no ``get_by_text`` of this process find what is announced: for a moment the text is there twice."""
    selector_of = _locator.get_by_text_selector
    shown = f" >> internal:and={json.dumps(f':not({ANNOUNCED})')}"

    def of_shown(*args: Any, **more: Any) -> str:
        return selector_of(*args, **more) + shown

    for module in (_frame, _locator):
        setattr(module, "get_by_text_selector", of_shown)  # noqa: B010


def _in_parts(look: Any) -> Any:
    async def looking(
        self: LocatorAssertions | PageAssertions,
        expression: str,
        options: FrameExpectOptions,
        title: str | None,
    ) -> FrameExpectResult:
        __tracebackhide__ = True
        left = whole = options.get("timeout") or 0
        deadline = time.monotonic() + whole / 1000
        while left > PART:
            # A copy: what is expected is rewritten for the wire in it.
            found: FrameExpectResult = await look(self, expression, {**options, "timeout": PART}, title)
            if not found.get("timedOut"):
                return found
            left = max(1, 1000 * (deadline - time.monotonic()))  # 0 is without end
        found = await look(self, expression, {**options, "timeout": left}, title)
        return found  # noqa: RET504

    return looking

"""Arkor Studio: fine-tune a language model from a local web page and talk to the result.

From Python: ``from arkor_dev import Studio, report``. Both are imported when they are first used
(`arkor_dev.sdk`), so that the command starts without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .sdk.async_studio import AsyncStudio, RunFailedError, Verdict
    from .sdk.reporting import report
    from .sdk.studio import Studio

__all__ = ["AsyncStudio", "RunFailedError", "Studio", "Verdict", "__version__", "report"]
__version__ = "0.1.0"


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    if name == "Studio":
        from .sdk.studio import Studio

        return Studio
    if name == "report":
        from .sdk.reporting import report

        return report
    if name in ("AsyncStudio", "RunFailedError", "Verdict"):
        from .sdk import async_studio

        value: object = getattr(async_studio, name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

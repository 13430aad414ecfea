"""Who follows trainings from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from arkor_dev.local.jobs.store import Verdict


class Observer(Protocol):
    """Who follows trainings from outside: forecasts, which are not to be in their way."""

    def training_begins(self) -> None:
        """A job is about to start."""

    def training_ended(self, config: Mapping[str, Any], verdict: Verdict, seconds: float) -> None:
        """A job that took so long is over."""

    async def refusal(self, config: dict[str, Any]) -> dict[str, Any]:
        """Why a job cannot fit on this machine, as the fields of its ``training.failed``; else empty."""

    async def what_fits(self, config: dict[str, Any], progress: Callable[[dict[str, Any]], None]) -> str:
        """Sentences to help with a job that ran out of memory, or nothing."""

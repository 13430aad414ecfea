"""Interface for observers of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from arkor_dev.local.jobs.store import Verdict


class Beside(NamedTuple):
    """A running job: its config, and whether it uses the device that another job would get."""

    config: dict[str, Any]
    same_device: bool


class Observer(Protocol):
    """Observes training from outside: forecasts, which must not delay jobs."""

    def training_begins(self) -> None:
        """A job is about to start."""

    def training_ended(self, config: Mapping[str, Any], verdict: Verdict, seconds: float) -> None:
        """A job has ended after so many seconds; 0 if another ran beside it, so that the time says
        nothing.
        """

    async def refusal(self, config: dict[str, Any]) -> dict[str, Any]:
        """Return why a job cannot fit on this machine, as fields of ``training.failed``; empty if it may."""

    async def room(self) -> int | None:
        """Return the memory available to a new process in bytes; None if unknown."""

    async def fits_beside(self, config: dict[str, Any], others: Sequence[Beside], room: int) -> bool:
        """Return whether a job fits into ``room`` bytes beside the running ``others``; False if unknown."""

    async def what_fits(self, config: dict[str, Any], progress: Callable[[dict[str, Any]], None]) -> str:
        """Return advice for a job that ran out of memory, or an empty text."""

"""Who follows trainings from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from arkor_dev.local.jobs.store import Verdict


class Beside(NamedTuple):
    """A job that runs: its config, and whether it is on the device that another one would get."""

    config: dict[str, Any]
    same_device: bool


class Observer(Protocol):
    """Who follows trainings from outside: forecasts, which are not to be in their way."""

    def training_begins(self) -> None:
        """A job is about to start."""

    def training_ended(self, config: Mapping[str, Any], verdict: Verdict, seconds: float) -> None:
        """A job is over that took so long; 0 where another one ran beside it, so that this says nothing."""

    async def refusal(self, config: dict[str, Any]) -> dict[str, Any]:
        """Why a job cannot fit on this machine, as the fields of its ``training.failed``; else empty."""

    async def room(self) -> int | None:
        """Bytes of memory that a new process may take now; None where the system does not say."""

    async def fits_beside(self, config: dict[str, Any], others: Sequence[Beside], room: int) -> bool:
        """Whether a job fits into ``room`` bytes with ``others``, which run; false where not known."""

    async def what_fits(self, config: dict[str, Any], progress: Callable[[dict[str, Any]], None]) -> str:
        """Sentences to help with a job that ran out of memory, or nothing."""

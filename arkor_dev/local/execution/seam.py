"""The interface behind which a job runs, wherever that is.

A worker is told the job, then its model, then perhaps ``do`` (``cancel``, or ``pause`` with a ``reason``). It
says ``event`` with ``fields``, ``progress``, ``kept`` (a step that the job can go on after, whose files are
in the backend's data folder by then), and at last ``end`` with ``fields``. One that ends without that word
has crashed: the job goes on from what was kept last. ``lost``, a sentence, is such an end with its reason;
``waits``, another, says that there is no place for the job now, or that where it trains does not answer.

A worker of some executions trains on without the backend. It says ``mark`` with what it says: a text that is
kept together with that, told back as ``do: known``, and given to the next worker, which begins behind it.
``do: detach`` ends the backend's part of it alone. Where a job goes on like that a worker begins with
``attached``; else with ``wants``, and is told the model then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path


class Worker(Protocol):
    """One job's worker."""

    @property
    def killed(self) -> bool:
        """Whether the system has killed it, as it does when memory runs out."""

    def send(self, **fields: Any) -> None:
        """Queue one message; never waits."""

    def batches(self) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield what it says, all that has come together at once, until it ends."""

    async def ended(self) -> int:
        """Wait for its end; the exit status, negative for a signal."""

    async def stop(self) -> None:
        """End it and all that it has started, and wait until that is done."""

    def cause(self, what: str, remedy: str) -> str:
        """A sentence on why ``what``, a worker that ended without its last word, has ended.

        ``remedy`` is what frees memory, where that is why.
        """


class Execution(Protocol):
    """A place where jobs run. A worker has ``grace`` seconds to end after it was told to cancel."""

    grace: float

    async def start(self, job: Mapping[str, Any]) -> Worker:
        """Start a worker for ``job``, ``{id, config, data, project, resume, device?}``; its model comes next.

        ``data`` and ``project`` are folders of this machine, ``device`` is the number of a GPU. A job that
        goes on alone is told ``attaches`` and its ``mark``. Raises OSError where none can be started.
        """

    def attaches(self, data: Path, job_id: str) -> bool:
        """Whether a job trains on alone, as far as is known here, so that `start` attaches to it."""

    async def room(self, config: Mapping[str, Any]) -> bool:
        """Whether a job of ``config`` that found no place would find one now."""

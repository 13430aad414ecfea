"""Interface for running a job, on this machine or elsewhere.

Messages to a worker: the job, then its model, then perhaps ``do``: ``cancel``, or ``pause`` with a
``reason``. Messages from a worker:

- ``event`` with ``fields``; ``progress``;
- ``kept``, a step from which the job can resume; its files are in the backend's data folder by then;
- ``end`` with ``fields``, the final message. A worker that exits without it has crashed, and the job resumes
  from what was kept last;
- ``lost``, a sentence: such a crash with its reason;
- ``waits``, a sentence: no resources are free for the job now, or the cluster where it trains does not
  answer.

Workers of some executions train on without the backend. They add ``mark`` to their messages, a text that the
backend stores with them, sends back as ``do: known`` once it has, and gives to the next worker, which
continues after that message. ``do: detach`` ends only the backend's part. A worker whose job trains on like
that begins with ``attached``; otherwise it sends ``wants`` and then receives the model.
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
        """Queue one message, without waiting."""

    def batches(self) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield its messages until it ends, those that arrived together in one list."""

    async def ended(self) -> int:
        """Wait for its end; return the exit status, negative for a signal."""

    async def stop(self) -> None:
        """End it and everything that it has started, and wait."""

    def cause(self, what: str, relief: str = ...) -> str:
        """Return why the worker, called ``what``, ended without a final message."""


class Execution(Protocol):
    """Where jobs run. After ``cancel`` a worker has ``grace`` seconds to end by itself."""

    grace: float

    async def start(self, job: Mapping[str, Any]) -> Worker:
        """Start a worker for ``job``, ``{id, config, data, project, resume, device?}``; its model follows.

        ``data`` and ``project`` are folders of this machine, ``device`` is the number of a GPU. A job that
        trains on alone also has ``attaches`` and its ``mark``. Raises OSError.
        """

    def attaches(self, data: Path, job_id: str) -> bool:
        """Return whether the job trains on alone, as far as is known here; `start` then attaches to it."""

    async def room(self, config: Mapping[str, Any]) -> bool:
        """Return whether a job of ``config`` that had to wait could start now."""

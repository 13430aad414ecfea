"""Keeps a driver's connection to the cluster for its next job and, briefly, an actor."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final

from arkor_dev.local.workers.errors import JobFailure

from . import access, code_package, connection, resources
from .connection import CONNECT_SECONDS
from .errors import NodeLostError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.local.execution.leases import Lease

    from .actor_client import ActorClient
    from .resources import ResourceRequest

CHECK_SECONDS: Final = 5.0
"""Seconds without a response after which a connection is discarded."""
HOLD_SECONDS: Final = 1.0
"""Seconds for which an actor is held for the next job. Meanwhile other users cannot use its resources."""


class ClusterConnection:
    """The connection to one cluster. ``has_token`` is the result of `access.check_access`."""

    def __init__(self) -> None:
        self.has_token: bool | None = None
        self._key: tuple[object, ...] = ()

    @property
    def is_open(self) -> bool:
        return bool(self._key)

    def open(self, address: str, data: Path, on_timeout: Callable[[str], None], *, insecure: bool) -> None:
        """Connect to the cluster if it may be used; our packaged code is cached in ``data``.

        ``on_timeout`` is called from another thread, with a reason, on a timeout. Raises JobFailure.
        """
        reason = f"Couldn't connect to the cluster {address} after {CONNECT_SECONDS:.0f} s"
        timer = threading.Timer(CONNECT_SECONDS, on_timeout, (reason,))
        timer.daemon = True
        timer.start()
        try:
            self.has_token = access.check_access(address, insecure=insecure)
            connection.connect(address, code_package.package_code(data))
        finally:
            timer.cancel()
        self._key = self._key_of(address, insecure)

    def _key_of(self, address: str, insecure: bool) -> tuple[object, ...]:
        return address, insecure, access.token() if self.has_token else None

    def works(self, address: str, *, insecure: bool) -> bool:
        """Return whether the connection accepts the current token, is still allowed, and responds."""
        answers = threading.Event()
        # In a thread: Ray's own call may block for minutes.
        check = threading.Thread(target=self._check, args=(address, insecure, answers), daemon=True)
        check.start()
        check.join(CHECK_SECONDS)
        return answers.is_set()

    def _check(self, address: str, insecure: bool, answers: threading.Event) -> None:
        with contextlib.suppress(JobFailure):  # reconnecting reports the reason
            if (
                self._key == self._key_of(address, insecure)
                and access.check_access(address, insecure=insecure) == self.has_token
                and resources.alive_nodes()
            ):
                answers.set()


class SpareActor:
    """The actor of a finished job, held briefly for the next job that requests the same resources."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spare: tuple[ActorClient, ResourceRequest, threading.Timer] | None = None

    def hold(self, actor: ActorClient, request: ResourceRequest, seconds: float) -> bool:
        """Close the actor's job within ``seconds`` and hold the actor; kill it if that fails.

        Return whether it was closed.
        """
        if not actor.close(seconds):
            actor.kill()
            return False
        timer = threading.Timer(HOLD_SECONDS, self.kill)
        timer.daemon = True
        with self._lock:
            self._spare = actor, request, timer
        timer.start()
        return True

    def take(self, request: ResourceRequest) -> ActorClient | None:
        """Return the held actor if it fits the request exactly; kill any other one."""
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is None:
            return None
        actor, held_request, timer = spare
        timer.cancel()
        if held_request == request:
            return actor
        actor.kill()
        return None

    def kill(self) -> None:
        """Kill the held actor, if there is one."""
        with self._lock:
            spare, self._spare = self._spare, None
        if spare:
            spare[2].cancel()
            spare[0].kill()


def reuse_actor(actor: ActorClient, lease: Lease) -> bool:
    """Assign the job of ``lease`` to a closed actor. On failure kill it, delete the lease, return False."""
    with contextlib.suppress(NodeLostError, ProtocolError, OSError):
        actor.reuse(lease)
        return True
    actor.kill()
    lease.delete()
    return False

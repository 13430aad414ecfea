"""Starts a job's actor on a node (`JobActor`), and calls it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from arkor_dev.local.workers.codec import encode

from .errors import NodeLostError, RequeueError
from .node.actor import JobActor
from .node_messages import parse_facts
from .resources import actor_options, shortage, startup_timeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from ray import ObjectRef
    from ray.actor import ActorHandle

    from arkor_dev.local.execution.leases import Lease
    from arkor_dev.local.workers.codec import Message

    from .protocol import NodeFacts
    from .resources import ResourceRequest

CALL_SECONDS: Final = 60.0
"""Seconds without a response after which a node is considered lost."""
POLL_SECONDS: Final = 5.0
"""Seconds that one call waits for the worker's next message."""


class ActorClient:
    """The job ``name`` in a Ray actor. ``actor_name`` is the actor's own name if it differs.

    Calls raise NodeLostError if the actor is gone. ``facts`` is what the node has reported about itself.
    """

    def __init__(self, actor: ActorHandle, name: str = "", actor_name: str = "") -> None:
        self._actor, self._name, self.actor_name = actor, name, actor_name or name
        self.facts: NodeFacts = {}

    def call(self, method: str, *arguments: object, seconds: float = CALL_SECONDS) -> bytes:
        """Return the result of a method of `HostedJob`. Raises OSError if the node's disk fails."""
        return self._result(self._actor.call.remote(self._name, method, *arguments), seconds)

    def _result(self, reference: ObjectRef, seconds: float) -> bytes:
        import ray
        from ray.exceptions import ActorDiedError, GetTimeoutError, RayTaskError

        try:
            answer = ray.get(reference, timeout=seconds)
        except GetTimeoutError:
            raise NodeLostError("it no longer answers") from None
        except RayTaskError as fault:
            text = " ".join(str(fault.cause).split())[:300]
            raise OSError(text) from None
        except Exception as fault:
            raise NodeLostError(type(fault).__name__, gone=isinstance(fault, ActorDiedError)) from fault
        if not isinstance(answer, bytes):
            raise NodeLostError("it does not answer with bytes", gone=True)
        return answer

    def reuse(self, lease: Lease, seconds: float = CALL_SECONDS) -> None:
        """Assign the job of ``lease`` to an idle actor. Raises like `call`, and ProtocolError."""
        job = lease.job, lease.name, lease.nonce, lease.away
        answer = self._result(self._actor.reuse.remote(self._name, *job), seconds)
        self._name, self.facts = lease.name, parse_facts(answer, of_job=True)

    def send(self, message: Message) -> None:
        """Send a message to the worker, without waiting for it to arrive."""
        self._actor.call.remote(self._name, "send", encode(message))

    def close(self, seconds: float) -> bool:
        """End the worker and remove its files; return whether certainly nothing of the job remains."""
        try:
            self.call("close", seconds=seconds)
        except NodeLostError as fault:
            return fault.gone
        except OSError:
            return False
        return True

    def release(self, seconds: float) -> bool:
        """Close the job and kill the actor; return the same as `close`."""
        is_clean = self.close(seconds)
        self.kill()
        return is_clean

    def kill(self) -> None:
        """End the actor, which frees its resources."""
        import ray

        with contextlib.suppress(Exception):
            ray.kill(self._actor)


def start_actor(
    lease: Lease, request: ResourceRequest, on_request: Callable[[ActorClient], None]
) -> ActorClient:
    """Start the actor of ``lease``, which outlives this process, and wait until it responds.

    ``on_request`` receives the client immediately, so that other code can release it meanwhile. Raises
    RequeueError without free resources, NodeLostError and ProtocolError.
    """
    import ray
    from ray.exceptions import GetTimeoutError

    seconds = startup_timeout(request)
    options = {**actor_options(request), "name": lease.actor, "lifetime": "detached"}
    actor = ray.remote(JobActor).options(**options).remote(lease.job, lease.name, lease.nonce, lease.away)
    on_request(client := ActorClient(actor, lease.name))
    try:
        answer = ray.get(actor.call.remote(lease.name, "facts"), timeout=seconds)
    except GetTimeoutError:
        ray.kill(actor)
        raise RequeueError(shortage(request, "and that is not free now")) from None
    except Exception as fault:
        with contextlib.suppress(Exception):
            ray.kill(actor)
        raise NodeLostError(" ".join(str(fault).split())[:300], gone=True) from fault
    client.facts = parse_facts(answer, of_job=True)
    return client

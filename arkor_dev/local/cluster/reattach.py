"""Finds the actor of a job that kept training while this machine was disconnected, and verifies its identity.

Every user of the cluster sees the names of all actors, and can create others of the same name. So the actor
must respond to a new challenge each time, using the nonce that it received when it was created.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
from typing import Final, NoReturn, TypedDict

from arkor_dev.contract import strict_json
from arkor_dev.local.execution import leases
from arkor_dev.local.workers.errors import JobFailure

from .actor_client import ActorClient
from .errors import NodeLostError, ProtocolError, RequeueError
from .protocol import proof

PROVE_SECONDS: Final = 30.0
REMOVE_SECONDS: Final = 10.0


def attach(lease: leases.Lease, acknowledged: int) -> ActorClient | None:
    """Return the actor of ``lease`` if its job can continue there; None if it is gone.

    It must still have all messages from number ``acknowledged`` on. Raises ProtocolError for an actor of
    another user, NodeLostError if it does not respond now.
    """
    actor = find_actor(lease.actor, lease.name)
    if actor is None:
        return None
    challenge = secrets.token_hex(32)
    try:
        answer = _parse_proof(actor.call("prove", challenge, seconds=PROVE_SECONDS))
    except NodeLostError as fault:
        if fault.gone:
            return None
        raise
    except OSError as fault:
        raise ProtocolError(f"no proof that this is the job's actor ({fault})") from None
    expected = proof(lease.nonce, lease.name, challenge)
    if not hmac.compare_digest(answer["proof"].encode(), expected.encode()):
        raise ProtocolError("a wrong proof that this is the job's actor")
    if answer["first"] <= acknowledged and answer["begun"]:
        return actor
    actor.release(REMOVE_SECONDS)  # some of its messages are lost: the job resumes from its files instead
    return None


class ChallengeResponse(TypedDict):
    """An actor's response to a challenge, the number of its ``first`` message, and whether training began."""

    proof: str
    first: int
    begun: bool


def _parse_proof(answer: bytes) -> ChallengeResponse:
    with contextlib.suppress(ValueError):
        match strict_json.parse(answer):
            case {"proof": str(response), "first": int(first), "begun": bool(begun)} if type(first) is int:
                return {"proof": response, "first": first, "begun": begun}
    raise ProtocolError("no proof that this is the job's actor")


def wait_or_give_up(lease: leases.Lease, fault: Exception) -> NoReturn:
    """Raise RequeueError for a job whose cluster does not respond because of ``fault``.

    Once that has lasted longer than `leases.grace_seconds`, give up the lease and raise JobFailure.
    """
    lease, grace = lease.count_failure(), leases.grace_seconds()
    minutes = f"{grace / 60:.3g} minutes"
    if lease.silent < grace:
        raise RequeueError(
            f"It trains on the cluster {lease.address}, which does not answer now ({fault}). It is tried "
            f"again; after {minutes} without an answer the job is given up there"
        )
    lease.give_up()
    raise JobFailure(
        f"The cluster {lease.address} has not answered for {minutes}: the job is lost there ({fault}). Its "
        "last checkpoint on this machine is kept, and the job can resume from that"
    )


def find_actor(actor_name: str, name: str) -> ActorClient | None:
    """Return the client of the job ``name`` in its actor; None without the actor. Raises NodeLostError."""
    import ray

    try:
        return ActorClient(ray.get_actor(actor_name), name, actor_name)
    except ValueError:
        return None
    except Exception as fault:
        raise NodeLostError(type(fault).__name__) from fault


def remove_actor(actor_name: str, name: str) -> bool:
    """Remove the job ``name``, its files and its actor; return whether they are gone."""
    try:
        actor = find_actor(actor_name, name)
        return actor is None or actor.release(REMOVE_SECONDS)
    except NodeLostError as fault:
        return fault.gone

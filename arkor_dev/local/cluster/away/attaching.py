"""The way back to a job that has trained on: its place is found by name, and has to prove that it is the one.

Whoever may use the cluster sees the names of all places and may make others of the same name. The proof is
an answer to a question that is new each time, made with the nonce that the place was given when it was made.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any, Final, NoReturn

from arkor_dev.contract import strict_json
from arkor_dev.local.cluster.answers import HostileError
from arkor_dev.local.cluster.connection import LostError, NoPlaceError, Place
from arkor_dev.local.execution import leases
from arkor_dev.local.workers.errors import JobFailure

from .proof import proof

PROVE_SECONDS: Final = 30.0
REMOVE_SECONDS: Final = 10.0


def attach(lease: leases.Lease, heard: int) -> Place | None:
    """The place of a ``lease`` whose job goes on there; None where there is none any more.

    It has to have all messages from number ``heard`` on. Raises HostileError where it is another's,
    LostError where it does not answer now.
    """
    place = found(lease.actor, lease.name)
    if place is None:
        return None
    challenge = secrets.token_hex(32)
    try:
        told = _told(place.call("prove", challenge, seconds=PROVE_SECONDS))
    except LostError as fault:
        if fault.gone:
            return None
        raise
    except OSError as fault:
        raise HostileError(f"no proof that the job's place is there ({fault})") from None
    if not hmac.compare_digest(told["proof"].encode(), proof(lease.nonce, lease.name, challenge).encode()):
        raise HostileError("a wrong proof that the job's place is there")
    if told["first"] <= heard and told["begun"]:
        return place
    place.leave(REMOVE_SECONDS)  # what it has said is lost in part: the job goes on from what was kept
    return None


def _told(answer: bytes) -> dict[str, Any]:
    try:
        told = strict_json.parse(answer)
        sound = isinstance(told["proof"], str) and type(told["first"]) is int
        sound &= type(told["begun"]) is bool
    except (ValueError, KeyError, TypeError):
        sound = False
    if not sound:
        raise HostileError("no proof that the job's place is there")
    return dict(told)


def unanswered(lease: leases.Lease, fault: Exception) -> NoReturn:
    """Let a job wait whose cluster does not answer, for which ``fault`` has the reason, but not for ever.

    Raises NoPlaceError, or JobFailure once that has lasted too long.
    """
    lease, grace = lease.unanswered(), leases.grace_seconds()
    minutes = f"{grace / 60:.3g} minutes"
    if lease.silent < grace:
        raise NoPlaceError(
            f"It trains on the cluster {lease.address}, which does not answer now ({fault}). It is asked "
            f"again until that has lasted {minutes}; then the job is given up there"
        )
    lease.given_up()
    raise JobFailure(
        f"The cluster {lease.address} has not answered for {minutes}: the job is lost there ({fault}). What "
        "was brought here last is kept, and it can go on from that"
    )


def found(actor: str, name: str) -> Place | None:
    """The place of that name in the actor of that name, where there is one. Raises LostError.

    One of an earlier version, with which nobody can speak, is ended; the node's next job removes its files.
    """
    import ray

    try:
        there = ray.get_actor(actor)
        if hasattr(there, "ask"):
            return Place(there, name, actor)
        ray.kill(there)
    except ValueError:
        pass
    except Exception as fault:
        raise LostError(type(fault).__name__) from fault
    return None


def remove(actor: str, name: str) -> bool:
    """Remove the place of that name with all that it has, and its actor; whether it is gone."""
    try:
        place = found(actor, name)
        return place is None or place.leave(REMOVE_SECONDS)
    except LostError as fault:
        return fault.gone

"""The way to a cluster: connecting to it, a place on one of its nodes, and calls to what runs there.

Ray is imported here alone, and only once it is known that the cluster may be used. Its own words go to the
log of whoever has started this process; a person reads ours.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from arkor_dev.contract.extras import install_command
from arkor_dev.contract.placement.address import AUTO, host_of, is_loopback
from arkor_dev.local.workers.errors import JobFailure

from . import access
from .answers import facts_of
from .there.host import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from arkor_dev.local.execution.leases import Lease

NAMESPACE: Final = "arkor-dev"
PLACE_SECONDS: Final = 30.0
"""How long a job waits for a place that is taken, before it is queued again."""
FIRST_SECONDS: Final = 120.0
"""How long a node that has the room may take to get our code and to start."""
CALL_SECONDS: Final = 60.0
"""A node that does not answer for so long is lost."""
TRIES: Final = 3
"""How often a connection is tried whose server on the head dies as it starts: a failure takes some 40 s."""
CONNECT_SECONDS: Final = 150.0
"""All of them together."""
TAKE_SECONDS: Final = 5.0


class NoPlaceError(Exception):
    """The cluster has no room for the job now; ``str()`` says what it asks for, and what there is."""


class LostError(Exception):
    """The node, or the cluster, does not answer; ``str()`` says so. ``gone``: it never will again.

    ``node`` is which one, where that is known.
    """

    node: str | None = None

    def __init__(self, text: str, *, gone: bool = False) -> None:
        super().__init__(text)
        self.gone = gone


class Wish(NamedTuple):
    """What a job asks of a node; ``memory`` in bytes, None for as much as it takes.

    With several ``workers`` it asks for that for each of them, of one node or of several.
    """

    cpus: float = 1
    gpus: float = 0
    memory: int | None = None
    workers: int = 1

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Wish:
        """That of a job's config."""
        memory = config.get("memory")
        cpus, gpus = config.get("cpus") or 1, config.get("gpus") or 0
        return cls(cpus, gpus, int(memory * 2**30) if memory else None, config.get("workers") or 1)

    @property
    def words(self) -> str:
        """For a person."""
        said = [_count(self.cpus, "processor")]
        if self.gpus:
            said.append(_count(self.gpus, "GPU"))
        if self.memory:
            said.append(f"{self.memory / 2**30:.3g} GiB")
        each = ", ".join(said)
        return each if self.workers == 1 else f"{self.workers} workers of {each} each"


def _count(number: float, what: str) -> str:
    return f"{number:g} {what}{'' if number == 1 else 's'}"


def connect(address: str, code: Path | None = None) -> None:
    """Connect this process to a cluster, to which ``code``, a package's folder, travels where there is one.

    Raises JobFailure where that cannot be.
    """
    try:
        import ray
    except ImportError:
        how = install_command("ray")
        raise JobFailure(f"A cluster needs Ray, which is not installed. Install it with: {how}") from None
    if code:
        # Ray puts this process's folder before all others on the nodes, where they have one of its name.
        nothing = code.parent / "empty"
        nothing.mkdir(exist_ok=True)
        os.chdir(nothing)
    more: dict[str, Any] = {}
    host = host_of(address)
    if host and is_loopback(host) and not address.startswith("ray://"):
        more["_node_ip_address"] = "127.0.0.1" if host == "localhost" else host
    else:
        # Of the variables with which Ray is set, none may start a cluster here in the place of a connection.
        os.environ.pop("RAY_ADDRESS", None)
    if address == AUTO:
        _need_one_here()
    for further in reversed(range(TRIES)):
        try:
            ray.init(
                address=address,
                namespace=NAMESPACE,
                log_to_driver=False,
                configure_logging=False,
                logging_level=logging.ERROR,
                runtime_env={"py_modules": [str(code)]} if code else None,
                **more,
            )
        except Exception as fault:
            if not (further and _dies_as_it_starts(fault)):
                raise JobFailure(_why(address, fault)) from fault
            with contextlib.suppress(Exception):
                ray.shutdown()
        else:
            return


def _need_one_here() -> None:
    """Raise JobFailure where this machine's cluster does not answer: Ray would wait for it for minutes.

    The address that Ray has noted stays when the cluster was killed, or when this machine was.
    """
    from ray._private.services import canonicalize_bootstrap_address  # what `auto` means to ray.init

    start = "Start one with `ray start --head`, or name another address"
    try:
        found = canonicalize_bootstrap_address(AUTO)
    except ConnectionError:
        raise JobFailure(f"This machine is in no Ray cluster. {start}") from None
    if found is not None and access.look(found) == "away":
        raise JobFailure(f"The cluster of this machine was at {found}, where nobody answers now. {start}")


def _dies_as_it_starts(fault: Exception) -> bool:
    """Whether it is the server that the head forks for each client: gRPC at work in the head kills some."""
    text = str(fault)
    return "Starting Ray client server failed" in text or "Proxy failed to Connect" in text


def _why(address: str, fault: Exception) -> str:
    """Why there is no connection, for a person."""
    text = str(fault).strip() or type(fault).__name__
    lower = text.lower()
    if "version" in lower and ("mismatch" in lower or "python" in lower):
        lines = " ".join(text.split())[:500]
        return (
            f"The cluster {address} runs another Ray or Python than this machine, and both have to be the "
            f"same: {lines}"
        )
    if "auth" in lower or "token" in lower:
        return access.refused(address)
    if isinstance(fault, ConnectionError) or "connect" in lower:
        return (
            f"There is no connection to the cluster {address}: is it started, is its port open to here, and "
            f"is the token the right one? ({' '.join(text.split())[:200]})"
        )
    return f"The cluster {address} cannot be used: {' '.join(text.split())[:300]}"


class Place:
    """A job's place in an actor, perhaps ``called`` otherwise. Calls raise LostError when it is gone."""

    def __init__(self, actor: Any, name: str = "", called: str = "") -> None:
        self._actor, self._name, self.actor = actor, name, called or name
        self.facts: dict[str, Any] = {}

    def call(self, name: str, *arguments: Any, seconds: float = CALL_SECONDS) -> bytes:
        """What the place's method ``name`` answers. OSError where its disk refuses."""
        return self._got(self._actor.ask.remote(self._name, name, *arguments), seconds)

    def _got(self, asked: Any, seconds: float) -> bytes:
        import ray
        from ray.exceptions import ActorDiedError, GetTimeoutError, RayTaskError

        try:
            answer = ray.get(asked, timeout=seconds)
        except GetTimeoutError:
            raise LostError("it no longer answers") from None
        except RayTaskError as fault:
            text = " ".join(str(fault.cause).split())[:300]
            raise OSError(text) from None
        except Exception as fault:
            raise LostError(type(fault).__name__, gone=isinstance(fault, ActorDiedError)) from fault
        if not isinstance(answer, bytes):
            raise LostError("it answers with something else than bytes", gone=True)
        return answer

    def again(self, lease: Lease, seconds: float = CALL_SECONDS) -> None:
        """Be the place of another ``lease``, once it is closed. Raises as `call` does, and HostileError."""
        new = lease.job, lease.name, lease.nonce, lease.away
        answer = self._got(self._actor.again.remote(self._name, *new), seconds)
        self._name, self.facts = lease.name, facts_of(answer, of_place=True)

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a message to the worker; never waits."""
        self._actor.ask.remote(self._name, "tell", json.dumps(message).encode())

    def close(self, seconds: float) -> bool:
        """End the worker and remove its files, as far as the node still answers.

        Whether it is sure that nothing of the job is left there.
        """
        try:
            self.call("close", seconds=seconds)
        except LostError as fault:
            return fault.gone
        except OSError:
            return False
        return True

    def leave(self, seconds: float) -> bool:
        """As `close`, and give the place back."""
        sure = self.close(seconds)
        self.give_back()
        return sure

    def give_back(self) -> None:
        """End the actor, so that others have what it was given."""
        import ray

        with contextlib.suppress(Exception):
            ray.kill(self._actor)


def alive() -> list[dict[str, Any]]:
    """The nodes of the cluster, as Ray tells of them."""
    import ray

    return [node for node in ray.nodes() if node.get("Alive", node.get("alive"))]


def place(lease: Lease, wish: Wish, asked: Callable[[Place], None]) -> Place:
    """A place for a job on the cluster, as its ``lease`` says; ``asked`` gets it before it is there.

    It outlives this process. Raises NoPlaceError where there is none, LostError, HostileError.
    """
    import ray
    from ray.exceptions import GetTimeoutError

    seconds = patience(wish)
    options = {**options_of(wish), "name": lease.actor, "lifetime": "detached"}
    actor = ray.remote(Host).options(**options).remote(lease.job, lease.name, lease.nonce, lease.away)
    asked(found := Place(actor, lease.name))
    try:
        answer = ray.get(actor.ask.remote(lease.name, "facts"), timeout=seconds)
    except GetTimeoutError:
        ray.kill(actor)
        raise NoPlaceError(lacking(wish, "and that is not free now")) from None
    except Exception as fault:
        with contextlib.suppress(Exception):
            ray.kill(actor)
        raise LostError(" ".join(str(fault).split())[:300], gone=True) from fault
    found.facts = facts_of(answer, of_place=True)
    return found


def patience(wish: Wish) -> float:
    """How many seconds a job waits for its place; NoPlaceError where the cluster is too small for it."""
    import ray

    if not _nodes_fit(wish):
        none = "no node of the cluster has that" if wish.workers == 1 else "the cluster's nodes have not that"
        raise NoPlaceError(lacking(wish, f"and {none}"))
    return FIRST_SECONDS if _fits(ray.available_resources(), wish) else PLACE_SECONDS


def options_of(wish: Wish) -> dict[str, Any]:
    """What Ray is told of one worker's place."""
    options: dict[str, Any] = {"num_cpus": wish.cpus, "num_gpus": wish.gpus, "max_restarts": 0}
    return {**options, "memory": wish.memory} if wish.memory else options


def has_room(wish: Wish) -> bool:
    """Whether the nodes are large enough, and as much as that is free on all together."""
    import ray

    return _nodes_fit(wish) and _fits(ray.available_resources(), wish)


def _nodes_fit(wish: Wish) -> bool:
    return sum(_room_in(node.get("Resources", {}), wish) for node in alive()) >= wish.workers


def _fits(resources: Mapping[str, float], wish: Wish) -> bool:
    return _room_in(resources, wish) >= wish.workers


def _room_in(resources: Mapping[str, float], wish: Wish) -> int:
    """For how many workers of ``wish`` there is room in ``resources``."""
    asked = {"CPU": wish.cpus, "GPU": wish.gpus, "memory": wish.memory or 0}
    return min(int(resources.get(name, 0) // each) for name, each in asked.items() if each)


def lacking(wish: Wish, why: str) -> str:
    """A sentence on what a job asks for, ``why`` it does not get it, and what there is."""
    import ray

    free = ray.available_resources()
    there = Wish(free.get("CPU", 0), free.get("GPU", 0), int(free.get("memory", 0)) or None)
    largest = max((node.get("Resources", {}).get("CPU", 0) for node in alive()), default=0)
    asked = f"{wish.words} of one node" if wish.workers == 1 else wish.words
    return (
        f"The job asks for {asked}, {why}: {there.words} are free on all {len(alive())} "
        f"nodes together, and the largest has {_count(largest, 'processor')}"
    )

"""The way to a cluster: connecting to it, a place on one of its nodes, and calls to what runs there.

Ray is imported here alone, and only once it is known that the cluster may be used. Its own words go to the
log of whoever has started this process; a person reads ours.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from arkor_dev.contract.placement.address import host_of, is_loopback
from arkor_dev.local.workers.errors import JobFailure

from .node import Node, facts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from arkor_dev.local.execution.leases import Lease

INSTALL: Final = "pip install 'arkor-dev[ray]'"
NAMESPACE: Final = "arkor-dev"
PLACE_SECONDS: Final = 30.0
"""How long a job waits for a place that is taken, before it is queued again."""
FIRST_SECONDS: Final = 120.0
"""How long a node that has the room may take to get our code and to start."""
CALL_SECONDS: Final = 60.0
"""A node that does not answer for so long is lost."""
LOOK_SECONDS: Final = 20.0
TRIES: Final = 3
"""How often a connection is tried whose server on the head dies as it starts: a failure takes some 40 s."""
CONNECT_SECONDS: Final = 150.0
"""All of them together."""
TAKE_SECONDS: Final = 5.0


class NoPlaceError(Exception):
    """The cluster has no room for the job now; ``str()`` says what it asks for, and what there is."""


class LostError(Exception):
    """The node, or the cluster, does not answer; ``str()`` says so. ``gone``: it never will again."""

    def __init__(self, text: str, *, gone: bool = False) -> None:
        super().__init__(text)
        self.gone = gone


class Wish(NamedTuple):
    """What a job asks of a node; ``memory`` in bytes, None for as much as it takes."""

    cpus: float = 1
    gpus: float = 0
    memory: int | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Wish:
        """That of a job's config."""
        memory = config.get("memory")
        cpus, gpus = config.get("cpus") or 1, config.get("gpus") or 0
        return cls(cpus, gpus, int(memory * 2**30) if memory else None)

    @property
    def words(self) -> str:
        """For a person."""
        said = [_count(self.cpus, "processor")]
        if self.gpus:
            said.append(_count(self.gpus, "GPU"))
        if self.memory:
            said.append(f"{self.memory / 2**30:.3g} GiB")
        return ", ".join(said)


def _count(number: float, what: str) -> str:
    return f"{number:g} {what}{'' if number == 1 else 's'}"


def connect(address: str, code: Path | None = None) -> None:
    """Connect this process to a cluster, to which ``code``, a package's folder, travels where there is one.

    Raises JobFailure where that cannot be.
    """
    try:
        import ray
    except ImportError:
        raise JobFailure(f"A cluster needs Ray, which this Python does not have: {INSTALL}") from None
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
        return (
            f"The cluster {address} does not take this machine's token: give the one that it was started "
            "with (RAY_AUTH_TOKEN, or the file that RAY_AUTH_TOKEN_PATH names)"
        )
    if isinstance(fault, ConnectionError) or "connect" in lower:
        return (
            f"There is no connection to the cluster {address}: is it started, is its port open to here, and "
            f"is the token the right one? ({' '.join(text.split())[:200]})"
        )
    return f"The cluster {address} cannot be used: {' '.join(text.split())[:300]}"


class Place:
    """A job's actor on a node. Calls raise LostError when the node is gone."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self.facts: dict[str, Any] = {}

    def call(self, name: str, *arguments: Any, seconds: float = CALL_SECONDS) -> bytes:
        """What the actor's method ``name`` answers. OSError where its disk refuses."""
        import ray
        from ray.exceptions import ActorDiedError, GetTimeoutError, RayTaskError

        try:
            answer = ray.get(getattr(self._actor, name).remote(*arguments), timeout=seconds)
        except GetTimeoutError:
            raise LostError("it does not answer any more") from None
        except RayTaskError as fault:
            text = " ".join(str(fault.cause).split())[:300]
            raise OSError(text) from None
        except Exception as fault:
            raise LostError(type(fault).__name__, gone=isinstance(fault, ActorDiedError)) from fault
        if not isinstance(answer, bytes):
            raise LostError("it answers with something else than bytes", gone=True)
        return answer

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a message to the worker; never waits."""
        self._actor.tell.remote(json.dumps(message).encode())

    def leave(self, seconds: float) -> bool:
        """End the worker and remove its files, as far as the node still answers, and give the place back.

        Whether it is sure that nothing of it is left.
        """
        import ray

        sure = True
        try:
            self.call("close", seconds=seconds)
        except LostError as fault:
            sure = fault.gone
        except OSError:
            sure = False
        with contextlib.suppress(Exception):
            ray.kill(self._actor)
        return sure


def alive() -> list[dict[str, Any]]:
    """The nodes of the cluster, as Ray tells of them."""
    import ray

    return [node for node in ray.nodes() if node.get("Alive", node.get("alive"))]


def place(lease: Lease, wish: Wish, asked: Callable[[Place], None]) -> Place:
    """A place for a job on the cluster, as its ``lease`` says; ``asked`` gets it before it is there.

    It outlives this process. Raises NoPlaceError where there is none, LostError.
    """
    import ray
    from ray.exceptions import GetTimeoutError

    if not _some_node_fits(wish):
        raise NoPlaceError(_lacking(wish, "and no node of the cluster has that"))
    options: dict[str, Any] = {"num_cpus": wish.cpus, "num_gpus": wish.gpus, "max_restarts": 0}
    options |= {"name": lease.name, "lifetime": "detached"}
    if wish.memory:
        options["memory"] = wish.memory
    patience = FIRST_SECONDS if _fits(ray.available_resources(), wish) else PLACE_SECONDS
    actor = ray.remote(Node).options(**options).remote(lease.job, lease.name, lease.nonce, lease.away)
    asked(found := Place(actor))
    try:
        answer = ray.get(actor.facts.remote(), timeout=patience)
    except GetTimeoutError:
        ray.kill(actor)
        raise NoPlaceError(_lacking(wish, "and that is not free now")) from None
    except Exception as fault:
        with contextlib.suppress(Exception):
            ray.kill(actor)
        raise LostError(" ".join(str(fault).split())[:300], gone=True) from fault
    found.facts = json.loads(answer)
    return found


def has_room(wish: Wish) -> bool:
    """Whether a node is large enough, and as much as that is free on all together."""
    import ray

    return _some_node_fits(wish) and _fits(ray.available_resources(), wish)


def _some_node_fits(wish: Wish) -> bool:
    return any(_fits(node.get("Resources", {}), wish) for node in alive())


def _fits(resources: Mapping[str, float], wish: Wish) -> bool:
    return (
        resources.get("CPU", 0) >= wish.cpus
        and resources.get("GPU", 0) >= wish.gpus
        and resources.get("memory", 0) >= (wish.memory or 0)
    )


def _lacking(wish: Wish, why: str) -> str:
    import ray

    free = ray.available_resources()
    there = Wish(free.get("CPU", 0), free.get("GPU", 0), int(free.get("memory", 0)) or None)
    largest = max((node.get("Resources", {}).get("CPU", 0) for node in alive()), default=0)
    return (
        f"The job asks for {wish.words} of one node, {why}: {there.words} are free on all {len(alive())} "
        f"nodes together, and the largest has {_count(largest, 'processor')}"
    )


def look() -> dict[str, Any]:
    """The cluster that this process is connected to, as the contract has it, but for its ``address``."""
    import platform

    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asking = ray.remote(facts)
    nodes, asked = [], []
    for node in alive():
        resources = node.get("Resources", {})
        nodes.append(
            {
                "name": str(node.get("NodeManagerAddress")),
                "cpus": resources.get("CPU", 0),
                "gpus": resources.get("GPU", 0),
                "memory": int(resources.get("memory", 0)),
            }
        )
        where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked.append(asking.options(num_cpus=0, max_retries=0, scheduling_strategy=where).remote())
    end = time.monotonic() + LOOK_SECONDS
    for told, answer in zip(nodes, asked, strict=True):
        try:
            said = json.loads(ray.get(answer, timeout=max(0.1, end - time.monotonic())))
            told |= {name: said[name] for name in ("python", "versions", "missing")}
        except Exception as fault:  # noqa: BLE001 - one node that fails is no reason not to tell of the others
            told["problem"] = " ".join(str(fault).split())[:300] or type(fault).__name__
    free = ray.available_resources()
    return {
        "ray": ray.__version__,
        "python": platform.python_version(),
        "nodes": sorted(nodes, key=lambda node: node["name"]),
        "free": {
            name: free.get(key, 0) for name, key in (("cpus", "CPU"), ("gpus", "GPU"), ("memory", "memory"))
        },
    }

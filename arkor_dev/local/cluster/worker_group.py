"""The workers of one job on the cluster: started all or none, and watched as a unit.

Starting all or none prevents two jobs from waiting for each other. The actors of several workers end with
this process: their messages pass through it, and without it none of them would notice that another is gone.
The actor of a single worker outlives it, thanks to its lease.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.events import TRAINING_FAILED
from arkor_dev.contract.extras import quoted
from arkor_dev.local.execution.messages import Ended, GroupMember
from arkor_dev.local.workers.codec import encode
from arkor_dev.local.workers.errors import JobFailure

from .actor_client import POLL_SECONDS, ActorClient, start_actor
from .errors import NodeLostError, ProtocolError, RequeueError, WorkerEndedError
from .node.actor import JobActor
from .node_messages import parse_facts, parse_messages, parse_rendezvous
from .resources import STARTUP_SECONDS, actor_options, shortage, startup_timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ray.util.placement_group import PlacementGroup

    from arkor_dev.local.execution.leases import Lease
    from arkor_dev.local.execution.messages import JobRequest

    from .resources import ResourceRequest

STRATEGY: Final = "PACK"
"""Use as few machines as possible: gradients are summed fastest within one."""
CAUSE_SECONDS: Final = 15.0
"""Seconds to wait for the reason why the first worker has lost another one: less than the others take to end
because they have lost the first."""


class WorkerGroup:
    """The actors of one job's workers, rank 0 first, and the Ray ``placement_group`` of several."""

    def __init__(self, actors: Sequence[ActorClient], placement_group: PlacementGroup | None = None) -> None:
        self.actors, self._placement_group = list(actors), placement_group

    @property
    def first(self) -> ActorClient:
        """The actor of rank 0, the only worker that reports."""
        return self.actors[0]

    @property
    def description(self) -> str:
        """Description of the nodes for the user: ``nodes 10.0.0.5, 10.0.0.6 and 10.0.0.7``."""
        nodes = list(dict.fromkeys(actor.facts["node"] for actor in self.actors))
        return f"node {nodes[0]}" if len(nodes) == 1 else f"nodes {', '.join(nodes[:-1])} and {nodes[-1]}"

    def check_packages(self) -> None:
        """Raise JobFailure if a node lacks a package that training needs."""
        for actor in self.actors:
            if missing := actor.facts["missing"]:
                raise JobFailure(
                    f"The node {actor.facts['node']} has no {', '.join(missing)}: install what training "
                    f"needs in the Python that Ray runs with there: pip install {quoted('local')}"
                )

    def release(self, seconds: float) -> bool:
        """Release all actors at the same time; return the same as `ActorClient.release`."""
        with ThreadPoolExecutor(max(1, len(self.actors))) as pool:
            is_clean = list(pool.map(lambda actor: actor.release(seconds), self.actors))
        if self._placement_group is not None:
            from ray.util import remove_placement_group

            with contextlib.suppress(Exception):  # Ray also does this when the process ends
                remove_placement_group(self._placement_group)
        return all(is_clean)


def start_group(
    job_id: str, request: ResourceRequest, lease: Lease | None, on_request: Callable[[WorkerGroup], None]
) -> WorkerGroup:
    """Start a job's actors: that of ``lease`` for a single worker, new ones for several.

    ``on_request`` receives a group that other code can release meanwhile. Raises RequeueError without free
    resources, NodeLostError and ProtocolError.
    """
    if lease:
        return WorkerGroup([start_actor(lease, request, lambda actor: on_request(WorkerGroup([actor])))])
    import ray
    from ray.util.placement_group import placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    timeout = startup_timeout(request)
    bundles = placement_group([request.ray_resources] * request.workers, strategy=STRATEGY)
    group = WorkerGroup([], bundles)
    try:
        if not bundles.wait(timeout_seconds=int(timeout)):
            raise RequeueError(shortage(request, "and that is not free now"))
        for rank in range(request.workers):
            strategy = PlacementGroupSchedulingStrategy(bundles, rank)
            options = {**actor_options(request), "scheduling_strategy": strategy}
            actor = ray.remote(JobActor).options(**options).remote(job_id, "", "", 0.0)
            group.actors.append(ActorClient(actor))
        for client in group.actors:
            client.facts = parse_facts(client.call("facts", seconds=STARTUP_SECONDS), of_job=True)
    except RequeueError:
        group.release(0)
        raise
    except (NodeLostError, ProtocolError):
        group.release(1)
        raise
    except Exception as fault:
        group.release(1)
        raise NodeLostError(" ".join(str(fault).split())[:300]) from fault
    return group


class PeerWorkers:
    """Starts the workers of ``actors``, and watches all but the first.

    ``on_fault`` is called from a watching thread with the reason if the job cannot continue.
    """

    def __init__(self, actors: Sequence[ActorClient], on_fault: Callable[[Exception], None]) -> None:
        self._first, *self._peers = actors
        self._on_fault = on_fault
        self._has_fault = threading.Event()
        self._watchers: list[threading.Thread] = []

    def start(self, job: JobRequest, threads: int | None) -> int:
        """Start all workers, rank 0 first; return how many messages of rank 0 were consumed.

        With several workers the first message of rank 0 is the port where they meet. Raises the errors of
        `ActorClient.call`.
        """
        if not self._peers:
            self._first.call("start", encode(job), threads)
            return 0
        address, token = self._first.facts["node"], secrets.token_hex(32)
        actors = (self._first, *self._peers)
        members = [
            GroupMember(rank, len(actors), actor.facts["node"], token) for rank, actor in enumerate(actors)
        ]
        self._first.call("start", encode(replace(job, group=members[0])), threads)
        port = self._wait_for_port()
        for actor, member in zip(self._peers, members[1:], strict=True):
            joining = replace(member, address=address, port=port)
            actor.call("start", encode(replace(job, group=joining)), threads)
        for actor in self._peers:
            watcher = threading.Thread(target=self._watch, args=(actor,), name="peer worker", daemon=True)
            self._watchers.append(watcher)
            watcher.start()
        return 1

    def _wait_for_port(self) -> int:
        deadline = time.monotonic() + STARTUP_SECONDS
        while time.monotonic() < deadline:
            port, exit_status = parse_rendezvous(self._first.call("poll", 0, 0, POLL_SECONDS))
            if port is not None:
                return port
            if exit_status is not None:
                raise NodeLostError(exit_status["cause"])
        raise NodeLostError("its worker does not start")

    def _watch(self, actor: ActorClient) -> None:
        """Read and drop a worker's messages until it ends or is gone."""
        count, node = 0, actor.facts["node"]
        try:
            while True:
                messages, exit_status = parse_messages(actor.call("poll", count, count, POLL_SECONDS))
                count += len(messages)
                for message in messages:
                    match message:
                        case Ended(event):
                            if event["type"] == TRAINING_FAILED:
                                raise JobFailure(f"{event['error']} (the worker on the node {node})")
                            return
                if exit_status and not messages:
                    raise WorkerEndedError(f"{exit_status['cause']} It ran on the node {node}.")
        except NodeLostError as fault:
            fault.node = node
            self._on_fault(fault)
        except (JobFailure, ProtocolError, OSError) as fault:
            self._on_fault(fault)
        self._has_fault.set()

    def wait_for_fault(self) -> None:
        """Wait until a peer has reported why rank 0 ended without a final message, if there are peers."""
        deadline = time.monotonic() + CAUSE_SECONDS
        while time.monotonic() < deadline and any(watcher.is_alive() for watcher in self._watchers):
            if self._has_fault.wait(0.2):
                break

"""Places for the workers of one job: all at once, or none, so that no two jobs wait for each other.

Those of several workers end with this process: what one of them says comes through here, and without that
nobody would see that another one is gone. One worker's place stays, by its lease.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.cluster import connection
from arkor_dev.local.cluster.answers import HostileError, facts_of
from arkor_dev.local.cluster.connection import LostError, NoPlaceError, Place
from arkor_dev.local.cluster.there.host import Host
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arkor_dev.local.cluster.connection import Wish
    from arkor_dev.local.execution.leases import Lease

STRATEGY: Final = "PACK"
"""As few machines as have the room: what stays within one is added up the quickest."""


class Places:
    """The places of one job's workers, the first one's first; Ray gives back ``group`` as one."""

    def __init__(self, places: Sequence[Place], group: Any = None) -> None:
        self.all, self._group = list(places), group

    @property
    def first(self) -> Place:
        """That of the worker that speaks."""
        return self.all[0]

    @property
    def words(self) -> str:
        """Which nodes they are on, for a person."""
        names = list(dict.fromkeys(place.facts["node"] for place in self.all))
        return f"node {names[0]}" if len(names) == 1 else f"nodes {', '.join(names[:-1])} and {names[-1]}"

    def check(self) -> None:
        """Raise JobFailure where one of the nodes lacks something that training needs."""
        for place in self.all:
            if missing := place.facts["missing"]:
                raise JobFailure(
                    f"The node {place.facts['node']} has no {', '.join(missing)}: install what training "
                    "needs there (pip install 'arkor-dev[local]'), in the Python that Ray runs with"
                )

    def leave(self, seconds: float) -> bool:
        """Leave all of them at the same time, as `Place` has it."""
        with ThreadPoolExecutor(max(1, len(self.all))) as leaving:
            sure = list(leaving.map(lambda place: place.leave(seconds), self.all))
        if self._group is not None:
            from ray.util import remove_placement_group

            with contextlib.suppress(Exception):  # Ray does it for a driver that ends, too
                remove_placement_group(self._group)
        return all(sure)


def take(job_id: str, wish: Wish, lease: Lease | None, asked: Callable[[Places], None]) -> Places:
    """Places for a job on the cluster: its ``lease``'s, which one worker has, or those of several workers.

    ``asked`` gets what has to be left where this is not waited for. Raises NoPlaceError where there are not
    enough, LostError, HostileError.
    """
    if lease:
        return Places([connection.place(lease, wish, lambda place: asked(Places([place])))])
    import ray
    from ray.util.placement_group import placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    patience = connection.patience(wish)
    each = {"CPU": wish.cpus, "GPU": wish.gpus, "memory": wish.memory}
    group = placement_group(
        [{name: count for name, count in each.items() if count}] * wish.workers, strategy=STRATEGY
    )
    places = Places([], group)
    try:
        if not group.wait(timeout_seconds=int(patience)):
            raise NoPlaceError(connection.lacking(wish, "and that is not free now"))
        for number in range(wish.workers):
            where = PlacementGroupSchedulingStrategy(group, number)
            options = {**connection.options_of(wish), "scheduling_strategy": where}
            places.all.append(Place(ray.remote(Host).options(**options).remote(job_id, "", "", 0.0)))
        for place in places.all:
            place.facts = facts_of(place.call("facts", seconds=connection.FIRST_SECONDS), of_place=True)
    except NoPlaceError:
        places.leave(0)
        raise
    except (LostError, HostileError):
        places.leave(1)
        raise
    except Exception as fault:
        places.leave(1)
        raise LostError(" ".join(str(fault).split())[:300]) from fault
    return places

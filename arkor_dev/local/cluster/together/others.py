"""The workers of a job beside the first one: they say nothing that counts, and when one is gone all are."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.cluster.answers import HostileError, meeting_of, messages_of
from arkor_dev.local.cluster.connection import FIRST_SECONDS, TAKE_SECONDS, LostError, Place
from arkor_dev.local.cluster.endings import EndedError
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CAUSE_SECONDS: Final = 15.0
"""How long is waited for the reason why the first worker has lost another one: less than the others take to
end because they have lost it."""


class Others:
    """Every worker of ``places`` but the first; ``fault`` is told why the job cannot go on."""

    def __init__(self, places: Sequence[Place], fault: Callable[[Exception], None]) -> None:
        self._first, *self._places = places
        self._fault = fault
        self._faulty = threading.Event()
        self._watches: list[threading.Thread] = []

    def start(self, job: Mapping[str, Any], threads: int | None) -> int:
        """Start all, the first one first; how many of its messages have been taken. Raises as `Place` does.

        Where there are several, the first one's first message is the port at which they meet.
        """
        if not self._places:
            self._first.call("start", json.dumps(job).encode(), threads)
            return 0
        host = self._first.facts["node"]
        places = (self._first, *self._places)
        told = [
            {"rank": rank, "count": len(places), "host": place.facts["node"]}
            for rank, place in enumerate(places)
        ]
        self._first.call("start", json.dumps({**job, "together": told[0]}).encode(), threads)
        port = self._port()
        for place, each in zip(self._places, told[1:], strict=True):
            meets = {**each, "address": host, "port": port}
            place.call("start", json.dumps({**job, "together": meets}).encode(), threads)
        for place in self._places:
            watch = threading.Thread(target=self._watch, args=(place,), name="another worker", daemon=True)
            self._watches.append(watch)
            watch.start()
        return 1

    def _port(self) -> int:
        end = time.monotonic() + FIRST_SECONDS
        while time.monotonic() < end:
            port, over = meeting_of(self._first.call("take", 0, 0, TAKE_SECONDS))
            if port is not None:
                return port
            if over is not None:
                raise LostError(over["cause"])
        raise LostError("its worker does not start")

    def _watch(self, place: Place) -> None:
        """Take what the worker says, until it ends or is gone."""
        after, node = 0, place.facts["node"]
        try:
            while True:
                messages, over = messages_of(place.call("take", after, after, TAKE_SECONDS))
                after += len(messages)
                for message in messages:
                    if message.get("end") == "failed":
                        raise JobFailure(f"{message['fields'].get('error')} (the worker on the node {node})")
                    if "end" in message:
                        return
                if over and not messages:
                    raise EndedError(f"{over['cause']} It ran on the node {node}.")
        except LostError as fault:
            fault.node = node
            self._fault(fault)
        except (JobFailure, HostileError, OSError) as fault:
            self._fault(fault)
        self._faulty.set()

    def wait_for_fault(self) -> None:
        """Wait, where there are others, for what one of them has to say of an end without a word."""
        end = time.monotonic() + CAUSE_SECONDS
        while time.monotonic() < end and any(watch.is_alive() for watch in self._watches):
            if self._faulty.wait(0.2):
                break

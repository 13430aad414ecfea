"""Whose turn it is, and who asks too often."""

from __future__ import annotations

import asyncio

import pytest

from arkor_dev.contract.errors import RateLimitedError
from arkor_dev.local.inference import admission
from arkor_dev.local.inference.admission import AdmissionQueue, RateLimit


class Requests:
    """Requests that wait for places of a line, and hold them until told otherwise."""

    def __init__(self, places: int) -> None:
        self.line = AdmissionQueue(places)
        self.begun: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, caller: str, name: str) -> None:
        """Ask, and go on when it waits or has its place."""
        self._ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._run(caller, name))
        await self.settle()

    async def _run(self, caller: str, name: str) -> None:
        async with self.line.admit(caller):
            self.begun.append(name)
            await self._ends[name].wait()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self.tasks[name]
        await self.settle()

    @staticmethod
    async def settle() -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_requests_beyond_the_limit_wait_in_order() -> None:
    requests = Requests(2)
    for name in ("1", "2", "3", "4"):
        await requests.ask("a", name)
    assert requests.begun == ["1", "2"]
    assert requests.line.waiting == 2
    await requests.end("2")
    assert requests.begun == ["1", "2", "3"]
    for name in ("1", "3", "4"):
        await requests.end(name)
    assert requests.line.waiting == 0
    await requests.ask("a", "5")
    await requests.ask("a", "6")
    assert requests.begun[-2:] == ["5", "6"]
    for name in ("5", "6"):
        await requests.end(name)


async def test_one_caller_does_not_delay_another() -> None:
    requests = Requests(1)
    await requests.ask("a", "a1")
    for number in range(2, 9):
        await requests.ask("a", f"a{number}")
    await requests.ask("b", "b1")
    await requests.ask("b", "b2")
    order = []
    for _ in range(10):
        order.append(requests.begun[-1])
        await requests.end(order[-1])
    assert order == ["a1", "a2", "b1", "a3", "b2", "a4", "a5", "a6", "a7", "a8"]


async def test_a_cancelled_waiter_frees_its_position() -> None:
    requests = Requests(1)
    for name in ("1", "2", "3"):
        await requests.ask("a", name)
    requests.tasks["2"].cancel()
    await asyncio.gather(requests.tasks["2"], return_exceptions=True)
    assert requests.line.waiting == 1
    await requests.end("1")
    assert requests.begun == ["1", "3"]
    await requests.end("3")


async def test_a_waiter_cancelled_at_its_turn_passes_it_on() -> None:
    requests = Requests(1)
    for name in ("1", "2", "3"):
        await requests.ask("a", name)
    requests._ends["1"].set()
    await requests.tasks["1"]
    requests.tasks["2"].cancel()  # its turn has come, and it does not know it yet
    await asyncio.gather(requests.tasks["2"], return_exceptions=True)
    await requests.settle()
    assert requests.begun[-1] == "3"
    await requests.end("3")
    await requests.ask("a", "4")
    assert requests.begun[-1] == "4"
    await requests.end("4")


async def test_a_waiter_cancelled_before_its_turn_is_skipped() -> None:
    requests = Requests(1)
    for name in ("1", "2", "3"):
        await requests.ask("a", name)
    requests.tasks["2"].cancel()
    requests._ends["1"].set()
    await asyncio.gather(requests.tasks["1"], requests.tasks["2"], return_exceptions=True)
    await requests.settle()
    assert requests.begun == ["1", "3"]
    await requests.end("3")


async def test_the_waiting_queue_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "WAITING", 3)
    monkeypatch.setattr(admission, "WAITING_OF_ONE", 2)
    requests = Requests(1)
    for name in ("1", "2", "3"):
        await requests.ask("a", name)
    with pytest.raises(RateLimitedError) as fault:
        await requests.line._acquire("a")
    assert fault.value.extra == {"code": "rate_limit_exceeded", "retryAfter": 2}
    await requests.ask("b", "b1")
    with pytest.raises(RateLimitedError):
        await requests.line._acquire("c")
    for task in requests.tasks.values():
        task.cancel()
    await asyncio.gather(*requests.tasks.values(), return_exceptions=True)


def test_the_rate_limit_allows_a_burst() -> None:
    now = 100.0
    rate = RateLimit(lambda: now)
    for _ in range(admission.BURST):
        rate.count("a")
    with pytest.raises(RateLimitedError) as fault:
        rate.count("a")
    assert fault.value.extra["retryAfter"] == 1
    rate.count("b")
    now += 1
    for _ in range(int(admission.A_SECOND)):
        rate.count("a")
    with pytest.raises(RateLimitedError):
        rate.count("a")
    now += 3600
    for _ in range(admission.BURST):
        rate.count("a")
    with pytest.raises(RateLimitedError):
        rate.count("a")


def test_remembered_callers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "CALLERS", 2)
    rate = RateLimit(lambda: 0.0)
    for caller in ("a", "b", "c", "d"):
        rate.count(caller)
    assert list(rate._budgets) == ["c", "d"]

"""Every state that a page can be in, on a real Studio: for pictures (``scripts/screenshots``) and tests.

A state is a coroutine that brings a page there and returns when it stands still. Several states on one way
are a generator, as loading a page takes longer than looking at it.
"""

from __future__ import annotations

import importlib
import json
import math
import pkgutil
import random
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from playwright.async_api import expect

from arkor_dev.server.app_keys import JOBS
from tests.browser.steps import PACED

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Page

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

PROMPTLY = 60_000
LOOKED_AT = "document.dispatchEvent(new Event('visibilitychange')) && undefined"
PACE = 1.4


@dataclass(frozen=True, slots=True)
class Scene:
    """What a state is made of."""

    page: Page
    studio: Studio
    fake: FakeBackend

    @property
    def project(self) -> Path:
        """The project's folder."""
        return self.studio.settings.project

    async def leave(self) -> None:
        """Go where no page is, and leave nothing of the state before: no job, no file of the project."""
        if await self.page.locator("dialog[open]").count():
            await self.page.keyboard.press("Escape")
        await self.page.goto(f"{self.studio.url}/#/none")
        await expect(self.page.get_by_role("heading", name="No such page")).to_be_attached()
        await expect(self.page.locator("dialog[open]")).to_have_count(0)
        await self.page.unroute_all()
        self.fake.reset()
        for path in self.project.iterdir():
            if path.is_dir() and path.name != ".arkor":
                shutil.rmtree(path)
            elif path.is_file():
                path.unlink()

    async def go(self, path: str, *, clock: bool = False) -> None:
        """Open an address of this Studio, such as ``/#/jobs``; with ``clock`` its time can be ``hurried``.

        A page that was open before asks for its jobs at once, as one that is looked at again: else it knows
        new ones up to 5 s later.
        """
        if clock:
            await self.page.add_init_script(PACED)
        was_open = self.page.url.startswith(self.studio.url)
        self.studio.app[JOBS].refresh()
        await self.page.goto(self.studio.url + path)
        if was_open:
            await self.page.evaluate(LOOKED_AT)


@dataclass(frozen=True, slots=True)
class State:
    """A page as it can be found."""

    name: str
    caption: str

    @property
    def page(self) -> str:
        """The page it belongs to, such as ``jobs``."""
        return self.name.partition("-")[0]


Stops = Callable[[Scene], AsyncGenerator[None]]


@dataclass(frozen=True, slots=True)
class Walk:
    """States that one page is brought to, one after another: ``stops`` yields in each.

    ``faulty``: something is refused on the way there, which the browser writes into its console. Walks of one
    ``tour`` can follow one another on one page: they need the same features of the backend, and nothing that
    the others leave behind is in their way.
    """

    states: tuple[State, ...]
    stops: Stops
    faulty: bool
    tour: str = ""

    @property
    def name(self) -> str:
        """All of its states."""
        return "+".join(state.name for state in self.states)

    async def play(self, scene: Scene) -> AsyncGenerator[State]:
        """Bring the page to each state in turn; what a state needs lasts until the next one is asked for."""
        async with aclosing(self.stops(scene)) as stops:
            for state in self.states:
                await anext(stops)
                yield state


_WALKS: list[Walk] = []


def state(
    name: str, caption: str, *, faulty: bool = False, tour: str = ""
) -> Callable[[Callable[[Scene], Awaitable[None]]], Callable[[Scene], Awaitable[None]]]:
    """Lists a coroutine as a state."""

    def listed(play: Callable[[Scene], Awaitable[None]]) -> Callable[[Scene], Awaitable[None]]:
        async def stops(scene: Scene) -> AsyncGenerator[None]:
            await play(scene)
            yield

        _WALKS.append(Walk((State(name, caption),), stops, faulty, tour))
        return play

    return listed


def walk(captions: dict[str, str], *, faulty: bool = False, tour: str = "") -> Callable[[Stops], Stops]:
    """Lists a generator as several states: it yields in each, in the order of their names."""

    def listed(stops: Stops) -> Stops:
        states = tuple(State(name, caption) for name, caption in captions.items())
        _WALKS.append(Walk(states, stops, faulty, tour))
        return stops

    return listed


def all_walks() -> list[Walk]:
    """Every way through the states, page by page."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    order = ("home", "data", "jobs", "sweeps", "job", "compare", "blind", "playground", "endpoints", "shell")
    return sorted(_WALKS, key=lambda each: order.index(each.states[0].page))


def all_tours() -> list[list[Walk]]:
    """The walks that are taken on one page: those of a tour, and each other by itself."""
    tours: dict[str, list[Walk]] = {}
    for each in all_walks():
        tours.setdefault(each.tour or each.name, []).append(each)
    return list(tours.values())


def name_of(tour: list[Walk]) -> str:
    """All of its states, so that a test of one is found by its name."""
    return "+".join(each.name for each in tour)


async def play_all(scene: Scene, tour: list[Walk]) -> AsyncGenerator[State]:
    """Bring the page to each state of a tour in turn."""
    for each in tour:
        if each is not tour[0]:
            await scene.leave()
        async with aclosing(each.play(scene)) as states:
            async for state in states:
                yield state


def all_states() -> list[State]:
    """Every state, page by page."""
    return [state for each in all_walks() for state in each.states]


def ago(seconds: float) -> str:
    """A time that long before now, as the wire has it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


CONFIG = {
    "model": "SmolLM2-135M-Instruct",
    "datasetSource": {"type": "file", "path": "data/support.jsonl"},
    "maxSteps": 400,
    "learningRate": 2e-4,
    "batchSize": 4,
    "loraR": 16,
    "loraAlpha": 32,
    "seed": 7,
}


def trained(
    fake: FakeBackend, name: str, status: str = "completed", *, steps: int = 400, of: int = 400, **config: Any
) -> str:
    """A job with a curve as trainings have it: noisy, falling, with eval loss and checkpoints."""
    begun = steps * PACE + (2 if status == "running" else 300)
    whole = {**CONFIG, **config, "maxSteps": of}
    times = {"createdAt": ago(begun + 8), "startedAt": ago(begun)}
    job = fake.add_job("running", name=name, config=whole, **times)
    fake.frames[job].clear()
    facts = {"totalSteps": of, "device": "cpu", "trainRows": 820, "evalRows": 40}
    fake.emit(job, "training.started", timestamp=ago(begun), metadata=facts)
    steps_of(fake, job, steps, of=of, begun=begun)
    if status != "running":
        end(fake, job, status, begun - PACE * steps)
    return job


def _so_far(step: int, loss: float) -> dict[str, Any]:
    """The verdict so far at ``step``, on a base whose loss is 3.6."""
    return {
        "state": "better",
        "settled": 40,
        "low": 3.5 - loss,
        "high": 3.7 - loss,
        "confidence": 99,
        "evaluation": step // 40,
        "planned": 16,
        "sentence": f"Better, settled at step 40: loss {loss:.2f} vs. 3.60 for the base; 99 % interval of "
        f"the difference {3.5 - loss:.2f} to {3.7 - loss:.2f}.",
    }


def steps_of(fake: FakeBackend, job: str, steps: int, *, of: int, begun: float | None = None) -> None:
    """The events of so many steps, the last of them now or, from ``begun`` seconds ago on, as they went."""
    chance = random.Random(fake.jobs[job]["name"])  # the same picture every time
    begun = steps * PACE if begun is None else begun
    for step in range(1, steps + 1):
        at = ago(begun - PACE * step)
        fall = 0.55 + 2.6 * math.exp(-step / 70)
        fields: dict[str, Any] = {
            "loss": fall * (1 + chance.gauss(0, 0.06)),
            "learningRate": 2e-4 * min(1, step / 20) * (1 - step / (of + 1)),
            "epoch": step / 205,
            "tokensPerSecond": 900 + chance.gauss(0, 40),
        }
        if step % 40 == 0:
            fields |= {"evalLoss": fall * 1.08, "verdictSoFar": _so_far(step, fall * 1.08)}
        fake.log(job, step, timestamp=at, **fields)
        if step % 100 == 0:
            saved = [{"kind": "adapter", "name": f"checkpoint-{step}", "bytes": 3_712_000}]
            fake.emit(job, "checkpoint.saved", step=step, timestamp=at, artifacts=saved)


def end(fake: FakeBackend, job: str, status: str, seconds: float, **fields: Any) -> None:
    """A job's end, so many seconds ago, with what it leaves behind; its list entry says the same."""
    at = ago(seconds)
    last = json.loads(fake.frames[job][-1][1].split(b"data: ")[1])
    metrics = {"evalLoss": 0.594, "bestEvalLoss": 0.588, "loss": 0.551, "step": last.get("step", 0)}
    spent = {"secondsIn": fields.pop("secondsIn")} if "secondsIn" in fields else {}
    if status == "completed":
        fields |= {
            "metrics": {**metrics, **spent},
            "artifacts": [{"kind": "adapter", "name": "adapter", "bytes": 3_712_000}],
        }
    fake.emit(job, f"training.{status}", timestamp=at, **fields)
    fake.jobs[job] |= {"status": status, "completedAt": at, "metrics": metrics}
    fake._wake(job)

"""Jobs in trouble: processes are killed at chosen moments, and jobs are paused, extended and deleted.

The same story without a blow is what all is compared with.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.local.chaos_studio import SLOW, Reader, Studio
from tests.local.harness import until

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Sequence

    from tests.local.harness import Frame

OVER = ("completed", "failed", "cancelled")
COMMON: dict[str, Any] = {
    "model": "./models/tiny",
    "dataset": "data/chats.jsonl",
    "learning_rate": 1e-2,
    "log_every": 1,
    "eval_split": 0.1,
    "eval_every": 10,
    "number_format": "float32",
    "samples": "off",
}
TRAINERS: dict[str, dict[str, Any]] = {
    "grows": {
        "optimizer": "lion",
        "learning_rate": 1e-3,
        "scheduler": "cosine",
        "save_every": 10,
        "samples": ["Where is my parcel?"],
    },
    "packs": {
        "packing": True,
        "max_length": 128,
        "lora.dropout": 0.1,
        "gradient_accumulation_steps": 2,
        "save_every": 7,
        "save_total_limit": 2,
        "offload": "layers",
    },
    "root": {"save_every": 6, "max_length": 64},
    "noise": {
        "neftune_noise_alpha": 5,
        "group_by_length": True,
        "early_stopping_patience": 50,
        "eval_every": 5,
        "save_every": 11,
    },
    "anew": {"save_every": 0, "lora.dropout": 0.2},
    "branch": {"save_every": 9, "lora.dropout": 0.05},
}
"""By name. ``grows`` is given a later end, ``branch`` begins from ``root``, which is deleted then."""
FEW = ("grows", "packs")
LONG = 1500.0
"""Seconds that all jobs may take on a machine that does much else."""
MARGIN = 3
"""Steps that a job may have made beyond what was seen of it before a blow."""


class Blow(NamedTuple):
    """Which processes are killed (`chaos_studio.MODULES`), and at which moment of a job."""

    moment: str
    victim: str


USUAL = ("step", "save", "unheard", "asked")
RARE = ("eval", "start", "final", "measuring")
VICTIMS = ("worker", "backend", "daemon", "all")


def blows(count: int, chance: random.Random) -> list[Blow]:
    """``count`` blows: every victim before one comes twice, every moment before one comes twice."""
    dealt: list[Blow] = []
    while len(dealt) < count:
        for moments in (USUAL, RARE):
            dealt += map(Blow, chance.sample(moments, 4), chance.sample(VICTIMS, 4))
    return dealt[:count]


def toml(names: Iterable[str], steps: int) -> str:
    """``arkor.toml`` with these trainers."""
    said = []
    for name in (*names, "spare"):
        settings = {**COMMON, **TRAINERS.get(name, {}), "steps": steps}
        lines = (f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
        said.append(f'[[trainer]]\nname = "{name}"\n{"".join(lines)}')
    return "\n".join(said)


@dataclass
class Outcome:
    """What came of one job: its adapter's bytes, its config, and what its events say."""

    adapter: bytes
    config: dict[str, Any]
    said: list[tuple[str, object, object]]


@dataclass
class Story:
    """The jobs ``names`` of ``steps`` steps each, from their start to their end, with ``blows`` between."""

    studio: Studio
    names: Sequence[str]
    steps: int
    chance: random.Random
    blows: list[Blow] = field(default_factory=list)
    told: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.readers: dict[str, Reader] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.furthest: dict[str, int] = {}
        self.stalled: dict[str, bool] = {}
        self.struck: list[Blow] = []
        self.caught: set[str] = set()
        self.deleted: set[str] = set()
        self.leaving: set[str] = set()

    def run(self) -> None:
        """Tell the whole story: afterwards ``outcomes`` has every job that there was."""
        for name in self.names:
            if name != "branch":
                self.begin(name)
        self.begin("spare")
        # Each job gets its share, so that none is spared.
        left = dict.fromkeys(self.names, -(-len(self.blows) // len(self.names)))
        waiting = list(self.blows)
        while waiting:
            struck = self.next(left, cut=any(blow.moment == "asked" for blow in waiting))
            if struck is None:
                break
            if struck == "":
                blow = next(blow for blow in waiting if blow.moment == "asked")
            else:
                blow = waiting[0]
                left[struck] -= 1
            waiting.remove(blow)
            self.strike(blow, struck or self.running() or "")
        for blow in waiting:  # nothing runs, so the blow must have no effect
            self.strike(blow, "")
        until(self.is_settled, LONG)
        for name in self.names:
            self.keep(name)

    def begin(self, name: str, **more: Any) -> None:
        self.ids[name] = self.studio.train(name, **more)
        self.readers[name] = Reader(self.studio, self.ids[name])

    def job(self, name: str) -> dict[str, Any]:
        found = self.studio.job(self.ids[name])
        assert found is not None, f"{name} is gone"
        return found

    def step_of(self, name: str) -> int:
        return int(self.job(name)["metrics"].get("step", 0))

    def running(self) -> str | None:
        """The job that runs at this moment."""
        here = (name for name in self.ids if name not in self.deleted)
        return next((name for name in here if self.job(name)["status"] == "running"), None)

    def next(self, left: dict[str, int], *, cut: bool) -> str | None:
        """A job that runs and may be struck; None when all is over.

        With ``cut``, "" where something is due that a blow may cut off.
        """

        def found() -> str | None:
            self.go_on()
            if cut and self.due():
                return ""
            if not cut:
                self.tend()
            name = self.running()
            if name is not None and left.get(name, 0) > 0:
                return name
            return "over" if self.is_settled(tend=not cut) else None

        name: str | None = None

        def moment() -> bool:
            nonlocal name
            name = found()
            return name is not None

        until(moment, LONG)
        return None if name == "over" else name

    # What a person does meanwhile

    def tend(self) -> None:
        """Do all that is due."""
        self.go_on()
        for do in self.due():
            do()

    def go_on(self) -> None:
        """Let go on what stands, and begin what begins from another; neither is cut off by a blow."""
        for name in [name for name in self.ids if name not in self.deleted]:
            job = self.job(name)
            if job["status"] == "paused" and job["pause"]["reason"] == "asked":
                self.ask("POST", name, "/resume", {})
        if "branch" in self.names and "branch" not in self.ids and self.job("root")["status"] == "completed":
            self.begin("branch", parent={"jobId": self.ids["root"]})

    def due(self) -> list[Callable[[], None]]:
        """What a person would do now; each may be done again where it is not known whether it was."""
        found: list[Callable[[], None]] = []
        spare = None if "spare" in self.deleted else self.job("spare")
        if spare and spare["status"] in OVER:
            found.append(lambda: self.delete("spare"))
        elif spare:
            found.append(lambda: self.ask("POST", "spare", "/cancel"))
        if "grows" in self.names:
            grows = self.job("grows")
            if grows["status"] == "completed" and grows["config"]["maxSteps"] == self.steps:
                later = {"maxSteps": self.steps + self.steps // 2}
                found.append(lambda: self.ask("POST", "grows", "/extend", later))
        if "branch" in self.ids and "root" not in self.deleted:
            found.append(lambda: self.delete("root"))
        return found

    def ask(self, method: str, name: str, path: str, body: Any = None) -> None:
        """Ask something of a job; that it is refused as it was done already is no fault."""
        answer = self.studio.ask(method, f"/api/jobs/{self.ids[name]}{path}", body)
        assert answer.status in (200, 404, 409), answer.body

    def delete(self, name: str) -> None:
        if name in self.names and name not in self.outcomes:
            self.keep(name)
        self.leaving.add(name)
        self.ask("DELETE", name, "")
        self.note_gone()

    def note_gone(self) -> None:
        """Note which of the jobs that were to be deleted are gone: the answer may have been cut off."""
        for name in [name for name in self.leaving if name not in self.deleted]:
            if self.studio.job(self.ids[name]) is None:
                self.deleted.add(name)
                self.readers.pop(name).close()

    def is_settled(self, *, tend: bool = True) -> bool:
        """Whether all is done, and every job is over."""
        time.sleep(0.3)  # each look is a dozen requests, of which a busy machine should be spared some
        if tend:
            self.tend()
        here = [name for name in self.names if name not in self.deleted]
        done = all(name in self.ids and self.job(name)["status"] in OVER for name in here)
        return done and not self.due()

    def keep(self, name: str) -> None:
        """Keep what came of a job that is over."""
        if name in self.deleted:
            return
        job, history = self.job(name), self.studio.history(self.ids[name])
        assert job["status"] == "completed", (name, job.get("error"))
        final = self.studio.data / "jobs" / self.ids[name] / "final" / "adapter_model.safetensors"
        ids = [int(frame.id or 0) for frame in history]
        assert ids == sorted(set(ids))
        self.outcomes[name] = Outcome(final.read_bytes(), job["config"], said_in(history))

    # Blows

    def strike(self, blow: Blow, name: str) -> None:
        """Wait for the moment in the job ``name`` (where none runs: at once), and kill."""
        victim, asking, self._seen = blow.victim, None, 0
        if name and self.stalled.get(name):
            # Three crashes without a step further are a job's end, and it has had two.
            self._arrive(name, self.furthest[name] + 1)
            if blow.moment in ("start", "measuring"):
                blow = Blow("step", victim)
        if name or (blow.moment == "asked" and self.due()):
            asking = getattr(self, f"_{blow.moment}")(name)
        seen = self._seen or (self.step_of(name) if name else 0)
        self.told(f"{len(self.struck) + 1}. {victim} at {blow.moment} of {name or 'none'}, step {seen}")
        if blow.moment == "measuring" and victim == "worker":
            victim = "measuring"
        self.studio.kill(victim)
        if asking:
            asking.join(SLOW)
        self.note_gone()
        # The backend answers from here on; a queue that was held goes on.
        assert self.studio.ask("PATCH", "/api/queue", {"held": False}).status == 200
        if name and name not in self.deleted:
            now = max(seen, self.step_of(name))
            self.stalled[name] = now <= self.furthest.get(name, 0)
            self.furthest[name] = max(now + MARGIN, self.furthest.get(name, 0))
        self.struck.append(blow)

    def _arrive(self, name: str, step: int) -> None:
        """Wait until a job has come to ``step``, or is over."""

        def there() -> bool:
            found = self.job(name)
            if found["status"] == "paused":
                self.go_on()
            return found["status"] in OVER or found["metrics"].get("step", 0) >= step

        until(there, 2 * SLOW)

    def _step(self, name: str) -> None:
        """Some steps on, wherever the next moment falls."""
        self._arrive(name, self.furthest.get(name, 0) + self.chance.randrange(1, 9))
        time.sleep(self.chance.random() * 0.05)

    def _save(self, name: str) -> None:
        """While something is written of which there is only half."""
        self._arrive(name, self.furthest.get(name, 0) + 1)
        folder = self.studio.data / "jobs" / self.ids[name]
        end = time.monotonic() + SLOW
        for look in itertools.count():
            if list(folder.glob("*/*.part")):
                self.caught.add("save")
                return
            if time.monotonic() > end or (look % 100 == 0 and self.job(name)["status"] in OVER):
                return
            time.sleep(0.001)

    def _eval(self, name: str) -> None:
        """In the moment of an evaluation: its step is told, its figure is not."""
        every = {**COMMON, **TRAINERS[name]}["eval_every"]
        self._arrive(name, (self.furthest.get(name, 0) // every + 1) * every)

    def _final(self, name: str) -> None:
        """While the finished adapter is compared with its base; else at the end."""
        folder = self.studio.data / "jobs" / self.ids[name] / "final"
        until(lambda: folder.exists() or self.job(name)["status"] in OVER, 2 * SLOW)
        if self.job(name)["status"] == "running":
            self.caught.add("final")

    def _unheard(self, name: str) -> None:
        """Steps have been made, and the backend has not heard of them."""
        self._arrive(name, self.furthest.get(name, 0) + self.chance.randrange(1, 9))
        self._seen = self.step_of(name)
        if self.job(name)["status"] == "running":
            self.caught.add("unheard")
        for pid in self.studio.pids("backend"):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(0.05 + self.chance.random() * 0.2)

    def _start(self, name: str) -> None:
        """Before the first step that it makes in this process, or wherever it is by then."""

        def starts() -> bool:
            return bool(self.studio.pids("worker")) or self.job(name)["status"] in OVER

        until(starts, SLOW)
        time.sleep(self.chance.random() * 2)

    def _asked(self, name: str) -> threading.Thread:
        """While somebody waits for an answer: to what is due, else to a pause."""
        due = self.due()
        if due:
            do: Callable[[], object] = due[0]
        else:
            self._arrive(name, self.furthest.get(name, 0) + self.chance.randrange(1, 5))
            do = lambda: self.studio.call("POST", f"/api/jobs/{self.ids[name]}/pause")  # noqa: E731
        asking = threading.Thread(target=_unheeded, args=(do,), daemon=True)
        asking.start()
        time.sleep(self.chance.random() * 0.1)
        return asking

    def _measuring(self, name: str) -> None:
        """In the forecast of another job, while this one stands."""
        self._arrive(name, self.furthest.get(name, 0) + 1)
        self.studio.ask("PATCH", "/api/queue", {"held": True})
        self.studio.ask("POST", f"/api/jobs/{self.ids[name]}/pause")
        config = {**self.job(name)["config"], "batchSize": 1 + len(self.struck) % 8}

        def measures() -> bool:
            self.studio.ask("POST", "/api/forecast", {"config": config})
            return bool(self.studio.pids("measuring"))

        with suppress(AssertionError):  # another job has begun before the queue was held
            until(measures, 10)
            self.caught.add("measuring")
        time.sleep(self.chance.random() * 3)


def _unheeded(do: Callable[[], object]) -> None:
    with suppress(Exception):  # the answer may be cut off
        do()


PASSING = ("passed over", "answered at some of the checkpoints only")
SAID = ("training.message", "checkpoint.saved", "checkpoint.removed", "evaluation.completed")


def said_in(history: Sequence[Frame]) -> list[tuple[str, object, object]]:
    """What a job's events say in the end, each in order, without what the machine and the trouble bring.

    What was torn on the disk is said where it is passed over; how many samples there are, and how long,
    follows the time.
    """
    said = []
    for frame in history:
        row = frame.json
        if frame.event == "training.log":
            said.append((frame.event, row["step"], row.get("loss", row.get("evalLoss"))))
        elif frame.event in SAID and not any(words in row.get("message", "") for words in PASSING):
            said.append((frame.event, row.get("step"), row.get("message")))
        elif frame.event.rpartition(".")[2] in OVER:
            said.append((frame.event, row["metrics"]["steps"], row["metrics"]["loss"]))
    return said

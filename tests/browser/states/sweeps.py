"""Sweeps: a form to start one, and one whose winner is judged."""

from __future__ import annotations

import math
import random
from typing import Any

from playwright.async_api import expect

from arkor_dev.local.jobs.job_config import UNREADABLE

from . import Scene, ago, state, trained
from .home import TRAINER, declare


def sweep(scene: Scene) -> dict[str, Any]:
    """Return a sweep of 12 trials over three settings, with its winner, and put it into the fake backend."""
    chance = random.Random(4)
    trials: list[dict[str, Any]] = []
    for number in range(12):
        settings: dict[str, Any] = {} if number == 0 else {
            "learningRate": float(f"{10 ** chance.uniform(-4, -2.3):.3g}"),
            "loraR": chance.choice([8, 16, 64]),
            "batchSize": chance.choice([2, 4, 8]),
        }  # fmt: skip
        rate = settings.get("learningRate", 2e-4)
        loss = 2 + 0.3 * math.log10(rate / 2e-3) ** 2 + chance.uniform(0, 0.05)
        results = [{"step": 10, "loss": loss, "at": ago(30_000 - 300 * number)}]
        trials.append(
            {
                "number": number,
                "role": "search",
                "settings": settings,
                "jobId": f"job_{number}",
                "results": results,
            }
        )
    for rung, share in ((30, 4), (90, 2)):
        best = sorted(trials[1:], key=lambda trial: trial["results"][0]["loss"])[:share]
        for number, trial in enumerate([trials[0], *best]):
            loss = trial["results"][-1]["loss"] - 0.15
            trial["results"].append(
                {"step": rung, "loss": loss, "at": ago(20_000 - 100 * rung - 300 * number)}
            )
    winner = min(trials, key=lambda trial: trial["results"][-1]["loss"])
    made: dict[str, Any] = {
        "id": "sweep_00000000000a", "name": "support-bot sweep", "state": "completed",
        "createdAt": ago(31_000), "endedAt": ago(600),
        "config": {"model": "m", "learningRate": 2e-4, "loraR": 8, "batchSize": 4},
        "space": {
            "learningRate": {"low": 1e-4, "high": 5e-3, "log": True},
            "loraR": [8, 16, 64],
            "batchSize": [2, 4, 8],
        },
        "rungs": [10, 30, 90], "best": winner["number"], "trials": trials,
        "importances": [
            {"setting": "learningRate", "mean": 0.82, "low": 0.7, "high": 0.93},
            {"setting": "loraR", "mean": 0.11, "low": 0.03, "high": 0.2},
            {"setting": "batchSize", "mean": 0.07, "low": 0.01, "high": 0.16},
        ],
        "verdict": {
            "verdict": "better", "trial": winner["number"],
            "sentence": "Better than your settings by 0.11 to 0.19: mean loss 2.134 → 1.981 on 48 "
            "held-out rows that took no part in the choice, 3 fresh seeds each.",
            "settings": {**winner["settings"], "lrSchedulerType": "wsd", "warmupSteps": 4},
        },
    }  # fmt: skip
    scene.fake.features = ["sweeps", "delete"]
    declare(scene.project, TRAINER)
    scene.fake.sweeps.sweeps.append(made)
    part = {"id": made["id"], "name": made["name"]}
    for trial in trials[:4]:
        scene.fake.add_job(
            "completed",
            name=f"support-bot sweep, trial {trial['number']}",
            sweep={**part, "trial": trial["number"]},
        )
    return made


@state("sweeps-new", "A search for better settings, before it starts", tour="sweeps")
async def new(scene: Scene) -> None:
    trained(scene.fake, "support-bot")
    scene.fake.features = ["sweeps"]
    declare(scene.project, TRAINER)
    await scene.go("/#/sweeps?new=true")
    await expect(scene.page.get_by_role("button", name="Start sweep")).to_be_visible()


@state("sweeps-done", "The morning's verdict", tour="swept")
async def done(scene: Scene) -> None:
    sweep(scene)
    await scene.go("/#/sweeps")
    await expect(scene.page.get_by_text("Better than your settings by 0.11 to 0.19")).to_be_visible()
    await expect(scene.page.get_by_role("button", name="Write to arkor.toml")).to_be_visible()


@state("sweeps-damaged", "A sweep whose record is damaged says how to mend it", tour="sweeps")
async def damaged(scene: Scene) -> None:
    scene.fake.features = ["sweeps"]
    error = "Its record sweep.json is damaged: state is missing. Restore that file and start Studio again"
    scene.fake.sweeps.sweeps.append({
        "id": "sweep_00000000000b", "name": "support-bot sweep", "state": "failed", "createdAt": ago(600),
        "config": UNREADABLE, "space": {}, "trials": [], "error": error,
    })  # fmt: skip
    declare(scene.project, TRAINER)
    await scene.go("/#/sweeps")
    await expect(scene.page.get_by_text("Restore that file")).to_be_visible()


FILES = ("faq", "tickets", "web", "made-by-a-teacher")
LISTED = ", ".join(f'"data/{name}.jsonl"' for name in FILES)
SOURCES = f"""[[trainer]]
name = "support-bot"
model = "m"
eval_dataset = "data/eval.jsonl"
dataset = [{LISTED}]
"""


def compared(scene: Scene) -> dict[str, Any]:
    """Return a design over four sources with its effects, and put it into the fake backend."""
    declare(scene.project, SOURCES)
    for name in (*FILES, "eval"):
        path = scene.project / "data" / f"{name}.jsonl"
        path.write_text('{"prompt": "Where is my parcel?", "completion": "On its way."}\n')
    scene.fake.features = ["sweeps", "sources", "delete"]
    figures = [("helps", 0.21, 0.08, 2), ("unclear", 0.02, 0.09, 1), ("harms", -0.34, 0.1, 0)]
    effects: list[dict[str, Any]] = [
        {
            "source": number, "name": f"data/{name}.jsonl", "effect": effect, "weight": 1, "proposed": weight,
            "task": {"mean": mean, "low": mean - half, "high": mean + half},
            "general": {"mean": 0.01, "low": -0.05, "high": 0.07},
        }
        for number, (name, (effect, mean, half, weight)) in enumerate(
            zip(FILES, (*figures, figures[1]), strict=True)
        )
    ]  # fmt: skip
    made: dict[str, Any] = {
        "id": "sweep_00000000000c", "name": "support-bot sources", "state": "completed",
        "createdAt": ago(3_000), "endedAt": ago(600), "config": {"model": "m"}, "space": {}, "runs": 16,
        "rungs": [60], "trials": [], "effects": effects,
        "verdict": {
            "verdict": "effects",
            "sentence": "By the intervals of this comparison, data/faq.jsonl helps (+0.130 to +0.290), "
            "data/web.jsonl harms (-0.440 to -0.240); no clear effect of the other 2.",
        },
    }  # fmt: skip
    scene.fake.sweeps.sweeps.append(made)
    return made


@state("sweeps-sources", "What each source of a data set does, with the weights to try")
async def sources(scene: Scene) -> None:
    compared(scene)
    await scene.go("/#/sweeps")
    await expect(scene.page.get_by_role("button", name="Write weights to arkor.toml")).to_be_visible()


@state("jobs-sweep", "A sweep is one row among the jobs", tour="swept")
async def among(scene: Scene) -> None:
    trained(scene.fake, "support-bot")
    sweep(scene)
    await scene.go("/#/jobs")
    await expect(scene.page.get_by_role("link", name="Sweep, 4 jobs")).to_be_visible()

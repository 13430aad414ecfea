"""One job's page: learning from rewards, and the answers that earned them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from playwright.async_api import expect

from tests.support.fake_evaluation import ANSWERS, EVALUATION, GENERAL, HELD_OUT

from . import PROMPTLY, Scene, ago, end, state

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend

HOSTILE = "\u202e<script>alert(1)</script> \x1b[31m" + "x" * 300
CONFIG = {
    "model": "SmolLM2-135M-Instruct",
    "datasetSource": {"type": "file", "path": "data/prompts.jsonl"},
    "method": "grpo",
    "maxSteps": 60,
    "numGenerations": 4,
    "evaluations": [
        {"name": "format", "path": "data/check.jsonl", "metric": "json_schema", "schema": {}},
        {"name": "right", "path": "data/check.jsonl", "metric": "scores:right"},
    ],
}
FIGURES = [
    {"name": "reward", "label": "Mean reward"},
    {"name": "rewardStd", "label": "Spread of the reward"},
    {"name": "completionLength", "label": "Answer length", "unit": "tokens"},
]
ANSWERED = (
    ("Sure! The order number is 4711, let me know if", 0.0, 0.0, True),
    ('{"order": "4711 and 12"}', 1.0, 0.0, False),
    ('{"order": 4711}', 1.0, 1.0, False),
)


def rewarded(
    fake: FakeBackend, status: str, *, hostile: bool = False, sent: list[dict[str, Any]] | None = None
) -> str:
    """A run of GRPO with a rising reward, and answers of each tenth step."""
    job = fake.add_job("running", name="order-reader", config=CONFIG, startedAt=ago(300), createdAt=ago(310))
    fake.frames[job].clear()
    facts = {"totalSteps": 60, "device": "cpu", "trainRows": 120, "evalRows": 12}
    told = {**facts, "measure": {"name": "reward", "label": "Mean reward"}, "figures": FIGURES}
    fake.emit(job, "training.started", timestamp=ago(300), metadata=told)
    chance = random.Random(7)
    for step in range(1, 51 if status == "running" else 61):
        reward = min(0.97, 0.1 + step / 55) * (1 + chance.gauss(0, 0.04))
        fields: dict[str, Any] = {
            "loss": 0.02, "reward": reward, "rewardStd": 0.3 - step / 300, "completionLength": 30 - step / 4,
        }  # fmt: skip
        fake.log(job, step, timestamp=ago(300 - 4 * step), **fields)
        if step == 1 or step % 10 == 0:
            fake.emit(job, "rollouts.created", step=step, rollouts=sent or rollouts(hostile))
            fake.log(job, step, timestamp=ago(300 - 4 * step), evalReward=reward * 0.95)
    if status != "running":
        end(fake, job, status, 0)
    return job


def rollouts(hostile: bool) -> list[dict[str, Any]]:
    prompt = HOSTILE if hostile else "Which order does this mail ask about? My order 4711 has not arrived."
    return [
        {
            "where": f"prompts.jsonl, line {place}",
            "prompt": prompt,
            "answer": HOSTILE * 3 if hostile and place == 2 else answer,
            "reward": (form + right) / 2,
            "rewards": {HOSTILE if hostile else "format": form, "right": right},
            **({"truncated": True} if cut else {}),
        }
        for place, (answer, form, right, cut) in enumerate(ANSWERED, 1)
    ]


@state(
    "job-rewards",
    "While it learns from rewards: the mean reward, and the answers of the newest step",
    tour="job",
)
async def running(scene: Scene) -> None:
    job = rewarded(scene.fake, "running")
    await scene.go(f"/#/jobs/{job}")
    answers = scene.page.get_by_role("region", name="Sampled answers")
    await expect(answers.get_by_text("Step 50")).to_be_visible(timeout=PROMPTLY)
    slider = answers.get_by_role("slider", name="Step of the sampled answers")
    await slider.press("ArrowLeft")
    await expect(slider).to_have_attribute("aria-valuetext", "Step 40")
    await expect(answers.get_by_role("listitem")).to_have_count(len(ANSWERED))
    await expect(answers).to_contain_text("cut at the longest answer")


def episodes() -> list[dict[str, Any]]:
    """A failed episode, one that calls wrongly, and one that succeeds."""
    asked = "Where is parcel 4711? It was promised for Tuesday."
    found = '{"id": 4711, "stop": "Kassel", "due": "Thursday", "address": "Am Markt 3"}'

    def call(name: str, arguments: str, result: str, **more: bool) -> dict[str, Any]:
        return {"name": name, "arguments": arguments, "result": result, **more}

    def played(place: int, reward: float, *turns: tuple[str, list[dict[str, Any]]]) -> dict[str, Any]:
        written = [{"answer": answer, "calls": calls} for answer, calls in turns]
        where, rewards = f"prompts.jsonl, line {place}", {"environment": reward}
        facts = {"where": where, "prompt": asked, "answer": turns[-1][0], "reward": reward}
        return {**facts, "rewards": rewards, "turns": written}

    missing = call("look_up", '{"number": 4711}', "error: the argument id is missing", error=True)
    wild = call("look_up", '{"id": 4711}', HOSTILE)
    return [
        {**played(2, 0.0, ("", [wild])), "failure": "step() failed: KeyError: 'stop'"},
        {
            **played(5, 0.2, ("I look it up.", [missing, wild]), ("", [missing])),
            "truncated": True,
            "omitted": 4,
        },
        played(
            7, 1.0, ("", [call("look_up", '{"id": 4711}', found)]), ("It is in Kassel, due Thursday.", [])
        ),
    ]


@state(
    "job-episodes",
    "While it learns by acting: episodes as conversations, a failed one first",
    tour="job",
)
async def acting(scene: Scene) -> None:
    job = rewarded(scene.fake, "running", sent=episodes())
    await scene.go(f"/#/jobs/{job}")
    played = scene.page.get_by_role("region", name="Episodes")
    await expect(played).to_contain_text("Failed: step() failed: KeyError: 'stop'", timeout=PROMPTLY)
    await expect(played).to_contain_text("cut at a limit")
    await expect(played).to_contain_text("4 more turns")
    turns = played.get_by_role("list", name="Turns").last
    await expect(turns).to_contain_text("It is in Kassel, due Thursday.")
    await turns.scroll_into_view_if_needed()


@state(
    "job-rewards-hacked",
    "The reward rose and something else fell, with hostile answers as text",
    tour="verdict",
)
async def hacked(scene: Scene) -> None:
    scene.fake.features = ["evaluation"]
    job = rewarded(scene.fake, "completed", hostile=True)
    measure = {"label": "Mean reward", "unit": "", "higher": True}
    task = {**HELD_OUT, "base": 0.12, "adapter": 0.94, "measure": measure}
    task |= {"difference": {"mean": 0.82, "low": 0.7, "high": 0.91}}
    sentence = (
        "The reward rose while the result on general questions got worse. The adapter may earn it in a way "
        "that you did not intend (reward hacking): read the answers that gained most."
    )
    warning = {"sentence": sentence, "examples": [*ANSWERS[:1], {**ANSWERS[0], "adapter": HOSTILE}]}
    assert EVALUATION["general"] is GENERAL
    scene.fake.evaluations.judge(job, heldOut=task, warning=warning)
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.get_by_text("reward hacking")).to_be_visible(timeout=PROMPTLY)
    await expect(scene.page.get_by_role("region", name="Sampled answers")).to_contain_text("Step 60")


@state(
    "job-reached-goal",
    "After it learned by acting: how many episodes reached the goal, with the interval of the difference",
    tour="verdict",
)
async def reached(scene: Scene) -> None:
    scene.fake.features = ["evaluation"]
    job = rewarded(scene.fake, "completed")
    measure = {"label": "Reached the goal", "unit": "", "higher": True, "rate": True}
    task = {**HELD_OUT, "rows": 40, "base": 0.3, "adapter": 0.775, "measure": measure}
    task |= {"difference": {"mean": 0.475, "low": 0.28, "high": 0.66}}
    scene.fake.evaluations.judge(job, heldOut=task)
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.get_by_text("31 of 40").first).to_be_visible(timeout=PROMPTLY)
    await expect(scene.page.get_by_text("interval of the difference 28 to 66 %")).to_be_visible()

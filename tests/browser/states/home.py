"""Home: before the first run, while one goes on, and what can be wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from playwright.async_api import expect

from tests.browser.steps import HOLDABLE, hold_polls, hurried, typescript_project
from tests.support.fake_samples import answer_prompts

from . import CONFIG, PACE, PROMPTLY, Scene, ago, end, state, steps_of, trained, walk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from playwright.async_api import Route

    from tests.support.fake_forecasts import FakeForecasts

TRAINER = """\
[[trainer]]
name = "support-bot"
model = "SmolLM2-135M-Instruct"
dataset = "data/support.jsonl"
steps = 400
"""
SECOND = """
[[trainer]]
name = "support-bot-long"
model = "SmolLM2-360M-Instruct"
dataset = "data/support.jsonl"
epochs = 3

[trainer.lora]
r = 32
"""


def row(number: int) -> dict[str, object]:
    """One of the rows, of which none is like another: a check finds nothing in them, early or late."""
    said = ("user", f"Where is parcel {number}?"), ("assistant", f"Parcel {number} is on its way.")
    return {"messages": [{"role": role, "content": content} for role, content in said]}


def declare(project: Path, toml: str) -> None:
    """What a person would write."""
    (project / "data").mkdir()
    (project / "data" / "support.jsonl").write_text("".join(f"{json.dumps(row(n))}\n" for n in range(102)))
    (project / "arkor.toml").write_text(toml)


@state("home-first", "The first visit, with nothing to train yet")
async def first(scene: Scene) -> None:
    await scene.go("/")
    await expect(scene.page.get_by_role("heading", level=1)).to_have_text("Nothing to train yet")


ENGINE = {
    "state": "installing", "next": None, "error": None,
    "plan": {
        "folder": "/home/ada/.local/share/arkor-dev/engine/python3.12-23335fe4", "free": 71_000_000_000,
        "pytorch": "2.13.0+cpu", "fetch": 200_000_000, "disk": 1_100_000_000,
        "words": ["PyTorch 2.13.0+cpu, the build for the processor: 0.2 GB to fetch, 1.1 GB on the disk."],
    },
    "progress": {"seconds": 41.0, "fetched": 196_000_000, "unpacked": 412_000_000, "now": "unpacking"},
}  # fmt: skip


async def setting_up(scene: Scene, **known: object) -> None:
    """Show a Studio whose engine is in that state; without ``next`` its backend waits for it."""
    engine = {**ENGINE, **known}

    async def answer(route: Route) -> None:
        await route.fulfill(json=engine)

    if engine["next"] is None:
        scene.fake.fault("*", status=503, body=b'{"error": "Local training is not installed yet."}')
    await scene.page.route("**/api/setup", answer)
    await scene.go("/")
    await expect(scene.page.locator(".home-engine h2")).to_be_visible()


@state("home-setup", "The engine is not installed: its size, before anything is downloaded", faulty=True)
async def setup(scene: Scene) -> None:
    await setting_up(scene, state="planned", progress=None)
    await expect(scene.page.get_by_role("button", name="Install (1.1 GB)")).to_be_visible()


@state("home-setup-running", "The engine is being installed", faulty=True)
async def setup_running(scene: Scene) -> None:
    declare(scene.project, TRAINER)
    await setting_up(scene)
    await expect(scene.page.get_by_role("progressbar", name="Installed")).to_be_visible()


@state("home-setup-offered", "A Studio for another backend offers the engine as well")
async def setup_offered(scene: Scene) -> None:
    await setting_up(scene, state="missing", next="arkor-dev --local --open", plan=None, progress=None)
    await expect(scene.page.get_by_role("button", name="Show the size")).to_be_visible()


@state("home-setup-failed", "The installation has failed, and can be continued", faulty=True)
async def setup_failed(scene: Scene) -> None:
    error = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    await setting_up(scene, state="failed", error=error)
    await expect(scene.page.get_by_role("alert")).to_contain_text("No space left")


@state("home-broken", "A file with a mistake in it", faulty=True)
async def broken(scene: Scene) -> None:
    declare(scene.project, "stepz = 1\n" + TRAINER)
    await scene.go("/")
    await expect(scene.page.get_by_role("alert")).to_contain_text("stepz")


@state("home-several", "Several trainers, and jobs that have been", tour="home")
async def several(scene: Scene) -> None:
    declare(scene.project, TRAINER + SECOND)
    trained(scene.fake, "support-bot")
    trained(scene.fake, "support-bot", "failed", steps=120)
    await scene.go("/")
    await expect(scene.page.get_by_role("heading", level=1)).to_have_text("support-bot")
    await expect(scene.page.locator(".home-head .ui-chips")).to_be_visible()


@state("home-running", "A training goes on: its figures, its chart and its answers so far, the log folded")
async def running(scene: Scene) -> None:
    declare(scene.project, TRAINER)
    scene.fake.features = [*(scene.fake.features or []), "samples"]
    scene.fake.add_job(
        "completed", name="support-bot", config={**CONFIG, "dryRun": True}, createdAt=ago(4000)
    )
    scene.fake.add_job(
        "failed", name="support-bot-with-a-name-that-somebody-found-meaningful", createdAt=ago(9000)
    )
    await scene.go("/", clock=True)
    await scene.page.get_by_role("button", name="Run training").click()
    await expect(scene.page.locator(".home-curve")).to_be_visible(timeout=PROMPTLY)
    job = list(scene.fake.jobs)[-1]
    steps_of(scene.fake, job, 230, of=400)
    for step in (0, 100, 200):
        answer_prompts(scene.fake, job, step)
    metrics = {"step": 230, "totalSteps": 400}
    times = {"createdAt": ago(230 * PACE + 3), "startedAt": ago(230 * PACE)}
    scene.fake.jobs[job] |= {"status": "running", "metrics": metrics, **times}
    await expect(scene.page.locator(".home-metrics")).to_contain_text("230", timeout=PROMPTLY)
    async with hurried(scene.page, scene.studio):
        await expect(scene.page.locator(".home-recent")).to_contain_text("step 230", timeout=PROMPTLY)
    answers = scene.page.get_by_role("region", name="Answers")
    await expect(answers.get_by_role("heading")).to_have_text(["Base model", "Adapter, step 200", "Wanted"])


@state("home-verdict", "The verdict of a run that still answers general questions")
async def verdict(scene: Scene) -> None:
    declare(scene.project, TRAINER)
    scene.fake.features = [*(scene.fake.features or []), "evaluation"]
    await scene.go("/", clock=True)
    await scene.page.get_by_role("button", name="Run training").click()
    await expect(scene.page.locator(".home-curve")).to_be_visible(timeout=PROMPTLY)
    job = list(scene.fake.jobs)[-1]
    steps_of(scene.fake, job, 400, of=400)
    times = {"createdAt": ago(400 * PACE + 3), "startedAt": ago(400 * PACE)}
    scene.fake.jobs[job] |= {"status": "running", "metrics": {"step": 400, "totalSteps": 400}, **times}
    scene.fake.evaluations.judge(job)
    async with hurried(scene.page, scene.studio):
        await expect(scene.page.locator(".home-now h2")).to_be_visible(timeout=PROMPTLY)


@state("home-result", "The last run is done: what it has learned, in words and in its own answers")
async def result(scene: Scene) -> None:
    declare(scene.project, TRAINER)
    scene.fake.features = [*(scene.fake.features or []), "evaluation", "samples", "exports", "strength"]
    job = trained(scene.fake, "support-bot", "running", steps=210)
    for step in (0, 200):
        answer_prompts(scene.fake, job, step)
    end(scene.fake, job, "completed", 0)
    scene.fake.evaluations.judge(job)
    await scene.go("/")
    shown = scene.page.get_by_role("region", name="Result")
    await expect(shown.get_by_role("heading", level=2)).to_be_visible()
    await expect(shown.get_by_role("link", name="Ask in Playground")).to_be_visible()


@state("home-queued", "What was started waits for its turn")
async def waiting(scene: Scene) -> None:
    declare(scene.project, TRAINER)
    name = "support-bot-with-a-name-that-somebody-found-meaningful"
    busy = trained(scene.fake, name, "running", steps=120)
    # A job that waits has no event yet.
    scene.fake.emit = lambda *_, **__: ""  # type: ignore[method-assign]
    await scene.go("/", clock=True)
    await scene.page.get_by_role("button", name="Run training").click()
    await expect(scene.page.locator(".home-output .home-now")).to_be_visible(timeout=PROMPTLY)
    job = list(scene.fake.jobs)[-1]
    queue = {"position": 1, "behind": {"id": busy, "name": name}}
    scene.fake.jobs[job] |= {"createdAt": ago(3), "queue": queue}
    async with hurried(scene.page, scene.studio):
        await expect(scene.page.locator(".home-recent")).to_contain_text("Queued, next", timeout=PROMPTLY)


BAD_ROWS = """\
{"prompt": "Where?", "completion": "Behind sk-proj-Ab3dEf6hIj9kLmN0pQr"}
{"prompt": "Where is it?", "completion": "On its way.",}
{"question": "%s", "%s": "<b>bold</b>"}
"""


@state("home-data-errors", "A press while rows of the data are wrong, in words that are long", tour="home")
async def data_errors(scene: Scene) -> None:
    declare(scene.project, TRAINER)
    hostile = "\u202e" + "answer_that_a_machine_has_named_" * 20
    (scene.project / "data" / "support.jsonl").write_text(BAD_ROWS % (hostile, hostile))
    await scene.go("/")
    await expect(scene.page.locator(".home-note")).to_contain_text("2 rows are invalid.")
    await scene.page.get_by_role("button", name="Run training").click()
    await expect(scene.page.get_by_role("dialog")).to_contain_text("1 row is not JSON.", timeout=PROMPTLY)


@state("home-edited", "The file was edited, and another trainer in it cannot run")
async def edited(scene: Scene) -> None:
    declare(scene.project, TRAINER + SECOND)
    await scene.page.add_init_script(HOLDABLE)
    await scene.go("/")
    await expect(scene.page.locator(".home-facts")).to_contain_text("400 steps")
    await hold_polls(scene.page)  # what is pressed is what was shown before the edit
    (scene.project / "arkor.toml").write_text((TRAINER + SECOND).replace("steps = 400", "steps = 60"))
    await scene.page.get_by_role("button", name="Run training").click()
    await expect(scene.page.locator(".home-note")).to_contain_text("steps 400 → 60")


LONG = "a-model-with-a-name-that-somebody-found-meaningful/" * 5


@state("home-changed", "Settings that were changed, one of them wrongly, with values that are long")
async def changed(scene: Scene) -> None:
    declare(scene.project, TRAINER + SECOND)
    await scene.go("/")
    await scene.page.get_by_role("button", name="Edit settings").click()
    await scene.page.get_by_role("button", name="All settings").click()
    for label, text in {"Epochs": "2.5", "LoRA rank": "2000", "Base model": LONG}.items():
        await scene.page.get_by_label(label, exact=True).fill(text)
    for group in await scene.page.locator("summary").all():
        await group.click()
    await scene.page.get_by_label("LR scheduler", exact=True).select_option("constant_with_warmup")
    await scene.page.get_by_label("Optimizer", exact=True).select_option("sgd")
    await expect(scene.page.get_by_role("alert")).to_contain_text("from 1 to 1,024")
    # A field that the bar covers by half is too small to be hit, as axe sees it.
    await scene.page.evaluate("scrollTo(0, 0)")


@state("home-distill", "The form of a student: its teacher, and whose answers it learns from", tour="home")
async def distill(scene: Scene) -> None:
    declare(scene.project, f'{TRAINER}method = "distill"\nteacher = "job_5f3c2d1e0b9a"\n')
    page = scene.page
    await scene.go("/")
    await page.get_by_role("button", name="Edit settings").click()
    await page.get_by_role("button", name="All settings").click()
    await page.locator("summary").get_by_text("Data and loss").click()
    await page.get_by_label("Teacher", exact=True).evaluate(
        "field => field.scrollIntoView({ block: 'center' })"
    )
    await expect(page.get_by_label("Share of own answers", exact=True)).to_be_visible()


@state("home-again", "The form, filled in from a job")
async def again(scene: Scene) -> None:
    declare(scene.project, TRAINER)
    job = trained(scene.fake, "support-bot", loraR=64, datasetSource={"type": "file", "path": f"data/{LONG}"})
    await scene.go(f"/#/jobs/{job}")
    await scene.page.get_by_role("button", name="Run again").click()
    await expect(scene.page.locator(".home-note")).to_contain_text("Filled in from")


@state("home-unmapped", "A CSV with columns of its own: which are which is chosen here", tour="home")
async def unmapped(scene: Scene) -> None:
    (scene.project / "data").mkdir()
    rows = "".join(f"{n},My parcel {n} is late. What now?,Sorry! It is on its way.,2026\n" for n in range(60))
    (scene.project / "data" / "faq.csv").write_text("id,question,answer,year\n" + rows)
    (scene.project / "arkor.toml").write_text(TRAINER.replace("support.jsonl", "faq.csv"))
    await scene.go("/")
    await expect(scene.page.locator(".map-preview")).to_contain_text("It is on its way")


@walk(
    {
        "home-settings": "Settings, opened: the few that people change",
        "home-diff": "How the file will change, before it is written",
        "home-refused": "The file has changed since it was shown",
    },
    faulty=True,
)
async def settings(scene: Scene) -> AsyncGenerator[None]:
    page = scene.page
    declare(scene.project, TRAINER.replace('"data/support.jsonl"', f'"data/support.jsonl" # {LONG}') + SECOND)
    await scene.go("/")
    await page.get_by_role("button", name="Edit settings").click()
    await page.get_by_label("Learning rate", exact=True).fill("5e-4")
    await expect(page.locator(".home-note")).to_contain_text("1 change not in arkor.toml")
    yield
    await page.get_by_label("Steps", exact=True).fill("60")
    await page.get_by_label("LoRA rank", exact=True).fill("32")
    await page.get_by_role("button", name="Write to arkor.toml").click()
    await expect(page.locator(".ui-diff")).to_contain_text("lora.r = 32")
    yield
    (scene.project / "arkor.toml").write_text(TRAINER)
    await page.get_by_role("button", name="Write", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("has changed on disk")
    yield


@state("home-problem", "A trainer that cannot run as it is", tour="home")
async def problem(scene: Scene) -> None:
    declare(scene.project, TRAINER + SECOND)
    text = "data/support.jsonl:17: this row has no answer, so there is nothing to learn from. Add one."

    async def with_problem(route: Route) -> None:
        manifest = await (await route.fetch()).json()
        manifest["trainers"][0]["problem"] = text
        await route.fulfill(json=manifest)

    await scene.page.route("**/api/manifest", with_problem)
    await scene.go("/")
    await expect(scene.page.get_by_role("alert")).to_contain_text("nothing to learn from")


@state("home-output", "Output in colour, with a progress bar, searched")
async def output(scene: Scene) -> None:
    typescript_project(
        scene.project,
        r"""
print("\x1b[1mBuilding\x1b[0m the trainer from \x1b[36msrc/arkor/index.ts\x1b[0m")
print("\x1b[2mwarning level\x1b[0m, \x1b[7minverse\x1b[0m on the line that is found")
print("\x1b[33mwarning\x1b[0m: 3 rows are longer than maxLength and will be cut")
print("<img src=x onerror=alert(1)> is only text, and so is \u202eevil")
print(*[f"\x1b[{n};7m inverse \x1b[27m{n} \x1b[0m" for n in (1, 2, *range(30, 38))])
for part in range(68):
    print(f"\rfetching the model {'█' * (part // 3)} {part} %", end="")
print()
for step in range(1, 1500):
    print(f"step {step}  loss \x1b[32m{3 / step:.4f}\x1b[0m")
print("\x1b[31merror\x1b[0m: the backend is busy, trying again in 5 s", flush=True)
time.sleep(600)
""",
    )
    await scene.go("/")
    await scene.page.get_by_role("button", name="Run training").click(timeout=PROMPTLY)
    await expect(scene.page.locator(".term-line").last).to_contain_text("trying again", timeout=PROMPTLY)
    await scene.page.get_by_role("searchbox", name="Search log").fill("warning")
    await expect(scene.page.locator(".term-hit")).to_be_visible()


@state("home-failed", "A command that failed")
async def failed(scene: Scene) -> None:
    typescript_project(
        scene.project, "print('Traceback (most recent call last):\\nMemoryError'); raise SystemExit(3)"
    )
    await scene.go("/")
    await scene.page.get_by_role("button", name="Run training").click(timeout=PROMPTLY)
    await expect(scene.page.locator(".home-output-state")).to_contain_text("status 3", timeout=PROMPTLY)


def forecasts(scene: Scene, state: str = "measured", looks: int = 0) -> FakeForecasts:
    """The fake backend makes forecasts, from before the page asks what it can."""
    scene.fake.features = ["forecast"]
    scene.fake.forecasts.state, scene.fake.forecasts.looks = state, looks
    # Without a job the page does not request the features.
    trained(scene.fake, "support-bot")
    declare(scene.project, TRAINER)
    return scene.fake.forecasts


@state("home-forecast", "What a run will take, known")
async def forecast(scene: Scene) -> None:
    forecasts(scene)
    await scene.go("/")
    await expect(scene.page.locator(".home-forecast")).to_contain_text(
        "peak 1.7 GB of 20.1 GB free · 48.9 MB on disk", timeout=PROMPTLY
    )


@state("home-measuring", "What a run will take is being measured")
async def measuring(scene: Scene) -> None:
    forecasts(scene, "measuring")
    await scene.go("/")
    await expect(scene.page.locator(".home-forecast")).to_contain_text("of 12", timeout=PROMPTLY)


@state("home-unmeasured", "A model that has still to be fetched cannot be measured")
async def unmeasured(scene: Scene) -> None:
    forecasts(scene, "failed")
    await scene.go("/")
    await expect(scene.page.locator(".home-forecast")).to_contain_text("No estimate", timeout=PROMPTLY)


@state("home-short", "A run that does not fit, and what would")
async def short(scene: Scene) -> None:
    figures = forecasts(scene).figures
    figures["fits"] = False
    figures["memory"] = {"peakBytes": 14.2e9, "freeBytes": 6.1e9, "totalBytes": 8.2e9}
    figures["fixes"] = [
        {
            "settings": {"batchSize": 1, "gradientAccumulationSteps": 4},
            "words": "a batch size of 1, 4 accumulated",
            "peakBytes": 4.9e9,
        },
        {
            "settings": {"gradientCheckpointing": True},
            "words": "gradient checkpointing (31 % slower)",
            "peakBytes": 5.2e9,
        },
        {
            "settings": {"maxLength": 384},
            "words": "a maximum length of 384 tokens (truncates 12 % of the rows)",
            "peakBytes": 5.8e9,
        },
    ]
    await scene.go("/")
    await expect(scene.page.locator(".home-short")).to_contain_text("Not enough memory", timeout=PROMPTLY)

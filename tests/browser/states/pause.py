"""Jobs that stand, go on, get a later end, or begin from another's checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.async_api import expect

from arkor_dev.contract.errors import MAKE_ROOM
from arkor_dev.project.arkor_toml import load_trainers

from . import PROMPTLY, Scene, ago, end, state, steps_of, trained, walk
from .home import declare

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.support.fake_backend import FakeBackend

FEATURES = ["delete", "edit", "extend", "parent", "pause", "queue", "resume"]
TOML = '[[trainer]]\nname = "support-bot"\nmodel = "SmolLM2-135M-Instruct"\ndataset = "data/support.jsonl"\n'


def standing(fake: FakeBackend, reason: str, name: str = "support-bot", **more: Any) -> str:
    """A job that was paused after some of its steps."""
    fake.features = FEATURES
    job = trained(fake, name, "running", steps=180)
    fake.resuming.pause(job, reason, timestamp=ago(60), **more)
    fake.jobs[job]["metrics"] = {"step": 180, "totalSteps": 400, "loss": 0.8}
    return job


def went_on(fake: FakeBackend) -> str:
    """A job that crashed and went on from its checkpoint by itself."""
    fake.features = FEATURES
    job = trained(fake, "support-bot", "running", steps=131)
    message = "the local backend was killed while it ran"
    fake.resuming.go_on(job, 100, message=message, timestamp=ago(90))
    fake.emit(job, "training.started", timestamp=ago(88), metadata={"totalSteps": 400, "device": "cpu"})
    for step in range(101, 140):
        at = ago(1.4 * (139 - step))
        fake.log(job, step, loss=1.4 - step / 300, tokensPerSecond=900.0, timestamp=at)
    fake.jobs[job]["metrics"] = {"step": 139, "totalSteps": 400, "loss": 0.94}
    return job


@walk(
    {
        "job-paused": "A paused job says where it stands, and how it goes on",
        "job-changed": "Data that has changed since is asked about before the job goes on",
    },
    faulty=True,
)
async def paused(scene: Scene) -> AsyncGenerator[None]:
    job = standing(scene.fake, "asked")
    text = "data/support.jsonl has other rows than when this job was paused (3f9a… then, 71c0… now)."
    scene.fake.resuming.changed[job] = text
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.get_by_text("Paused after step 180.")).to_be_visible(timeout=PROMPTLY)
    resume = scene.page.get_by_role("button", name="Resume", exact=True)
    await expect(resume).to_be_visible()
    yield
    await resume.click()
    await expect(scene.page.get_by_role("dialog")).to_contain_text("has other rows", timeout=PROMPTLY)
    yield


@state("job-paused-disk", "A job that was paused because the disk is full says so", tour="pause")
async def paused_for_disk(scene: Scene) -> None:
    message = f"The disk has 1.3 GB free, and 2.0 GB must stay free. {MAKE_ROOM}"
    job = standing(scene.fake, "disk", name="support-bot " + "with a long name " * 6, message=message)
    await scene.go(f"/#/jobs/{job}")
    said = scene.page.get_by_role("status").filter(has_text="The disk has 1.3 GB free")
    await expect(said).to_be_visible(timeout=PROMPTLY)
    await said.get_by_role("button", name="Disk use").click()
    await expect(scene.page.get_by_role("dialog", name="Disk use")).to_contain_text("are free")
    await scene.page.keyboard.press("Escape")


@state(
    "job-resumed",
    "A job that went on by itself after a crash: each step once, and a word about it",
    tour="pause",
)
async def resumed(scene: Scene) -> None:
    job = went_on(scene.fake)
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.get_by_text("Resumed at step 100")).to_be_visible(timeout=PROMPTLY)
    await expect(scene.page.get_by_role("button", name="Pause", exact=True)).to_be_visible()


@state("job-resumable", "A failed job can resume from its last checkpoint", tour="pause")
async def resumable(scene: Scene) -> None:
    scene.fake.features = FEATURES
    job = trained(scene.fake, "support-bot", "running", steps=180)
    end(scene.fake, job, "failed", 0, error="The worker process was killed, most likely for its memory.")
    scene.fake.jobs[job]["resumable"] = 100
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.get_by_role("button", name="Resume", exact=True)).to_be_visible(timeout=PROMPTLY)


@state("job-extend", "A finished job gets a later end", tour="pause")
async def extend(scene: Scene) -> None:
    scene.fake.features = FEATURES
    job = trained(scene.fake, "support-bot")
    scene.fake.jobs[job]["resumable"] = 400
    await scene.go(f"/#/jobs/{job}")
    await scene.page.get_by_role("button", name="More actions").click()
    await scene.page.get_by_role("menuitem", name="Extend this job").click()
    await expect(scene.page.get_by_role("dialog")).to_contain_text("200 more", timeout=PROMPTLY)


def branched(scene: Scene) -> str:
    """A running job that began from the checkpoint of another; its id."""
    scene.fake.features = FEATURES
    parent = trained(scene.fake, "support-bot")
    job = trained(scene.fake, "support-bot-gentle", "running", steps=1, of=200)
    scene.fake.frames[job].clear()
    facts: dict[str, Any] = {"totalSteps": 200, "device": "cpu", "trainRows": 820, "threads": 2}
    facts |= {"dataHash": "3f9a" * 16, "modelHash": "71c0" * 16, "processor": "AMD EPYC 7B13"}
    facts |= {"versions": {"torch": "2.9.1", "transformers": "4.57.3", "peft": "0.18.0"}}
    scene.fake.emit(job, "training.started", timestamp=ago(160), metadata=facts)
    steps_of(scene.fake, job, 110, of=200)
    scene.fake.jobs[job]["parent"] = {"jobId": parent, "step": 200, "name": "support-bot"}
    return job


@state("job-branch", "A branch says where it comes from, and its chart draws both curves", tour="pause")
async def branch(scene: Scene) -> None:
    job = branched(scene)
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.get_by_text("support-bot, its parent").first).to_be_visible(timeout=PROMPTLY)
    await scene.page.get_by_role("tab", name="Reproducibility").click()
    await expect(scene.page.get_by_role("heading", name="Software and processor")).to_be_visible()
    await scene.page.evaluate("scrollTo(0, 0)")


@state("jobs-paused", "Paused jobs are counted and found", tour="pause")
async def jobs_paused(scene: Scene) -> None:
    standing(scene.fake, "asked")
    standing(scene.fake, "disk", name="night run")
    trained(scene.fake, "support-bot-long")
    await scene.go("/#/jobs")
    await scene.page.get_by_text("Paused", exact=False).first.click()
    await expect(scene.page.locator(".jobs-row")).to_have_count(2, timeout=PROMPTLY)


def project(scene: Scene) -> None:
    """A trainer that the jobs are called after."""
    (scene.project / "data").mkdir(exist_ok=True)
    (scene.project / "data" / "support.jsonl").write_text('{"prompt": "a", "completion": "b"}\n' * 3)
    (scene.project / "arkor.toml").write_text(TOML)


@state("home-branch", "The form, filled for a training that begins from a checkpoint")
async def home_branch(scene: Scene) -> None:
    project(scene)
    scene.fake.features = FEATURES
    job = trained(scene.fake, "support-bot", loraR=16)
    await scene.go(f"/#/jobs/{job}")
    await scene.page.get_by_role("button", name="Actions for Step 200").click()
    await scene.page.get_by_role("menuitem", name="Branch from here").click()
    await expect(
        scene.page.get_by_text("Starts from step 200 of support-bot, with a fresh optimizer.")
    ).to_be_visible(timeout=PROMPTLY)


@state("home-went-on", "Home shows a job that resumed by itself after a crash", tour="pause")
async def home_went_on(scene: Scene) -> None:
    project(scene)
    went_on(scene.fake)
    await scene.go("/")
    await expect(scene.page.get_by_text("Resumed at step 100")).to_be_visible(timeout=PROMPTLY)


@state("home-paused", "Home shows a paused job and why it is paused", tour="pause")
async def home_paused(scene: Scene) -> None:
    project(scene)
    standing(scene.fake, "ended", name="support-bot " + "with a long name " * 6)
    await scene.go("/")
    await expect(scene.page.get_by_text("Resumes automatically")).to_be_visible(timeout=PROMPTLY)


@walk(
    {
        "home-adjust": "Home offers to let the running job continue with an edited learning rate",
        "job-adjust": "So does the job's page",
        "job-adjust-fixed": "An edit that a running job cannot take says why, and offers to run again",
    },
)
async def edited(scene: Scene) -> AsyncGenerator[None]:
    scene.fake.features = ["adjust", *FEATURES]
    toml = TOML + "steps = 400\nlearning_rate = 0.0002\n"
    declare(scene.project, toml)
    (trainer,) = load_trainers(scene.project)
    job = trained(scene.fake, "support-bot", "running", steps=180)
    scene.fake.jobs[job]["config"] = dict(trainer["config"])
    (scene.project / "arkor.toml").write_text(toml.replace("0.0002", "0.0001"))
    notice = scene.page.locator(".job-notice", has_text="arkor.toml changed")
    await scene.go("/")
    press = notice.get_by_role("button", name="Continue from step 180 with it")
    await expect(press).to_be_visible(timeout=PROMPTLY)
    scene.fake.log(job, 181, loss=0.68)
    press = notice.get_by_role("button", name="Continue from step 181 with it")
    await expect(press).to_be_visible(timeout=PROMPTLY)
    yield
    await scene.go(f"/#/jobs/{job}")
    await expect(press).to_be_visible(timeout=PROMPTLY)
    yield
    (scene.project / "arkor.toml").write_text(
        toml.replace("0.0002", "0.0001") + "lora.r = 32\nbatch_size = 8\n"
    )
    await expect(notice.get_by_role("button", name="Run again")).to_be_visible(timeout=PROMPTLY)
    yield

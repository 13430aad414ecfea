"""Notices: the right ones, once, signed, bounded, and never from a project that nobody has trained in."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.jobs.follow import JobEvent
from arkor_dev.notices import delivery
from arkor_dev.notices.consent import agree, pending
from arkor_dev.notices.delivery import signature
from arkor_dev.notices.notifier import AT_ONCE, Notifier, facts_of
from arkor_dev.notices.watch import JobWatch
from arkor_dev.project.arkor_toml import load_trainers
from arkor_dev.server.app_keys import BACKEND
from tests.support.processes import script
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

TRAINER = '[[trainer]]\nname = "a"\nmodel = "m"\ndataset = { huggingface = "x/y" }\n'
DONE = JobEvent(
    "training.completed",
    {"timestamp": "2026-01-01T00:00:00Z", "metrics": {"loss": 0.5, "steps": 40, "evalLoss": float("nan")}},
)


class Webhook:
    """A server that keeps what it is sent; ``answers`` are its next statuses, then 204."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, str], dict[str, Any], bytes]] = []
        self.answers: list[int] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.seen.append((dict(request.headers), json.loads(body), body))
        status = self.answers.pop(0) if self.answers else 204
        return web.Response(status=status, headers={"Location": "/elsewhere"} if 300 <= status < 400 else {})


@pytest.fixture
async def webhook() -> AsyncIterator[Webhook]:
    hook = Webhook()
    app = web.Application()
    app.router.add_post("/{rest:.*}", hook.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    hook.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/hook?key=secret"  # type: ignore[attr-defined]
    yield hook
    await runner.cleanup()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "PAUSES", (0.0, 0.0, 0.0))


def ask(settings: Settings, *lines: str) -> None:
    (settings.project / "arkor.toml").write_text("\n".join(["[notify]", *lines, "", TRAINER]))


@asynccontextmanager
async def notifier(settings: Settings, **environ: str) -> AsyncIterator[tuple[Notifier, list[str]]]:
    warnings: list[str] = []
    made = Notifier(settings, warnings.append, environ)
    if asks := pending(settings):
        assert agree(settings, asks["mark"])
    yield made, warnings
    await made.wait_sent(60)
    await made.close()


async def test_webhook_requests_are_signed(settings: Settings, webhook: Webhook) -> None:
    ask(settings, f'webhook = "{webhook.url}"', 'secret_env = "MY_SECRET"')
    async with notifier(settings, MY_SECRET="s3cret") as (told, warnings):
        told.notify("job_1", "support-bot", DONE)
    ((headers, facts, body),) = webhook.seen
    assert facts == {
        "event": "finished",
        "message": "support-bot has finished: loss 0.5",
        "timestamp": "2026-01-01T00:00:00Z",
        "project": settings.project.name,
        "job": {"id": "job_1", "name": "support-bot", "status": "completed", "loss": 0.5, "steps": 40},
    }
    assert headers["X-Arkor-Signature"] == signature("s3cret", headers["X-Arkor-Timestamp"], body)
    assert headers["X-Arkor-Signature"] != signature("other", headers["X-Arkor-Timestamp"], body)
    assert (headers["X-Arkor-Event"], headers["Content-Type"]) == ("finished", "application/json")
    assert warnings == []


async def test_the_end_notice_contains_the_verdict(settings: Settings, webhook: Webhook) -> None:
    ask(settings, f'webhook = "{webhook.url}"')
    said = {"verdict": "mixed", "sentence": "Better at your task,\n worse in general."}
    async with notifier(settings) as (told, _):
        told.notify("job_1", "bot", JobEvent("evaluation.completed", {"evaluation": said}))
        told.notify("job_2", "other", JobEvent("evaluation.completed", {"evaluation": {"verdict": 7}}))
        told.notify("job_1", "bot", DONE)
        told.notify("job_2", "other", DONE)
    found = {facts["job"]["name"]: facts for _, facts, _ in webhook.seen}
    assert found["bot"]["message"] == "bot has finished: loss 0.5. Better at your task, worse in general."
    assert found["bot"]["verdict"]["verdict"] == "mixed"
    assert found["other"]["message"] == "other has finished: loss 0.5"


async def test_each_event_sends_one_notice(settings: Settings, webhook: Webhook) -> None:
    ask(settings, f'webhook = "{webhook.url}"')
    paused = JobEvent("training.paused", {"timestamp": "t1", "step": 3, "reason": "asked"})
    again = JobEvent("training.paused", {"timestamp": "t2", "step": 9, "reason": "disk", "message": "full"})
    async with notifier(settings) as (one, _), notifier(settings) as (other, _):
        for each in (one, other, one):
            for event in (paused, again, DONE):
                each.notify("job_1", "a", event)
        one.notify("job_2", "b", DONE)
    messages = sorted(facts["message"] for _, facts, _ in webhook.seen)
    assert messages == [
        "a has finished: loss 0.5",
        "a is paused after step 3",
        "a is paused after step 9: full",
        "b has finished: loss 0.5",
    ]


@pytest.mark.parametrize(
    ("on", "event", "kind"),
    [
        ("failed", JobEvent("training.failed", {"error": "x\x1b[2J", "nonFinite": True}), "failed"),
        (
            "non-finite",
            JobEvent("training.failed", {"error": "x", "nonFinite": True, "step": 7}),
            "non-finite",
        ),
        ("non-finite", JobEvent("training.failed", {"error": "x"}), None),
        ("non-finite", JobEvent("training.message", {"message": "x", "code": "non-finite"}), "non-finite"),
        ("non-finite", JobEvent("training.message", {"message": "x"}), None),
        ("paused", JobEvent("training.paused", {"step": 1, "reason": "ended"}), None),
        ("paused", JobEvent("training.cancelled", {}), None),
        ("failed", DONE, None),
        ("failed", JobEvent("training.failed", "no JSON"), "failed"),
    ],
)
async def test_only_the_chosen_events_send_notices(
    settings: Settings, webhook: Webhook, on: str, event: JobEvent, kind: str | None
) -> None:
    ask(settings, f'on = "{on}"', f'webhook = "{webhook.url}"')
    async with notifier(settings) as (told, _):
        told.notify("job_1", "a\x1b[31m", event)
    assert [facts["event"] for _, facts, _ in webhook.seen] == ([kind] if kind else [])
    assert "\\u001b" not in str([body for *_, body in webhook.seen])


async def test_a_failing_webhook_is_retried_and_its_address_not_logged(
    settings: Settings, webhook: Webhook
) -> None:
    ask(settings, f'webhook = "{webhook.url}"')
    webhook.answers = [503, 429]
    async with notifier(settings) as (told, warnings):
        told.notify("job_1", "a", DONE)
    assert len(webhook.seen) == 3
    assert len({headers["X-Arkor-Delivery"] for headers, *_ in webhook.seen}) == 1
    assert warnings == []
    webhook.answers = [500] * 9
    async with notifier(settings) as (told, warnings):
        told.notify("job_2", "a", DONE)
    assert len(webhook.seen) == 7
    for status in (302, 404):
        webhook.answers = [status]
        async with notifier(settings) as (told, more):
            told.notify(f"job_{status}", "a", DONE)
        warnings += more
    assert len(webhook.seen) == 9
    assert warnings == [
        f"[notify]: “a has finished: loss 0.5” was not sent: the webhook {why}"
        for why in (
            "could not be reached: status 500",
            "redirects (302), which is not followed",
            "refused it (404)",
        )
    ]


async def test_a_command_runs_without_a_shell_and_gets_json_on_stdin(
    settings: Settings, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    body = (
        "import json, os, sys\n"
        f"open({str(seen)!r}, 'w').write(json.dumps([sys.argv[1:], json.load(sys.stdin), dict(os.environ),"
        " os.getcwd()]))"
    )
    program = script(tmp_path / "tell", body)
    ask(settings, f'command = ["{program}", "a b", "$HOME;`id`"]', 'secret_env = "MY_SECRET"')
    async with notifier(settings, MY_SECRET="s3cret", PATH="/usr/bin:/bin") as (told, warnings):
        told.notify("job_1", "support-bot", DONE)
    assert warnings == []
    arguments, facts, environ, folder = json.loads(seen.read_text())
    assert arguments == ["a b", "$HOME;`id`"]
    assert facts["job"]["id"] == environ["ARKOR_JOB_ID"] == "job_1"
    assert environ["ARKOR_EVENT"] == "finished"
    assert environ["ARKOR_MESSAGE"] == facts["message"]
    assert folder == str(settings.project)
    assert "MY_SECRET" not in environ


async def test_the_desktop_shows_the_sentence_as_plain_text(settings: Settings, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    script(
        tmp_path / "bin" / "notify-send",
        f"import json, sys\nopen({str(seen)!r}, 'w').write(json.dumps(sys.argv[1:]))",
    )
    ask(settings, "desktop = true")
    async with notifier(settings, PATH=str(tmp_path / "bin")) as (told, warnings):
        told.notify("job_1", "--help <b>$(id)</b>", DONE)
    assert warnings == []
    *options, title, text = json.loads(seen.read_text())
    assert (options, title) == (["--app-name=Arkor Studio", "--"], "Arkor Studio")
    assert text == "--help &lt;b&gt;$(id)&lt;/b&gt; has finished: loss 0.5"
    seen.unlink()
    async with notifier(settings, PATH="/nowhere") as (told, warnings):
        told.notify("job_2", "a", DONE)
    assert warnings[0].endswith("desktop notifications need notify-send, which is not installed")
    ask(settings, "desktop = false", 'command = ["true"]')
    async with notifier(settings, PATH=f"{tmp_path / 'bin'}:/usr/bin:/bin") as (told, warnings):
        told.notify("job_3", "a", DONE)
    assert (warnings, seen.exists()) == ([], False)


async def test_hanging_failing_and_missing_commands_are_warnings(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, (name, seconds, body, why) in enumerate(
        (
            ("hang", 0.5, "import time\ntime.sleep(600)", "took longer than 0.5 s"),
            ("fail", 60, "raise SystemExit(3)", "ended with status 3"),
        )
    ):
        monkeypatch.setattr(delivery, "COMMAND_SECONDS", seconds)
        ask(settings, f'command = ["{script(tmp_path / name, body)}"]')
        async with notifier(settings) as (told, warnings):
            told.notify(f"job_{number}", "a", DONE)
        assert len(warnings) == 1
        assert warnings[0].endswith(f"the command {name} {why}")
    ask(settings, 'command = ["/no/such/program"]')
    async with notifier(settings) as (told, warnings):
        told.notify("job_9", "a", DONE)
    assert "the command program cannot be started" in warnings[0]


async def test_the_number_of_notices_is_bounded(settings: Settings, webhook: Webhook) -> None:
    ask(settings, f'webhook = "{webhook.url}"')
    async with notifier(settings) as (told, _):
        for number in range(500):
            told.notify(f"job_{number}", "a", DONE)
    assert len(webhook.seen) == AT_ONCE


def test_notices_are_plain_text_of_limited_length() -> None:
    event = JobEvent("training.failed", {"error": "\x1b]0;x\x07line\n" + "x" * 10_000, "step": True})
    facts = facts_of("failed", "j" * 1000, "n\u202e" * 1000, event, "p")
    assert len(json.dumps(facts)) < 4000
    assert "\x1b" not in facts["message"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["webhook = 3"], "notify.webhook = 3 is invalid"),
        (['webhook = "http://example.org/x"'], "webhook is http://, which sends it in clear text"),
        (['webhook = "ftp://example.org"'], "webhook is not a web address"),
        (['webhook = "https://e.org"', 'webhook_env = "X"'], "are both set"),
        (['command = "rm -rf /"'], "a list of a program and its arguments"),
        (["command = []"], "a list of a program and its arguments"),
        (['on = ["started"]', 'command = ["x"]'], "finished, failed, paused, non-finite"),
        (['comand = ["x"]'], "Did you mean command?"),
        ([], "[notify] has no recipient"),
        (["desktop = false"], "[notify] has no recipient"),
        (["desktop = 1"], "notify.desktop = 1 is invalid"),
    ],
)
def test_invalid_notify_tables_are_reported_with_their_line(
    settings: Settings, lines: list[str], said: str
) -> None:
    ask(settings, *lines)
    with pytest.raises(BadRequestError) as caught:
        load_trainers(settings.project)
    assert said in caught.value.text
    assert caught.value.text.startswith("arkor.toml:")


async def test_plain_http_needs_allow_http(settings: Settings) -> None:
    ask(settings, 'webhook = "http://example.org/x"', "allow_http = true")
    assert [trainer["name"] for trainer in load_trainers(settings.project)] == ["a"]


async def test_unset_environment_variables_are_warnings(settings: Settings, webhook: Webhook) -> None:
    ask(settings, 'webhook_env = "HOOK"', 'secret_env = "MY_SECRET"')
    async with notifier(settings) as (told, warnings):
        told.notify("job_1", "a", DONE)
    async with notifier(settings, HOOK=webhook.url) as (told, more):
        told.notify("job_2", "a", DONE)
    assert [text.rpartition(": ")[2] for text in warnings + more] == [
        "the environment variable HOOK is not set",
        "the environment variable MY_SECRET is not set",
    ]
    async with notifier(settings, HOOK=webhook.url, MY_SECRET="x") as (told, _):
        told.notify("job_3", "a", DONE)
    assert len(webhook.seen) == 1


async def test_unwatched_jobs_send_notices(
    studio: Studio, fake_backend: FakeBackend, webhook: Webhook
) -> None:
    """One that runs, one that came and went between two looks; not what was over before."""
    settings = studio.settings
    old = fake_backend.add_job("running", name="old")
    fake_backend.finish(old)
    running = fake_backend.add_job("running", name="running")
    ask(settings, f'webhook = "{webhook.url}"')
    async with notifier(settings) as (told, _):
        watch = asyncio.create_task(JobWatch(studio.app[BACKEND], told, seconds=0.02).run())
        await until(lambda: fake_backend.count("GET /v1/jobs/{id}/events/stream") == 1)
        fake_backend.finish(running, "failed")
        quick = fake_backend.add_job("running", name="quick")
        fake_backend.finish(quick)
        await until(lambda: len(webhook.seen) == 2)
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
    assert sorted(facts["job"]["name"] for _, facts, _ in webhook.seen) == ["quick", "running"]


async def test_a_project_without_notify_polls_no_jobs(studio: Studio, fake_backend: FakeBackend) -> None:
    before = fake_backend.count("GET /v1/jobs")
    async with notifier(studio.settings) as (told, _):
        watch = asyncio.create_task(JobWatch(studio.app[BACKEND], told, seconds=0.001).run())
        await asyncio.sleep(0)
        for _ in range(20):
            assert not await told.ready()
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
    assert fake_backend.count("GET /v1/jobs") == before


async def test_a_sweep_sends_one_notice_at_its_end(settings: Settings, webhook: Webhook) -> None:
    sweep: dict[str, Any] = {
        "id": "sweep_1",
        "name": "bot sweep",
        "state": "running",
        "endedAt": "2026-01-01",
    }

    class Sweeping:
        """A backend whose only jobs are those of a sweep."""

        async def list_jobs(self) -> Any:
            part = {"id": "sweep_1", "name": "bot sweep", "trial": 0}
            jobs = [
                {"id": "job_1", "status": "completed", "sweep": part},
                {"id": "job_2", "status": "running", "sweep": part},
            ]
            return SimpleNamespace(body=json.dumps({"jobs": jobs}))

        async def get_sweep(self, _: str) -> Any:
            asked.set()
            return SimpleNamespace(body=json.dumps({"sweep": sweep}))

    asked = asyncio.Event()
    ask(settings, f'webhook = "{webhook.url}"')
    async with notifier(settings) as (told, _):
        watch = asyncio.create_task(JobWatch(Sweeping(), told, seconds=0.02).run())  # type: ignore[arg-type]
        await asked.wait()
        sweep |= {"state": "completed", "verdict": {"verdict": "better", "sentence": "Better by 0.1 to 0.2."}}
        await until(lambda: bool(webhook.seen))
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
    ((_, facts, _),) = webhook.seen
    assert facts["message"] == "bot sweep has ended: Better by 0.1 to 0.2."
    assert facts["job"] == {"id": "sweep_1", "name": "bot sweep", "status": "completed"}
    assert facts["verdict"]["verdict"] == "better"

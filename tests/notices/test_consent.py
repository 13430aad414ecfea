"""Consent to [notify]: what it does is described, and nothing of it happens before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arkor_dev.notices.consent import agree, pending
from arkor_dev.notices.notifier import Notifier, notifying
from tests.support.processes import script

from .test_notifier import DONE, ask

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings
    from tests.support.studio import Studio


async def test_nothing_of_a_project_runs_before_a_person_has_agreed_to_just_this_table(
    settings: Settings, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    program = script(tmp_path / "tell", f"open({str(ran)!r}, 'a').write('x')")
    ask(settings, f'command = ["{program}"]')
    # A training run is not consent.
    async with notifying(settings, lambda _: None) as notices:
        assert not await notices.ready()
        notices.notify("job_1", "a", DONE)
    assert not ran.exists()
    asks = pending(settings)
    assert asks is not None
    assert agree(settings, asks["mark"])
    assert pending(settings) is None
    assert await Notifier(settings, lambda _: None).ready()
    ask(settings, f'command = ["{program}", "changed since"]')
    assert not agree(settings, asks["mark"])
    async with notifying(settings, lambda _: None) as notices:
        assert not await notices.ready()
        notices.notify("job_2", "a", DONE)
    assert not ran.exists()


def test_what_it_does_is_said_without_the_secret_part_of_an_address(settings: Settings) -> None:
    ask(
        settings,
        'command = ["sh", "-c", "a b\\u001b[2J"]',
        'webhook = "https://h.example/s3cret"',
        "desktop = true",
    )
    asks = pending(settings)
    assert asks is not None
    said = ", ".join(asks["does"])
    assert said.startswith("run sh -c 'a b")
    assert "\x1b" not in said
    assert "s3cret" not in said
    assert "h.example" in said
    assert said.endswith("show desktop notifications")
    ask(settings, 'webhook_env = "HOOK"')
    asks = pending(settings)
    assert asks is not None
    assert asks["does"] == ["send each job's name and figures to the address in HOOK"]


async def test_the_page_agrees_to_what_it_has_shown(studio: Studio) -> None:
    settings = studio.settings
    ask(settings, 'command = ["true"]')
    path = "/api/notices"

    async def shown() -> dict[str, Any]:
        found: dict[str, Any] = (await (await studio.session.get(path)).json())["pending"]
        return found

    first = await shown()
    assert first["does"] == ["run true"]
    ask(settings, 'command = ["false"]')
    assert (await studio.session.post(path, json={"mark": first["mark"]})).status == 409
    agreed = await studio.session.post(path, json={"mark": (await shown())["mark"]})
    assert await agreed.json() == {"pending": None}

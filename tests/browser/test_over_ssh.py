"""The page of a project whose backend is on another machine: installed, cut off, switched off, and back.

A real sshd and a true training, of a tiny model. In tests/local/test_over_ssh.py the workers are not forked.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.local.conftest import made_once, make_project
from tests.local.forking_backend import forking_python, worker_template
from tests.local.test_over_ssh import TOML
from tests.support.daemon import running_daemon
from tests.support.sshd import HOST, running_sshd

from .steps import MINUTE, completed, go_to, open_job, press_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import OpenPage


@pytest.mark.slow
@pytest.mark.beside
@pytest.mark.ci
@pytest.mark.browser
@pytest.mark.engine
@pytest.mark.timeout(300)
async def test_a_run_on_an_ssh_host(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    held_port: Callable[[], int],
    open_page: OpenPage,
) -> None:
    project = make_project(tmp_path / "own", made_once(tmp_path_factory))
    python = forking_python(tmp_path / "far-python")
    toml = TOML.replace(sys.executable, str(python))
    (project / "arkor.toml").write_text(f"{toml}eval_split = 0.4\n")
    with running_sshd(tmp_path / "sshd", held_port(), monkeypatch, env=worker_template()) as there:
        async with (
            running_daemon(
                tmp_path / "home", held_port(), "--project", str(project), "--ssh", HOST
            ) as daemon,
            open_page(daemon.origin, faulty=True, reduced_motion="reduce") as page,
        ):
            header = page.get_by_role("banner")
            await expect(header).to_contain_text(HOST, timeout=MINUTE)
            job = await press_run(page)
            await open_job(page, job)
            there.cut()  # it connects again by itself
            await completed(page)
            await expect(page.get_by_role("region", name="Verdict")).to_contain_text(
                "Your task", timeout=MINUTE
            )

            there.power_off()
            await go_to(page, "Jobs")
            lost = page.get_by_text(f"connection to {HOST} is lost; reconnecting")
            await expect(lost.first).to_be_visible(timeout=MINUTE)
            there.start()
            await expect(lost).to_have_count(0, timeout=MINUTE)
            await expect(page.get_by_role("row", name="parrot")).to_contain_text("Completed")
            await go_to(page, "Playground")
            await page.get_by_label("Message").fill("Where is my parcel?")
            await page.get_by_role("button", name="Send").click()
            await expect(page.locator(".chat-answer")).to_contain_text("to first token", timeout=MINUTE)

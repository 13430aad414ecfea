"""The whole story, for real: press Run, watch SmolLM2 learn, and hear that the adapter has learned.

A true daemon, a true training of 135 M parameters on this machine's processor, a true Chromium. The run
answers no sample prompts, replays no answers of the base model and measures the held-out loss once: that
takes minutes of a busy processor, and tests of the tiny model cover it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.local.forking_backend import of_a_studio, worker_template
from tests.support.daemon import free_port, running_daemon

from .steps import QUESTION, ask_both, completed, copy_example, first_loss, open_job, press_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import OpenPage

STEPS = 20
TOKENS = 100
"""The adapter's answer has some 60; the base's ends where it must, after minutes of a busy processor."""
BRIEFER = {
    "steps = 40\n": f"steps = {STEPS}\n",
    "batch_size = 4\n": "batch_size = 2\n",
    "learning_rate = 1e-3 ": "learning_rate = 4e-3 ",
    "eval_split = 0.2 ": "eval_split = 0.04 ",
    "eval_every = 10\n": f'eval_every = {STEPS}\nsamples = "off"\n',
    "save_every = 20\n": f"save_every = {STEPS}\n",
    "replay = 0.2 ": "# replay = 0.2 ",
}
"""What the first trainer of the example says, and what it says here: enough to hear a difference."""


@pytest.mark.slow
@pytest.mark.beside
@pytest.mark.browser
@pytest.mark.engine
@pytest.mark.timeout(600)
async def test_a_trained_model_answers_in_the_playground(
    tmp_path: Path, open_page: OpenPage, record_property: Callable[[str, object], None]
) -> None:
    project = copy_example(tmp_path)
    declared = project / "arkor.toml"
    text = declared.read_text()
    for said, briefer in BRIEFER.items():
        assert said in text
        text = text.replace(said, briefer, 1)
    declared.write_text(text)
    local = ("--local", "--project", str(project))
    async with (
        # The starter model is downloaded here if this machine does not have it yet.
        running_daemon(
            tmp_path / "home", free_port(), *local, **of_a_studio(worker_template()), PIP_NO_INDEX="0"
        ) as daemon,
        open_page(daemon.origin, reduced_motion="reduce") as page,
    ):
        clicked = time.monotonic()
        job_id = await press_run(page)
        await open_job(page, job_id)
        await first_loss(page, STEPS)
        record_property("click_to_first_loss_s", round(time.monotonic() - clicked, 1))
        await completed(page)
        record_property("click_to_completed_s", round(time.monotonic() - clicked, 1))

        history = await daemon.text(f"/api/jobs/{job_id}/history")
        losses = daemon.losses(history)
        assert len(losses) == STEPS
        assert sum(losses[-5:]) / 5 < 0.6 * sum(losses[:3]) / 3, losses

        base, adapter = await ask_both(page, QUESTION, TOKENS)
        record_property("click_to_answer_s", round(time.monotonic() - clicked, 1))
        print(f"base: {base}\nadapter: {adapter}")  # noqa: T201 (shown when the test fails)
        assert "Keep the lamp lit" in adapter
        assert "Log " in adapter
        assert "Keep the lamp lit" not in base
        assert "Bearing" not in base
    assert not (project / ".arkor").exists()
    assert not (tmp_path / "home" / ".arkor" / "credentials.json").exists()

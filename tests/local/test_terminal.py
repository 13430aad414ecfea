"""Studio on a true terminal, where it draws bars: a job is trained, its model answers, Ctrl-C ends it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import aiohttp
import pytest

from arkor_dev.core.settings import Settings
from arkor_dev.local.jobs.store import Store
from tests.support.daemon import environment, free_port
from tests.support.terminal import on_terminal

from .conftest import CONFIG, make_project
from .forking_backend import of_a_studio
from .tiny_model import QUESTIONS

if TYPE_CHECKING:
    from pathlib import Path

CODE = "import sys\nfrom arkor_dev.cli import main\nsys.exit(main.main(sys.argv[1:]))"


@pytest.mark.engine
@pytest.mark.timeout(240)
async def test_the_page_responds_while_the_terminal_shows_progress(
    tmp_path: Path, tiny: Path, template: dict[str, str]
) -> None:
    home, project, port = tmp_path / "home", make_project(tmp_path / "tests", tiny), free_port()
    data = home / ".local" / "share" / "arkor-dev"
    kept = Settings(project=project, home=home, data=data, cache=tmp_path / "cache").local_data
    kept.mkdir(parents=True)
    store = Store(kept / "backend.sqlite", "local")
    store.create("waiting", {**CONFIG, "maxSteps": 1})
    store.close()
    env = {**environment(home), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "ARKOR_LEAST_FREE_BYTES": "0"}
    arguments = ["--local", "--project", str(project), "--port", str(port)]
    timeout = aiohttp.ClientTimeout(total=60)
    async with (
        on_terminal(CODE, *arguments, env=env | of_a_studio(template)) as screen,
        aiohttp.ClientSession(f"http://localhost:{port}", timeout=timeout) as page,
    ):
        await screen.shows("Identity")
        async with page.get("/") as answer:
            token = re.search(r'<meta name="arkor-studio-token" content="([^"]+)"', await answer.text())
        assert token
        headers = {"X-Arkor-Studio-Token": token[1]}
        await screen.shows("Evaluating")
        asked = {
            "baseModel": "./models/tiny", "messages": [{"role": "user", "content": QUESTIONS[0]}],
            "maxTokens": 2, "stream": False,
        }  # fmt: skip
        async with page.post("/api/inference/chat", json=asked, headers=headers) as answer:
            assert (await answer.json())["choices"]
        screen.press("\x03")
        assert await screen.end(60) == 0
    assert "Traceback" not in screen.text
    assert screen.text.endswith("Studio has stopped.\n")

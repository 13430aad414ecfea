"""axe-core finds nothing on any page, in either theme, wide and narrow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

if TYPE_CHECKING:
    from tests.fake_backend import FakeBackend
    from tests.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PAGES = [
    "/",
    "/#/jobs",
    "/#/jobs/{job}",
    "/#/compare?jobs={job},{other}",
    "/#/playground",
    "/#/endpoints",
    "/#/no",
]


@pytest.mark.skipif(
    not AXE.exists() and "CI" not in os.environ,
    reason="axe-core comes with the page's own tools (npm ci in web/)",
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_axe_finds_nothing(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, scheme: str, width: int
) -> None:
    project = studio.settings.project
    (project / "data.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    (project / "arkor.toml").write_text(
        '[[trainer]]\nname = "t"\nmodel = "m"\ndataset = "data.jsonl"\nsteps = 4\n'
    )
    job, other = (fake_backend.add_job("completed", name=name) for name in ("one", "two"))
    fake_backend.add_job("failed", name="three", error="It broke.")
    running = fake_backend.add_job("running", name="four")
    for each in (job, other, running):
        for step in range(1, 20):
            fake_backend.log(each, step=step, loss=3 / step, evalLoss=4 / step if step % 5 == 0 else None)
        fake_backend.emit(each, "checkpoint.saved", step=10)
    fake_backend.finish(job)
    fake_backend.finish(other)
    async with open_page(studio.url, "/#/no", width=width, scheme=scheme) as page:
        for path in [*PAGES, f"/#/jobs/{running}"]:
            await page.goto(studio.url + path.format(job=job, other=other))
            await expect(page.locator("main h1").first).to_be_attached()
            await expect(page.locator(".ui-skeleton")).to_have_count(0)
            await page.wait_for_timeout(400)  # for what is drawn only after the data
            await page.evaluate(AXE.read_text(encoding="utf-8"))
            found = await page.evaluate("(tags) => axe.run(document, { runOnly: tags })", RULES)
            problems = [
                f"{rule['id']}: {node['html']} {[check['message'] for check in node['any']]}"
                for rule in found["violations"]
                for node in rule["nodes"]
            ]
            assert problems == [], path

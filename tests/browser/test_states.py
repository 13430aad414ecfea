"""Every state of every page: a quiet console, nothing for axe to find, and all of it read at every width."""

from __future__ import annotations

import base64
import functools
import gzip
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from .states import Scene, State, all_states
from .steps import lasting
from .widths import layout_faults

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
# What is as it should be is neither described nor brought here: that took longer than many a rule.
RUN = """
async (tags) => (await axe.run(document, { runOnly: tags, resultTypes: ["violations"] })).violations
"""
DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"
# Packed, it takes two fifths less of the processor's time to bring here.
UNPACK = """
async (packed) => {
    const bytes = new Blob([Uint8Array.from(atob(packed), (byte) => byte.charCodeAt(0))]).stream();
    window.axeText = await new Response(bytes.pipeThrough(new DecompressionStream("gzip"))).text();
}
"""
PASSES: tuple[tuple[int, Literal["light", "dark"]], ...] = ((1280, "light"), (390, "dark"))
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@functools.cache
def packed_axe() -> str:
    """axe-core, as short as can be."""
    return base64.b64encode(gzip.compress(AXE.read_bytes())).decode()


async def bring_axe(page: Page) -> None:
    """Give the page axe-core, which comes with its own tools."""
    await page.evaluate(UNPACK, packed_axe())
    await page.evaluate("() => { (0, eval)(window.axeText); }")


async def problems(page: Page) -> list[str]:
    """What axe finds, one line each."""
    violations = await page.evaluate(RUN, RULES)
    return [
        f"{rule['id']}: {node['html']} {[check['message'] for check in node['any']]}"
        for rule in violations
        for node in rule["nodes"]
    ]


async def problems_of_passes(page: Page) -> list[str]:
    """What axe finds on a wide window in light and on a narrow one in dark, each with its pass."""
    await bring_axe(page)
    found: list[str] = []
    for width, scheme in PASSES:
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(color_scheme=scheme)
        await page.evaluate(DRAWN)
        found += [f"{width} {scheme}: {problem}" for problem in await lasting(lambda: problems(page))]
    return found


@pytest.mark.parametrize("state", all_states(), ids=lambda state: state.name)
async def test_a_state(studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, state: State) -> None:
    async with open_page(studio.url, None, faulty=state.faulty, reduced_motion="reduce") as page:
        page.on("dialog", lambda dialog: pytest.fail(f"it ran: {dialog.message}"))
        await state.play(Scene(page, studio, fake_backend))
        assert await lasting(lambda: layout_faults(page)) == []
        # axe-core comes with the page's own tools (npm ci in web/); without them the widths are tested.
        if AXE.exists() or "CI" in os.environ:
            assert await problems_of_passes(page) == []

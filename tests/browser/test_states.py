"""Every state of every page: a quiet console, nothing for axe to find, and all of it read at every width."""

from __future__ import annotations

import functools
import os
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.in_ci import in_ci
from tests.support.studio import serve_script

from .letters import faults_at_twice_the_size
from .states import Scene, Walk, all_tours, name_of, play_all
from .steps import lasting
from .widths import layout_faults

if TYPE_CHECKING:
    from playwright.async_api import Dialog, Page

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(400),  # a tour has many states
    pytest.mark.chromium_only("pages are resized by the protocol of Chromium's tools"),
]

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Whether text is pale or a target small takes axe longer than all else, and is looked at in each width. What
# is as it should be is not described: that took longer than many a rule.
LEFT_OUT = ("color-contrast", "target-size")
OPTIONS = {
    "runOnly": TAGS,
    "rules": {name: {"enabled": False} for name in LEFT_OUT},
    "resultTypes": ["violations"],
}
# Looked at with text of twice the size too: the layout of the others is that of one among these.
ENLARGED = {
    "home-several",
    "home-output",
    "jobs-names",
    "job-completed",
    "compare-three",
    "endpoints-one",
    "endpoints-new",
    "playground-markdown",
    "playground-picker",
    "shell-palette",
    "shell-keys",
}
RUN = "async (options) => (await axe.run(document, options)).violations"
# Half a megabyte that the browser keeps, compiled, by its address. A Studio out of reach has none to give.
LOAD = "() => import('/axe.js').then(() => {}, () => {})"
HAS = "Boolean(window.axe)"


@functools.cache
def has_axe() -> bool:
    """Whether axe-core is there, and served: it comes with the page's own tools (npm ci in web/)."""
    if not AXE.exists() and "CI" not in os.environ:
        return False
    serve_script("/axe.js", AXE.read_text(encoding="utf-8"))
    return True


async def bring_axe(page: Page) -> None:
    """Give the page axe-core, unless it has it."""
    if await page.evaluate(HAS):
        return
    await page.evaluate(LOAD)
    if not await page.evaluate(HAS):
        await page.evaluate("(text) => { (0, eval)(text); }", AXE.read_text("utf-8"))


async def problems(page: Page) -> list[str]:
    """What axe finds, one line each."""
    await bring_axe(page)
    violations = await page.evaluate(RUN, OPTIONS)
    return [
        f"{rule['id']}: {node['html']} {[check['message'] for check in node['any']]}"
        for rule in violations
        for node in rule["nodes"]
    ]


async def faults(page: Page, *, stays: bool) -> list[str]:
    """What axe finds, and what cannot be read or hit at any width; without axe the latter.

    Without ``stays`` the page is then narrow and dark.
    """
    found = await problems(page) if has_axe() else []
    return found + await layout_faults(page, dark=True, stays=stays)


def has_enlarged(tour: list[Walk]) -> bool:
    """Whether a tour has the layouts that the others repeat."""
    return any(state.name in ENLARGED for walk in tour for state in walk.states)


TOURS = [tour if has_enlarged(tour) else in_ci(tour) for tour in all_tours()]


@pytest.mark.parametrize("tour", TOURS, ids=name_of)
async def test_each_state_is_accessible_and_fits_every_width(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, tour: list[Walk]
) -> None:
    ran: list[str] = []

    async def on_dialog(dialog: Dialog) -> None:
        ran.append(dialog.message)
        await dialog.accept()

    async with open_page(
        studio.url, None, faulty=any(walk.faulty for walk in tour), reduced_motion="reduce"
    ) as page:
        page.on("dialog", on_dialog)
        async with aclosing(play_all(Scene(page, studio, fake_backend), tour)) as states:
            async for state in states:
                enlarged = state.name in ENLARGED
                stays = enlarged or state != tour[-1].states[-1]
                found = await faults(page, stays=stays)
                assert found == [] or await lasting(lambda: faults(page, stays=True)) == [], state.name
                if enlarged:
                    assert await lasting(lambda: faults_at_twice_the_size(page)) == [], state.name
    assert ran == []


def test_tours_do_not_mix_faulty_states() -> None:
    assert [name_of(tour) for tour in all_tours() if len({walk.faulty for walk in tour}) > 1] == []

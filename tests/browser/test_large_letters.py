"""Whoever sets larger letters in the browser reads every page: no word is cut, covered or out of reach.

Two settings of the browser make letters larger without zooming what is around them: a minimum size, and the
size of ordinary text.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from .states import Scene, Walk, all_walks
from .steps import lasting
from .widths import layout_faults

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Twice the size makes of a window what half of its width would be: a phone's has no room for words.
MINIMUM_WIDTHS = (390, 768, 1280)
TWICE_WIDTHS = (768, 1280)
PICKED = (
    "home-several",
    "home-running",
    "home-output",
    "jobs-names",
    "job-completed",
    "job-failed",
    "job-event",
    "compare-three",
    "endpoints-list",
    "endpoints-one",
    "endpoints-new",
    "endpoints-delete",
    "playground-markdown",
    "playground-picker",
    "shell-palette",
    "shell-keys",
)
# The setting has reached all that is read, charts included.
SMALL = """() => [...document.querySelectorAll("main *, dialog *")]
    .filter((node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
    .filter((node) => node.checkVisibility() && parseFloat(getComputedStyle(node).fontSize) < 18)
    .map((node) => `${getComputedStyle(node).fontSize}: ${node.textContent.slice(0, 40)}`)"""
BEYOND_THE_CHART = """() => [...document.querySelectorAll(".chart-tick")].flatMap((label) => {
    const [inner, outer] = [label, label.closest(".chart")].map((each) => each.getBoundingClientRect());
    const isIn = inner.left >= outer.left && inner.right <= outer.right && inner.bottom <= outer.bottom;
    return isIn ? [] : [label.textContent];
})"""
# The layout of the others is that of one among these.
PICKED_TWICE = {*PICKED} - {"home-running", "job-event", "job-failed", "endpoints-delete", "endpoints-list"}


def walks(names: Collection[str]) -> list[Walk]:
    """The ways on which some of these states lie."""
    return [walk for walk in all_walks() if any(state.name in names for state in walk.states)]


async def read_at_every_width(
    scene: Scene, walk: Walk, names: Collection[str], widths: tuple[int, ...]
) -> None:
    page = scene.page
    async with aclosing(walk.play(scene)) as states:
        async for state in states:
            if state.name in names:
                found = await lasting(lambda: layout_faults(page, widths=widths, zoomed=()))
                assert found == [], state.name
                assert await lasting(lambda: page.evaluate(SMALL)) == [], state.name
                assert await lasting(lambda: page.evaluate(BEYOND_THE_CHART)) == [], state.name


@pytest.mark.browser_settings(chromium={"minimumFontSize": 18}, firefox={"font.minimum-size.x-western": 18})
@pytest.mark.parametrize("walk", walks(PICKED), ids=lambda walk: walk.name)
async def test_with_a_minimum_size(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, walk: Walk
) -> None:
    async with open_page(studio.url, None, faulty=walk.faulty, reduced_motion="reduce") as page:
        await read_at_every_width(Scene(page, studio, fake_backend), walk, PICKED, MINIMUM_WIDTHS)


@pytest.mark.browser_settings(chromium={"defaultFontSize": 32}, firefox={"font.size.variable.x-western": 32})
@pytest.mark.parametrize("walk", walks(PICKED_TWICE), ids=lambda walk: walk.name)
async def test_with_text_of_twice_the_size(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, walk: Walk
) -> None:
    async with open_page(studio.url, None, faulty=walk.faulty, reduced_motion="reduce") as page:
        await read_at_every_width(Scene(page, studio, fake_backend), walk, PICKED_TWICE, TWICE_WIDTHS)

"""Whoever sets larger letters in the browser reads every page: no word is cut, covered or out of reach.

Two settings of the browser make letters larger without zooming what is around them: a minimum size, and the
size of ordinary text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .states import Scene, State, all_states
from .steps import lasting
from .widths import layout_faults

if TYPE_CHECKING:
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
PAGES = [state for state in all_states() if state.name in PICKED]
TWICE = [
    state
    for state in PAGES
    if state.name not in ("home-running", "job-event", "job-failed", "endpoints-delete", "endpoints-list")
]
"""Those whose layout is not that of another one among them."""


async def read_at_every_width(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, state: State, widths: tuple[int, ...]
) -> None:
    async with open_page(studio.url, None, faulty=state.faulty, reduced_motion="reduce") as page:
        await state.play(Scene(page, studio, fake_backend))
        assert await lasting(lambda: layout_faults(page, widths=widths, zoomed=())) == []
        assert await lasting(lambda: page.evaluate(SMALL)) == []
        assert await lasting(lambda: page.evaluate(BEYOND_THE_CHART)) == []


@pytest.mark.browser_settings(chromium={"minimumFontSize": 18}, firefox={"font.minimum-size.x-western": 18})
@pytest.mark.parametrize("state", PAGES, ids=lambda state: state.name)
async def test_with_a_minimum_size(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, state: State
) -> None:
    await read_at_every_width(studio, fake_backend, open_page, state, MINIMUM_WIDTHS)


@pytest.mark.browser_settings(chromium={"defaultFontSize": 32}, firefox={"font.size.variable.x-western": 32})
@pytest.mark.parametrize("state", TWICE, ids=lambda state: state.name)
async def test_with_text_of_twice_the_size(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, state: State
) -> None:
    await read_at_every_width(studio, fake_backend, open_page, state, TWICE_WIDTHS)

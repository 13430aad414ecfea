"""Whoever sets a minimum size of letters in the browser reads every page.

It makes letters larger without zooming what is around them. Text of twice the size is looked at in
``test_states.py``: that setting can be changed on a page that is open.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from .letters import faults_of_large_letters
from .states import Scene, Walk, all_tours, name_of, play_all
from .steps import lasting

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.ci,  # test_playground.py has a page with larger letters still
    pytest.mark.timeout(400),  # a tour has many states
]

WIDTHS = (390, 768, 1280)
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
TOURS = [
    walks
    for tour in all_tours()
    if (walks := [walk for walk in tour if any(state.name in PICKED for state in walk.states)])
]


@pytest.mark.browser_settings(chromium={"minimumFontSize": 18}, firefox={"font.minimum-size.x-western": 18})
@pytest.mark.parametrize("tour", TOURS, ids=name_of)
async def test_pages_work_with_a_minimum_font_size(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, tour: list[Walk]
) -> None:
    faulty = any(walk.faulty for walk in tour)
    async with (
        open_page(studio.url, None, faulty=faulty, reduced_motion="reduce") as page,
        aclosing(play_all(Scene(page, studio, fake_backend), tour)) as states,
    ):
        async for state in states:
            if state.name in PICKED:
                assert await lasting(lambda: faults_of_large_letters(page, WIDTHS)) == [], state.name

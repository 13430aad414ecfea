"""axe finds a fault of each kind of rule that it is asked for, in each pass in which there is one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from .test_states import AXE, PASSES, problems_of_passes
from .widths import layout_faults

if TYPE_CHECKING:
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not AXE.exists() and "CI" not in os.environ, reason="axe-core is not installed"),
    pytest.mark.chromium_only("pages are resized by the protocol of Chromium's tools"),
]

WIDE, NARROW = (f"{width} {scheme}" for width, scheme in PASSES)
# The rule, and elements: tag, attributes, text. The page's policy allows no HTML.
PLANTED: dict[str, tuple[str, list[tuple[str, dict[str, str], str]]]] = {
    "wcag2a": ("image-alt", [("img", {"src": "data:,"}, "")]),
    "wcag2a, a name": ("button-name", [("button", {"style": "width: 40px; height: 40px"}, "")]),
    "wcag2a, ARIA": ("aria-valid-attr", [("p", {"aria-nothing": "1"}, "words")]),
    "wcag21aa": ("autocomplete-valid", [("input", {"autocomplete": "nothing", "aria-label": "words"}, "")]),
    "wcag22aa": ("target-size", [("button", {"style": "all: unset; font-size: 9px"}, each) for each in "xy"]),
    "best-practice": ("heading-order", [("h6", {}, "words")]),
    "wcag2aa": ("color-contrast", [("p", {"style": "color: #999; background: #aaa"}, "words")]),
}
IN_ONE = {
    WIDE: "color: light-dark(#999, #000); background: #aaa",
    NARROW: "color: light-dark(#000, #999); background: #aaa",
}
PLANT = """(elements) => {
    for (const [tag, attributes, text] of elements) {
        const element = document.createElement(tag);
        for (const [name, value] of Object.entries(attributes)) {
            if (name === "style") element.style.cssText = value;
            else element.setAttribute(name, value);
        }
        element.append(text);
        document.querySelector("main").append(element);
    }
}"""


async def passes_that_name(rule: str, elements: object, studio: Studio, open_page: OpenPage) -> list[str]:
    async with open_page(studio.url, "/#/jobs", reduced_motion="reduce") as page:
        await page.locator("main h1").first.wait_for()
        await page.evaluate(PLANT, elements)
        await layout_faults(page)  # as before it in the test of a state
        found = await problems_of_passes(page)
    return sorted({each.split(": ")[0] for each in found if each.split(": ")[1] == rule})


@pytest.mark.parametrize("kind", PLANTED)
async def test_a_fault_is_found_in_both_passes(studio: Studio, open_page: OpenPage, kind: str) -> None:
    rule, elements = PLANTED[kind]
    assert await passes_that_name(rule, elements, studio, open_page) == [WIDE, NARROW]


@pytest.mark.parametrize("where", IN_ONE)
async def test_a_fault_of_one_pass_is_found_there(studio: Studio, open_page: OpenPage, where: str) -> None:
    elements = [("p", {"style": IN_ONE[where]}, "words")]
    assert await passes_that_name("color-contrast", elements, studio, open_page) == [where]

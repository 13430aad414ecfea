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

WIDE, NARROW = BOTH = [f"{width} {scheme}" for width, scheme in PASSES]
# By kind: the rule, elements (tag, attributes, text), and the passes in which they are a fault. The page's
# policy allows no HTML.
PLANTED: dict[str, tuple[str, list[tuple[str, dict[str, str], str]], list[str]]] = {
    "wcag2a": ("image-alt", [("img", {"src": "data:,"}, "")], BOTH),
    "wcag2a, a name": ("button-name", [("button", {"style": "width: 40px; height: 40px"}, "")], BOTH),
    "wcag2a, ARIA": ("aria-valid-attr", [("p", {"aria-nothing": "1"}, "words")], BOTH),
    "wcag21aa": (
        "autocomplete-valid",
        [("input", {"autocomplete": "nothing", "aria-label": "words"}, "")],
        BOTH,
    ),
    "wcag22aa": (
        "target-size",
        [("button", {"style": "all: unset; font-size: 9px"}, each) for each in "xy"],
        BOTH,
    ),
    "best-practice": ("heading-order", [("h6", {}, "words")], BOTH),
    "wcag2aa": ("color-contrast", [("p", {"style": "color: #999; background: #aaa"}, "grey")], BOTH),
    "wcag2aa, in light alone": (
        "color-contrast",
        [("p", {"style": "color: light-dark(#999, #000); background: #aaa"}, "grey in light")],
        [WIDE],
    ),
    "wcag2aa, in dark alone": (
        "color-contrast",
        [("p", {"style": "color: light-dark(#000, #999); background: #aaa"}, "grey in dark")],
        [NARROW],
    ),
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


async def test_each_fault_is_found_in_each_pass_that_has_it(studio: Studio, open_page: OpenPage) -> None:
    async with open_page(studio.url, "/#/jobs", reduced_motion="reduce") as page:
        await page.locator("main h1").first.wait_for()
        for _, elements, _ in PLANTED.values():
            await page.evaluate(PLANT, elements)
        await layout_faults(page)  # as before it in the test of a state
        found = [problem.split(": ", 2) for problem in await problems_of_passes(page)]
    for kind, (rule, [(_, _, text), *_], passes) in PLANTED.items():
        words = f">{text}</" if rule == "color-contrast" else ""  # which of the three
        named = {where for where, which, html in found if which == rule and words in html}
        assert sorted(named) == passes, kind

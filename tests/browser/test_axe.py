"""A page's faults are found: one of each kind of axe's rules, and what is pale in light or in dark alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from .test_states import AXE, faults
from .widths import WIDTHS, ZOOM, ZOOMED

if TYPE_CHECKING:
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not AXE.exists() and "CI" not in os.environ, reason="axe-core is not installed"),
    pytest.mark.chromium_only("pages are resized by the protocol of Chromium's tools"),
]

LIGHT = ", ".join([*(f"{width} at {ZOOM * 100} %" for width in ZOOMED), *map(str, WIDTHS[:-1])])
DARK = f"{WIDTHS[-1]} in dark"
# By kind: the beginning and the end of the message, and an element (tag, attributes, text). The page's
# policy allows no HTML.
PLANTED: dict[str, tuple[str, str, tuple[str, dict[str, str], str]]] = {
    "wcag2a": ("image-alt: ", "", ("img", {"src": "data:,"}, "")),
    "wcag2a, a name": ("button-name: ", "", ("button", {"style": "width: 40px; height: 40px"}, "")),
    "wcag2a, ARIA": ("aria-valid-attr: ", "", ("p", {"aria-nothing": "1"}, "words")),
    "wcag21aa": (
        "autocomplete-valid: ",
        "",
        ("input", {"autocomplete": "nothing", "aria-label": "words"}, ""),
    ),
    "best-practice": ("heading-order: ", "", ("h6", {}, "words")),
    "pale": (
        "a contrast of 1.23, and it must be 4.5: grey",
        f" ({LIGHT}, {DARK})",
        ("p", {"style": "color: #999; background: #aaa"}, "grey"),
    ),
    "pale in light alone": (
        "a contrast of 1.23, and it must be 4.5: grey in light",
        f" ({LIGHT})",
        ("p", {"style": "color: light-dark(#999, #000); background: #aaa"}, "grey in light"),
    ),
    "pale in dark alone": (
        "a contrast of 1.23, and it must be 4.5: grey in dark",
        f" ({DARK})",
        ("p", {"style": "color: light-dark(#000, #999); background: #aaa"}, "grey in dark"),
    ),
}
PLANT = """([tag, attributes, text]) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (name === "style") element.style.cssText = value;
        else element.setAttribute(name, value);
    }
    element.append(text);
    document.querySelector("main").append(element);
}"""


async def test_accessibility_faults_are_located(studio: Studio, open_page: OpenPage) -> None:
    async with open_page(studio.url, "/#/jobs", reduced_motion="reduce") as page:
        await page.locator("main h1").first.wait_for()
        assert await faults(page, stays=True) == []
        for _, _, element in PLANTED.values():
            await page.evaluate(PLANT, element)
        found = await faults(page, stays=False)
    for kind, (begins, ends, _) in PLANTED.items():
        assert any(each.startswith(begins) and each.endswith(ends) for each in found), (kind, found)

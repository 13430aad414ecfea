"""The module that draws a run's live chart in a notebook, with a model as anywidget gives it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import arkor_dev

if TYPE_CHECKING:
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MODULE = Path(arkor_dev.__file__).parent / "sdk" / "live.js"
DRAW = """
async (code) => {
    const { default: widget } = await import(`data:text/javascript,${encodeURIComponent(code)}`);
    const state = { name: "<b>bot</b>", status: "running", sentence: "", curves: [] };
    const on = new Map();
    const model = {
        get: (name) => state[name],
        on: (name, draw) => on.set(name, draw),
        off: (name) => on.delete(name),
    };
    const set = (values) => {
        Object.assign(state, values);
        for (const name of Object.keys(values)) on.get(`change:${name}`)?.();
    };
    const el = document.createElement("div");
    const end = widget.render({ model, el });
    const told = [[el.textContent, el.querySelectorAll("svg").length]];
    set({ curves: [{ label: "Loss", colour: "#36c", points: [[1, 4], [2, 3], [3, 2]] }] });
    const lines = [...el.querySelectorAll("polyline")];
    told.push(lines.map((line) => line.getAttribute("points").split(" ").length));
    set({ status: "completed", sentence: "<i>Better</i>" });
    const text = el.textContent;
    told.push([text.startsWith("<b>bot</b> · completed"), text.endsWith("<i>Better</i>")]);
    end();
    told.push([on.size, el.querySelectorAll("i").length]);
    return told;
}
"""


async def test_the_notebook_widget_draws_points_and_escapes_text(open_page: OpenPage, studio: Studio) -> None:
    async with open_page(studio.url) as page:
        await page.goto("about:blank")
        assert await page.evaluate(DRAW, MODULE.read_text()) == [
            ["<b>bot</b> · running", 0], [3], [True, True], [0, 0],
        ]  # fmt: skip

"""The module that shows a run's live chart in a notebook, with a model as anywidget gives it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import arkor_dev
from arkor_dev.sdk.chart import picture_of

if TYPE_CHECKING:
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MODULE = Path(arkor_dev.__file__).parent / "sdk" / "live.js"
DRAW = """
async ([code, picture]) => {
    const { default: widget } = await import(`data:text/javascript,${encodeURIComponent(code)}`);
    const state = { name: "<b>bot</b>", status: "running", sentence: "", picture: "" };
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
    const image = el.querySelector("img");
    const told = [[el.textContent, image.hidden]];
    set({ picture });
    await image.decode();
    told.push([image.hidden, image.width, image.alt]);
    set({ status: "completed", sentence: "<i>Better</i>" });
    const text = el.textContent;
    told.push([text.startsWith("<b>bot</b> · completed"), text.endsWith("<i>Better</i>")]);
    end();
    told.push([on.size, el.querySelectorAll("i").length]);
    return told;
}
"""


async def test_the_live_chart_shows_each_picture_and_every_text_as_text(
    open_page: OpenPage, studio: Studio
) -> None:
    async with open_page(studio.url) as page:
        await page.goto("about:blank")
        picture = picture_of({"loss": ([1, 2, 3], [4.0, 3.0, 2.0]), "eval_loss": ([], [])})
        assert await page.evaluate(DRAW, [MODULE.read_text(), picture]) == [
            ["<b>bot</b> · running", True], [False, 640, "Loss by step"], [True, True], [0, 0],
        ]  # fmt: skip

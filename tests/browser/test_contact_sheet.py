"""The sheet of all pictures: each is on it once, below its page, and a state without pictures says so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .contact_sheet import contact_sheet
from .states import State

if TYPE_CHECKING:
    from pathlib import Path


def test_each_picture_is_on_the_sheet_once_below_its_page(tmp_path: Path) -> None:
    states = [
        State("home-first", "A <first> visit"),
        State("home-later", "Never made"),
        State("jobs-many", "Many jobs"),
    ]
    names = [
        f"{state}-{scheme}-{width}.webp"
        for state in ("home-first", "jobs-many")
        for width in (1280, 390)
        for scheme in ("light", "dark")
    ]
    for name in names:
        (tmp_path / name).touch()
    sheet = contact_sheet(states, tmp_path)
    assert re.findall(r'<a href="([^"#]+)"', sheet) == names
    assert re.findall(r'<img src="([^"]+)"', sheet) == names
    assert re.findall(r'<h2 id="(\w+)"', sheet) == ["home", "jobs"]
    assert "A &lt;first&gt; visit" in sheet
    assert re.findall(r"No pictures of (.*?)\.<", sheet) == ["home-later"]

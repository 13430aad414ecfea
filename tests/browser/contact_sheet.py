"""One HTML page that shows every picture of a folder: state by state, each a link to the full one."""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from pathlib import Path

    from .states import State

SCHEMES = ("light", "dark")
VIEWPORTS = {1280: (1280, 860), 390: (390, 844)}
# On the sheet, a desktop's picture is as high as a phone's.
HEIGHT = 220
STYLE = f"""\
:root {{ color-scheme: light dark; font: 14px/1.4 system-ui, sans-serif; }}
body {{ margin: 0 16px 48px; }}
header {{ position: sticky; top: 0; padding: 8px 0; background: Canvas; display: flex; gap: 16px; }}
h2 {{ scroll-margin-top: 40px; margin: 24px 0 8px; text-transform: capitalize; }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(904px, 100%), 1fr)); gap: 16px; }}
h2, p {{ grid-column: 1 / -1; }}
figure, p {{ margin: 0; }}
figure {{ display: flex; flex-wrap: wrap; gap: 8px; }}
figcaption {{ flex-basis: 100%; }}
img {{ display: block; height: {HEIGHT}px; outline: 1px solid GrayText; }}
"""


def picture_name(state: str, scheme: str, width: int) -> str:
    """The file of one picture."""
    return f"{state}-{scheme}-{width}.webp"


def contact_sheet(states: list[State], folder: Path) -> str:
    """The page; of a state without pictures it says so."""
    pages = {page: list(members) for page, members in groupby(states, key=lambda state: state.page)}
    links = " ".join(f'<a href="#{page}">{page}</a>' for page in pages)
    parts = "\n".join(_part(page, members, folder) for page, members in pages.items())
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f"<title>Every state of every page</title>\n<style>\n{STYLE}</style>\n"
        f"<header><b>{len(states)} states</b> <nav>{links}</nav></header>\n<main>\n{parts}\n</main>\n"
    )


def _part(page: str, states: list[State], folder: Path) -> str:
    rows = {state.name: _row(state, folder) for state in states}
    missing = [name for name, row in rows.items() if not row]
    note = f"\n<p>No pictures of {', '.join(missing)}.</p>" if missing else ""
    return f'<h2 id="{page}">{page}</h2>{note}\n' + "\n".join(filter(None, rows.values()))


def _row(state: State, folder: Path) -> str:
    pictures = [
        _thumbnail(state, scheme, width)
        for width in VIEWPORTS
        for scheme in SCHEMES
        if (folder / picture_name(state.name, scheme, width)).is_file()
    ]
    if not pictures:
        return ""
    caption = f"<b>{escape(state.name)}</b> {escape(state.caption)}"
    return f"<figure><figcaption>{caption}</figcaption>{''.join(pictures)}</figure>"


def _thumbnail(state: State, scheme: str, width: int) -> str:
    address = quote(picture_name(state.name, scheme, width))
    shown = VIEWPORTS[width]
    return (
        f'<a href="{address}"><img src="{address}" width="{HEIGHT * shown[0] // shown[1]}" height="{HEIGHT}" '
        f'loading="lazy" alt="{escape(state.name)}, {scheme}, {width} px"></a>'
    )

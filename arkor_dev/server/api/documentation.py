"""The documentation, for the page: the Markdown files that came with this installation.

A name is only looked up in a listing, so no file system path is built from a browser's input.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

from arkor_dev.contract.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

PACKAGE: Final = Path(__file__).parents[2]
FOLDERS: Final = (PACKAGE.parent / "docs", PACKAGE / "site")
"""A clone's own files, then those that a wheel carries beside the built site."""
INDEX: Final = "llms.txt"
TITLE: Final = "# Arkor Studio for Python\n"


def pages(folders: Iterable[Path] = FOLDERS) -> dict[str, Path]:
    """Return each page's file by its name; empty if this copy came without documentation."""
    for folder in folders:
        index = folder / INDEX
        # Beside an installed package, docs/ may be another project's.
        if index.is_file() and index.read_text(encoding="utf-8").startswith(TITLE):
            return {
                "index": index,
                **{path.stem: path for path in folder.glob("*.md") if path.stem != "index"},
            }
    return {}


async def page(request: web.Request) -> web.Response:
    """``GET /api/docs/:name``: a page's Markdown; ``index`` lists all of them."""
    file = pages().get(request.match_info["name"])
    if file is None:
        raise NotFoundError("There is no such page in this copy's documentation")
    return web.Response(text=file.read_text(encoding="utf-8"), content_type="text/markdown")


ROUTES = [web.get(r"/api/docs/{name:[\w-]{1,64}}", page)]

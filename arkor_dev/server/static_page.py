"""The page: a prebuilt static bundle, with this launch's token in its ``<meta>``.

The bundle's files are listed once; a request's path is only looked up in that list, so no file system path is
built from a browser's input.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from arkor_dev.contract.errors import InternalError
from arkor_dev.server.security.guards import is_api, is_endpoint, refusal

from .negotiation import takes

if TYPE_CHECKING:
    from arkor_dev.server.security.guards import Handler

STATIC = Path(__file__).parents[1] / "static"
TOKEN_PLACEHOLDER = b"__ARKOR_STUDIO_TOKEN__"
# Names with a content hash never change their content; everything else is revalidated.
_IMMUTABLE = "public, max-age=31536000, immutable"
# Not the system's table: some systems register .js as text/plain, which nosniff then blocks.
_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_ENCODINGS = {"br": ".br", "gzip": ".gz"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the bundle: its bytes by content coding (``""`` is uncompressed)."""

    content_type: str
    cache_control: str
    bodies: dict[str, bytes]

    def answer(self, accept_encoding: str) -> web.Response:
        """Return the smallest form that the browser accepts."""
        for coding in _ENCODINGS:
            if coding in self.bodies and takes(accept_encoding, coding):
                return self._response(self.bodies[coding], {hdrs.CONTENT_ENCODING: coding})
        return self._response(self.bodies[""], {})

    def _response(self, body: bytes, headers: dict[str, str]) -> web.Response:
        headers |= {
            hdrs.CONTENT_TYPE: self.content_type,
            hdrs.CACHE_CONTROL: self.cache_control,
            hdrs.VARY: hdrs.ACCEPT_ENCODING,
        }
        return web.Response(body=body, headers=headers)


def _is_page(path: str) -> bool:
    """Return whether it is a path that a person could type: no extension, ``//`` or dot segments."""
    *folders, name = path.split("/")[1:]
    odd = not path.isprintable() or "\\" in path
    return not (odd or "." in name or any(folder == "" or folder.startswith(".") for folder in folders))


def load_assets(folder: Path) -> dict[str, Asset]:
    """Load every asset of the bundle by its URL path, except ``index.html``."""
    assets: dict[str, Asset] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix in _ENCODINGS.values() or path.name == "index.html":
            continue
        bodies = {"": path.read_bytes()}
        for coding, suffix in _ENCODINGS.items():
            packed = path.with_name(path.name + suffix)
            if packed.is_file():
                bodies[coding] = packed.read_bytes()
        name = path.relative_to(folder).as_posix()
        cache = _IMMUTABLE if name.startswith("assets/") else "no-cache"
        assets["/" + name] = Asset(_CONTENT_TYPES.get(path.suffix, "application/octet-stream"), cache, bodies)
    return assets


def bundle_handler(token: str, folder: Path = STATIC) -> Handler:
    """Return the handler for everything but the API: an asset by its name, else the page.

    Raises ArkorError at start if the bundle was never built.
    """
    try:
        page = (folder / "index.html").read_bytes()
    except OSError as error:
        raise InternalError(
            f"Studio's page cannot be read ({folder / 'index.html'}: {error.strerror}). "
            "Install arkor-dev again; in a checkout, run scripts/build-web.",
        ) from None
    if page.count(TOKEN_PLACEHOLDER) != 1:
        raise ValueError(f"{folder / 'index.html'} does not contain the token's placeholder exactly once")
    page = page.replace(TOKEN_PLACEHOLDER, escape(token, quote=True).encode())
    assets = load_assets(folder)

    async def handler(request: web.Request) -> web.StreamResponse:
        path = request.path
        if is_api(path):
            return refusal(request, 404, f"There is no {path} in Studio's API.")
        if is_endpoint(path):
            return refusal(request, 404, f"There is no {path} among Studio's endpoints.")
        if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD):
            raise web.HTTPMethodNotAllowed(request.method, (hdrs.METH_GET, hdrs.METH_HEAD))
        asset = assets.get(path)
        if asset is not None:
            return asset.answer(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
        if path != "/index.html" and not _is_page(path):
            return refusal(request, 404, f"There is no {path} here.")
        return web.Response(body=page, content_type="text/html", charset="utf-8")

    return handler

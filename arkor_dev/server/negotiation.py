"""Content negotiation: encodings that a browser accepts and responses that it has cached."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

_REFUSED = re.compile(r"\s*q=0(\.0*)?\s*")


def takes(accept_encoding: str, coding: str) -> bool:
    for choice in accept_encoding.split(","):
        name, _, parameters = choice.partition(";")
        if name.strip().lower() == coding:
            return not _REFUSED.fullmatch(parameters)
    return False


def has(request: web.Request, etag: str) -> bool:
    """Return whether the browser has cached the response with this tag (unquoted): then 304 suffices."""
    return any(candidate.value in (etag, "*") for candidate in request.if_none_match or ())

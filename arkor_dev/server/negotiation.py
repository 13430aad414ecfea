"""What a browser says of the answers that it takes, and of those that it has already."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

_REFUSED = re.compile(r"\s*q=0(\.0*)?\s*")


def takes(accept_encoding: str, coding: str) -> bool:
    """Whether ``Accept-Encoding`` names ``coding``, and not in order to refuse it."""
    for choice in accept_encoding.split(","):
        name, _, parameters = choice.partition(";")
        if name.strip().lower() == coding:
            return not _REFUSED.fullmatch(parameters)
    return False


def has(request: web.Request, etag: str) -> bool:
    """Whether the browser has the answer with this tag (without quotes), so that 304 is enough."""
    return any(known.value in (etag, "*") for known in request.if_none_match or ())

"""Errors between this machine and the Hub, worded with advice and without the token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP statuses that are worth a retry."""
NETWORK: Final = frozenset({"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3"})
"""Packages whose errors are network errors."""
OFFLINE: Final = "OfflineModeIsEnabled"
LONGEST: Final = 300


class PushError(Exception):
    """Why something cannot be published, worded for a person."""


def _chain(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__


def _answer(error: BaseException) -> tuple[int | None, str, str]:
    """Return the status of the failed response, its host and its message."""
    for each in _chain(error):
        response = getattr(each, "response", None)
        status = getattr(response, "status_code", None)
        if isinstance(status, int):
            host = urlsplit(str(getattr(response, "url", ""))).netloc
            return status, host, str(getattr(each, "server_message", None) or "")
    return None, "", ""


def _is_network(error: BaseException) -> bool:
    names = {kind.__module__.partition(".")[0] for each in _chain(error) for kind in type(each).__mro__}
    broken = any(isinstance(each, ConnectionError | TimeoutError) for each in _chain(error))
    return bool(names & NETWORK) or broken


def passes(error: BaseException, endpoint: str) -> bool:
    """Return whether to retry: a network error, or a temporary one of the server."""
    if type(error).__name__ == OFFLINE or isinstance(error, PushError):
        return False
    status, host, _ = _answer(error)
    if status is None:
        return _is_network(error)
    # An upload address is valid for a limited time; the Hub issues a new one.
    return status in PASSING or (status == 403 and host != urlsplit(endpoint).netloc)


def reason(error: BaseException, endpoint: str, repo: str, token: str) -> str:
    """Explain ``error``, raised while ``repo`` of ``endpoint`` was read or written, in one sentence."""
    if isinstance(error, PushError):
        return str(error)
    host = urlsplit(endpoint).netloc
    status, who, said = _answer(error)
    words = {
        401: f"{host} refuses the token. Sign in again with `hf auth login`, or set another HF_TOKEN",
        403: f"{host} does not let this token write {repo}: it lacks the permission, or the name is "
        f"someone else's",
        404: f"{host} has no {repo} for this token: the name is someone else's, or it was removed in the "
        f"meantime",
        409: f"{repo} was changed by someone else at the same time. Try again",
        412: f"{repo} was changed by someone else at the same time. Try again",
        413: f"{host} does not accept files of this size",
        429: f"{host} received too many requests from this account. Try again in a few minutes",
    }
    if type(error).__name__ == OFFLINE:
        text = "HF_HUB_OFFLINE is set, so the Hub is not contacted: unset it"
    elif status == 403 and who != host:
        text = f"{who}, where {host} stores files, refused them. Try again later"
    elif status is not None:
        text = words.get(status, f"{host} answers {status}" + (". Try again later" if status >= 500 else ""))
        text += f" ({clean(said, token)})" if said else ""
    elif _is_network(error):
        last = list(_chain(error))[-1]
        text = (
            f"The connection to {host} was lost, or could not be made: "
            f"{clean(last, token) or type(last).__name__}. Push again: what has arrived is not sent twice"
        )
    else:
        text = f"{type(error).__name__}: {clean(error, token)}"
    return text if text.endswith(".") else f"{text}."


def clean(text: object, token: str) -> str:
    """Return the text on one line, without the token and without signed addresses or user names."""
    line = str(text)
    if token:
        line = line.replace(token, "[token]")
    line = re.sub(r"(https?://)[^\s/@]*@", r"\1", line)
    return one_line(re.sub(r"(https?://[^\s?'\"]+)\?\S*", r"\1", line), LONGEST)

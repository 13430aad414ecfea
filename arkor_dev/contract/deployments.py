"""Deployments: request bodies, errors, and the log of served requests (docs/contract.md#deployments)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

from .bodies import ADAPTER, ENGINES
from .rules import FILLED, FLAG, TEXT, Rule, string
from .schema import Field, Schema

if TYPE_CHECKING:
    from .shapes import ChatMessage


ENDPOINT_KEY_HEADER: Final = "X-Arkor-Endpoint-Key"
"""Carries the caller's API key from Studio to the backend."""
ENDPOINT_PATH: Final = "/e/{slug}/v1"
"""The path of an endpoint that Studio serves: a client's base URL."""
WRONG_KEY: Final = "invalid_api_key"
"""The error ``code`` for a missing or wrong key; the status is 403, as 401 refers to Studio's own token."""
UNAVAILABLE_TARGET: Final = "target_unavailable"
"""The error ``code``, with status 409, for a target that cannot answer, such as a missing adapter."""
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,48}[a-z0-9]")
_KINDS: Final = {"adapter": "adapter", "base_model": "baseModel"}
"""The kinds of target, each with the field that identifies it."""
_LABEL_LIMIT: Final = 80


def _served(target: dict[str, str]) -> str | None:
    field = _KINDS[target["kind"]]
    return None if target.get(field) else f"{field} is missing: it names what to serve"


def _retention(body: dict[str, object]) -> str | None:
    by_days, days = body.get("runRetentionMode") == "days", body.get("runRetentionDays")
    if by_days and days is None:
        return "runRetentionDays is missing: retention by days needs a number of days, 1 or more"
    if not by_days and days is not None:
        return 'runRetentionDays applies only to the retention mode "days"'
    return None


def _change(body: dict[str, object]) -> str | None:
    if not body:
        return "Nothing to change: set target, authMode, enabled, engine or the retention"
    if "slug" in body:
        return "slug cannot be changed: delete the endpoint and create another"
    return _retention(body)


TARGET: Final = Schema(
    Field("kind", Rule("choice", choices=tuple(_KINDS)), needed=True),
    Field("baseModel", FILLED),
    Field("adapter", Rule("object"), inner=ADAPTER),
    also=_served,
)
_AUTH_MODE: Final = Rule("choice", choices=("none", "fixed_api_key"))
_REST: Final = (
    Field("enabled", FLAG),
    Field("engine", Rule("choice", choices=ENGINES)),
    Field("runRetentionMode", TEXT, null=True),
    Field("runRetentionDays", Rule("whole", 1), null=True),
)

CREATE: Final = Schema(
    Field(
        "slug",
        string("2 to 50 characters of a-z, 0-9 and dashes, with no dash at either end", _SLUG.fullmatch),
        needed=True,
    ),
    Field("target", Rule("object"), needed=True, inner=TARGET),
    Field("authMode", _AUTH_MODE, needed=True),
    *_REST,
    also=_retention,
)
"""``{slug, target, authMode, …retention}``."""
UPDATE: Final = Schema(
    Field("target", Rule("object"), inner=TARGET), Field("authMode", _AUTH_MODE), *_REST, also=_change
)
"""Any of ``{target, authMode, enabled, engine, …retention}``."""
KEY: Final = Schema(
    Field(
        "label",
        string(
            f"text of 1 to {_LABEL_LIMIT} characters", lambda text: 1 <= len(text.strip()) <= _LABEL_LIMIT
        ),
        needed=True,
    ),
)
"""``{label}``, whose length counts after stripping."""


def base_url(port: int, slug: str) -> str:
    """Return the base URL of an endpoint that Studio serves, for a client on this machine."""
    return f"http://localhost:{port}{ENDPOINT_PATH.format(slug=slug)}"


def managed_url(slug: str) -> str:
    """Return the base URL of an endpoint of the managed backend."""
    return f"https://{slug}.arkor.app/v1"


IGNORED_HEADER: Final = "X-Arkor-Ignored"
"""Names the standard options of a request to a deployment that have no effect there, separated by commas."""
UNAUTHORIZED: Final = 401
RATE_LIMITED: Final = 429
FAILED: Final = 500


def error_body(status: int, text: str, code: object = None, param: object = None) -> dict[str, object]:
    """Build ``{"error": {message, type, param, code}}`` for a response with this status."""
    kind = "invalid_request_error"
    if status >= FAILED:
        kind = "server_error"
    elif status == RATE_LIMITED:
        kind = "rate_limit_error"
    elif status == UNAUTHORIZED:
        kind = "authentication_error"
    return {"error": {"message": text, "type": kind, "param": param, "code": code}}


MESSAGES_ERRORS: Final = {
    400: "invalid_request_error",
    UNAUTHORIZED: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    RATE_LIMITED: "rate_limit_error",
}


def messages_error_body(status: int, text: str) -> dict[str, object]:
    """Build ``{"type": "error", "error": {type, message}}``, Anthropic's form of `error_body`."""
    kind = MESSAGES_ERRORS.get(status, "api_error" if status >= FAILED else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": text}}


class EndpointRequest(TypedDict):
    """One request to a deployment. Times are seconds since its arrival; ``at`` is ISO 8601 in UTC.

    ``status`` is the HTTP status, 499 if the caller disconnected first. ``key`` is the key's prefix.
    ``error`` is for the owner only and may contain more than the caller saw. ``messages``, ``answers`` and
    the ``reasons`` for which they ended are included if ``kept``, in the response about this single request,
    and with ``tools`` the ``calls`` of each answer.
    """

    id: str
    at: str
    call: str
    status: int
    key: str | None
    stream: bool
    promptTokens: int
    completionTokens: int
    firstTokenSeconds: float | None
    seconds: float
    kept: bool
    error: NotRequired[str]
    messages: NotRequired[list[ChatMessage]]
    answers: NotRequired[list[str]]
    reasons: NotRequired[list[str]]
    tools: NotRequired[list[dict[str, object]]]
    calls: NotRequired[list[list[dict[str, object]]]]


class EndpointTotals(TypedDict):
    """Totals over a deployment's newest requests (at most 1,000); null if none was answered.

    ``errors`` counts statuses from 400 on. Times cover answered requests; tokens per second are their tokens
    divided by their total time.
    """

    requests: int
    errors: int
    promptTokens: int
    completionTokens: int
    tokensPerSecond: float | None
    medianSeconds: float | None
    slowSeconds: float | None
    """The 95th percentile."""


class EndpointRequests(TypedDict):
    """``GET /v1/endpoints/:id/requests``: the newest, at most 50; ``more`` if there are older ones."""

    requests: list[EndpointRequest]
    totals: EndpointTotals
    more: bool

"""Log of requests to a deployment that is served through Studio (feature ``serving``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, TypedDict

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import ChatMessage


class EndpointRequest(TypedDict):
    """One request to a deployment. Times are seconds since its arrival; ``at`` is ISO 8601 in UTC.

    ``status`` is the HTTP status, 499 if the caller disconnected first. ``key`` is the key's prefix.
    ``error`` is for the owner only and may contain more than the caller saw. ``messages`` and ``answers`` are
    included if ``kept``, in the response about this single request.
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

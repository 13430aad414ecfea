"""What the callers of a deployment asked, where they are served through Studio (feature ``serving``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, TypedDict

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import ChatMessage


class EndpointRequest(TypedDict):
    """One request of a caller. Times are seconds from its arrival, ``at`` is ISO 8601 in UTC.

    ``status`` is HTTP's, 499 where the caller left before the end. ``key`` is the prefix of the key.
    ``error`` is for the owner alone: it may say more than the caller was told. ``messages`` and ``answers``
    are there where ``kept``, in the answer about this one request.
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
    """What the newest requests of a deployment (1,000 at most) came to; null where none was answered.

    ``errors`` had a status of 400 or more. Seconds are those of answered ones, tokens a second the mean of
    their tokens over the time that they took.
    """

    requests: int
    errors: int
    promptTokens: int
    completionTokens: int
    tokensPerSecond: float | None
    medianSeconds: float | None
    slowSeconds: float | None
    """95 % of them took no longer."""


class EndpointRequests(TypedDict):
    """``GET /v1/endpoints/:id/requests``: the newest first, 50 at most; ``more`` where there are others."""

    requests: list[EndpointRequest]
    totals: EndpointTotals
    more: bool

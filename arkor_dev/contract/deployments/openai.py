"""OpenAI's error format, which a deployment's callers receive in responses and within streams."""

from __future__ import annotations

from typing import Final

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

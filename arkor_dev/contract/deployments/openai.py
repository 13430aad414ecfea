"""OpenAI's form of an error, which callers of a deployment get from Studio and within a stream alike."""

from __future__ import annotations

from typing import Final

UNAUTHORIZED: Final = 401
RATE_LIMITED: Final = 429
FAILED: Final = 500


def error_body(status: int, text: str, code: object = None, param: object = None) -> dict[str, object]:
    """``{"error": {message, type, param, code}}`` of an answer with this status."""
    kind = "invalid_request_error"
    if status >= FAILED:
        kind = "server_error"
    elif status == RATE_LIMITED:
        kind = "rate_limit_error"
    elif status == UNAUTHORIZED:
        kind = "authentication_error"
    return {"error": {"message": text, "type": kind, "param": param, "code": code}}

"""Request bodies for deployments (docs/contract.md#deployments), and the header that carries a caller's key.

Unknown fields pass: a newer backend may know them.
"""

from __future__ import annotations

import re
from typing import Any, Final

from arkor_dev.contract.bodies import ADAPTER, ENGINES
from arkor_dev.contract.rules import FILLED, FLAG, TEXT, Rule
from arkor_dev.contract.schema import Field, Schema

ENDPOINT_KEY_HEADER: Final = "X-Arkor-Endpoint-Key"
"""Carries the caller's API key from Studio to the backend."""
WRONG_KEY: Final = "invalid_api_key"
"""The error ``code`` for a missing or wrong key. The status is 403, since 401 refers to Studio's own token.
"""
UNAVAILABLE_TARGET: Final = "target_unavailable"
"""The error ``code``, with status 409, for a target that cannot answer, such as a missing adapter."""
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,48}[a-z0-9]")
_KINDS: Final = {"adapter": "adapter", "base_model": "baseModel"}
"""The kinds of target, each with the field that identifies it."""
_LABEL_LIMIT: Final = 80


def _served(target: dict[str, Any]) -> str | None:
    field = _KINDS[target["kind"]]
    return None if target.get(field) else f"{field} is missing: it names what to serve"


def _retention(body: dict[str, Any]) -> str | None:
    by_days, days = body.get("runRetentionMode") == "days", body.get("runRetentionDays")
    if by_days and days is None:
        return "runRetentionDays is missing: retention by days needs a number of days, 1 or more"
    if not by_days and days is not None:
        return 'runRetentionDays applies only to the retention mode "days"'
    return None


def _change(body: dict[str, Any]) -> str | None:
    if not body:
        return "Nothing to change: set target, authMode, enabled, engine or the retention"
    if "slug" in body:
        return "slug cannot be changed: delete the endpoint and create another"
    return _retention(body)


_TARGET: Final = Schema(
    (
        Field("kind", Rule("choice", choices=tuple(_KINDS)), needed=True),
        Field("baseModel", FILLED),
        Field("adapter", Rule("object"), inner=ADAPTER),
    ),
    _served,
)
_AUTH_MODE: Final = Rule("choice", choices=("none", "fixed_api_key"))
_REST: Final = (
    Field("enabled", FLAG),
    Field("engine", Rule("choice", choices=ENGINES)),
    Field("runRetentionMode", TEXT, null=True),
    Field("runRetentionDays", Rule("whole", 1), null=True),
)

CREATE: Final = Schema(
    (
        Field(
            "slug",
            Rule(
                "other",
                noun="2 to 50 characters of a-z, 0-9 and dashes, with no dash at either end",
                test=lambda value: isinstance(value, str) and _SLUG.fullmatch(value) is not None,
            ),
            needed=True,
        ),
        Field("target", Rule("object"), needed=True, inner=_TARGET),
        Field("authMode", _AUTH_MODE, needed=True),
        *_REST,
    ),
    _retention,
)
"""``{slug, target, authMode, …retention}``."""
UPDATE: Final = Schema(
    (Field("target", Rule("object"), inner=_TARGET), Field("authMode", _AUTH_MODE), *_REST), _change
)
"""Any of ``{target, authMode, enabled, engine, …retention}``."""
KEY: Final = Schema(
    (
        Field(
            "label",
            Rule(
                "other",
                noun=f"text of 1 to {_LABEL_LIMIT} characters",
                test=lambda value: isinstance(value, str) and 1 <= len(value.strip()) <= _LABEL_LIMIT,
            ),
            needed=True,
        ),
    )
)
"""``{label}``, whose length counts after stripping."""

"""A backend's optional features."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from arkor_dev.contract.errors import ArkorError

if TYPE_CHECKING:
    from arkor_dev.backend.client import Backend


async def features_of(backend: Backend) -> list[object]:
    """Return the backend's optional features; empty if it does not answer."""
    try:
        features = json.loads((await backend.capabilities()).body)["features"]
    except (ArkorError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return features if isinstance(features, list) else []


async def goes_on_later(backend: Backend) -> bool:
    """Return whether an interrupted job resumes from its last saved step."""
    return "resume" in await features_of(backend)

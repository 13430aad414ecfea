"""A Studio whose backend serves two endpoints through it: ``open``, and ``bot`` with a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

ASK: dict[str, Any] = {"model": "bot", "messages": [{"role": "user", "content": "Hi"}]}


@dataclass(frozen=True)
class Served:
    """The Studio, its backend, and the key of ``bot``."""

    studio: Studio
    fake: FakeBackend
    key: str
    ids: dict[str, str]

    def url(self, slug: str = "bot") -> str:
        """The base URL that a client is given."""
        return f"{self.studio.url}/e/{slug}/v1"


@pytest.fixture
async def served(studio: Studio, fake_backend: FakeBackend) -> Served:
    fake_backend.features = ["endpoints", "serving"]
    ids = {}
    for slug, mode in (("open", "none"), ("bot", "fixed_api_key")):
        body = {"slug": slug, "target": {"kind": "base_model", "baseModel": "tiny"}, "authMode": mode}
        async with studio.session.post("/api/deployments", json=body) as answer:
            assert answer.status == 201, await answer.text()
            ids[slug] = (await answer.json())["deployment"]["id"]
    async with studio.session.post(f"/api/deployments/{ids['bot']}/keys", json={"label": "a"}) as answer:
        key = (await answer.json())["key"]["plaintext"]
    return Served(studio, fake_backend, key, ids)

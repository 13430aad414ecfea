"""``/api/setup``: the page's own, behind the token; an unknown body starts nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from arkor_dev.connection import engine_setup
from arkor_dev.connection.engine_setup import EngineSetupService

if TYPE_CHECKING:
    import pytest

    from tests.support.studio import Studio


async def test_engine_setup_is_started_and_cancelled_by_the_page_only(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    async def follow(_: EngineSetupService, argv: list[str], **__: object) -> None:
        asked.append(argv)
        await asyncio.Event().wait()

    monkeypatch.setattr(engine_setup, "missing_extra", lambda _: "missing")
    monkeypatch.setattr(EngineSetupService, "_follow", follow)
    for method in ("GET", "POST", "DELETE"):
        async with studio.stranger.request(method, "/api/setup", json={"install": True}) as refused:
            assert refused.status == 403
    async with studio.session.post("/api/setup", json={"install": "yes"}) as refused:
        assert refused.status == 400
    assert asked == []
    async with studio.session.post("/api/setup", json={"install": True}) as started:
        assert (await started.json())["state"] == "looking"
    async with studio.session.post("/api/setup", json={"install": True}) as again:
        assert again.status == 409
    assert [argv[-1] for argv in asked] == ["--yes"]
    async with studio.session.delete("/api/setup") as cancelled:
        assert (await cancelled.json())["state"] == "missing"

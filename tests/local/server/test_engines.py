"""A chat that names its engine, short of a model: what cannot be is refused before the stream begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp.test_utils import TestClient, TestServer

from arkor_dev.local.server import chat
from arkor_dev.local.server.app import create_app
from arkor_dev.local.server.requests import Setup

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

HEADERS = {"Host": "localhost", "Authorization": "Bearer secret"}
SCOPE = {"orgSlug": "local", "projectSlug": "tests"}


async def test_a_missing_engine_names_the_install_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hello = {"token": "secret", "orgSlug": "local", "projectSlug": "tests"}
    setup = Setup.open(tmp_path, tmp_path, tmp_path / "cache", hello)
    body = {"messages": [{"role": "user", "content": "Hi"}], "baseModel": "./none"}
    try:
        async with TestClient(TestServer(create_app(setup)), headers=HEADERS) as client:

            async def ask(**more: Any) -> tuple[int, str]:
                async with client.post("/v1/inference/chat", params=SCOPE, json={**body, **more}) as answer:
                    return answer.status, (await answer.json())["error"]

            monkeypatch.setattr(chat, "lacking", lambda: "pip install it")
            assert await ask(engine="llama.cpp") == (409, "pip install it")
            # Who leaves it to the backend hears of the model.
            for engine in ("auto", "exact", None):
                status, error = await ask(engine=engine)
                assert status == 400
                assert "Model folder not found: ./none" in error
            monkeypatch.setattr(chat, "lacking", lambda: None)
            assert (await ask(engine="llama.cpp"))[0] == 400
    finally:
        setup.store.close()

"""A Studio whose backend address is its own would call itself in circles: it refuses to start instead."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.errors import ArkorError
from arkor_dev.server.serve import bind, serving

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_studio_refuses_itself_as_backend(settings: Settings, host: str) -> None:
    sock = bind(0)
    own = f"http://{host}:{sock.getsockname()[1]}"
    with pytest.raises(ArkorError, match="is this Studio itself"):
        async with serving(replace(settings, cloud_url=own), sock):
            pass
    assert not (settings.arkor_home / "credentials.json").exists()

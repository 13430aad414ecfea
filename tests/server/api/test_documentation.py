"""The program of docs/contract.md that reads Studio's own API, run as it is written there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio


async def test_a_program_reads_the_jobs(
    studio: Studio, fake_backend: FakeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "contract.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / ".arkor").mkdir()
    (tmp_path / ".arkor" / "studio-token").write_text(studio.token)
    monkeypatch.setenv("HOME", str(tmp_path))
    fake_backend.add_job("completed", name="a")
    found: dict[str, Any] = {}
    code = code.replace("localhost:4000", f"127.0.0.1:{studio.port}")
    await asyncio.to_thread(exec, code, found)
    assert [job["name"] for job in found["jobs"]] == ["a"]
